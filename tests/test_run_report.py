"""report.html: what metrics.jsonl says, as a page that is safe and stays small."""

from datetime import UTC, datetime
from itertools import pairwise
from math import inf, nan

import pytest
from webpages import Page

from transformer import experiments
from transformer.pages import run
from transformer.reports import DataReport

WRITTEN = datetime(2026, 2, 3, 4, 5, tzinfo=UTC)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\u202e"


def about(name="mine"):
    data = DataReport(tokens=(90, 80), vocabulary=(70, 60), validation=5)
    data.lengths.update({0: 10, 8: 30})
    return run.About(name, experiments.quickstart(), data, 1_234_567, "one CPU")


def training(step, loss=2.0):
    values = {"loss": loss, "gradient norm": 0.5, "learning rate": 1e-3}
    return {"step": step, "kind": "training"} | values | {"tokens a second": 9e3}


def validation(step, *samples, kind="validation"):
    scores = {"loss": 1.5, "bleu": 20.0, "chrf": 40.0}
    texts = {"samples": samples, "signatures": ["nrefs:1"]}
    return {"step": step, "kind": kind} | scores | texts


def page_of(reports, status: run.Status = "running", subject=None):
    return run.page(subject or about(), reports, status, WRITTEN)


def test_curves_hold_every_report_of_their_kind():
    reports = [training(2), training(4), validation(4), training(6, 1.0)]
    reports += [validation(6), validation(6, kind="average of 2")]
    curves = Page(page_of(reports)).data("curves")
    assert set(curves) == set(run.CHARTS)
    assert curves["loss"]["curves"] == [
        {"name": "training", "points": [[2, 2.0], [4, 2.0], [6, 1.0]]},
        {"name": "validation", "points": [[4, 1.5], [6, 1.5]]},
    ]


def test_a_page_before_the_first_report_has_no_chart():
    page = Page(page_of([]))
    assert page.data("curves") == {}
    assert not [tag for tag, _ in page.elements if tag == "figure"]


def test_values_that_are_not_finite_are_left_out():
    reports = [training(2), training(4, nan), training(6, inf), training(8)]
    [curve] = Page(page_of(reports)).data("curves")["loss"]["curves"]
    assert [step for step, _ in curve["points"]] == [2, 8]


def test_a_sentence_shows_what_became_of_it():
    texts = ["x", "x", "x y", "a b", "a b"]
    reports = [
        validation(n, ("how are you", "?", ""), ("A B", text, "a b"))
        for n, text in enumerate(texts, 1)
    ]
    greeting, sentence = run.sentences(reports)
    assert greeting == ("how are you", "", [(1, 5, "?")])
    assert sentence == ("A B", "a b", [(1, 2, "x"), (3, 3, "x y"), (4, 5, "a b")])
    assert Page(page_of(reports)).texts("li")


@pytest.mark.parametrize("number", [run.SHOWN, run.SHOWN + 1, 500])
def test_of_many_translations_the_first_and_the_last_are_shown(number):
    reports = [validation(n, ("a", str(n), "b")) for n in range(1, number + 1)]
    [sentence] = run.sentences(reports)
    steps = [attempt.first for attempt in sentence.attempts]
    assert (steps[0], steps[-1]) == (1, number)
    assert len(steps) <= run.SHOWN
    assert all(one < other for one, other in pairwise(steps))


def test_hostile_sentences_are_text():
    def elements(text):
        subject = about(text)
        subject.data.cleaning.drop("identical", (text, text))
        subject.data.overlaps((text, text))
        subject.data.unknown["<"] += 1
        reports = [training(2), validation(2, (text, text, "b"), (text, text, text))]
        page = Page(page_of(reports, subject=subject))
        return page, [tag for tag, _ in page.elements]

    page, tags = elements(HOSTILE)
    assert tags == elements("harmless")[1]
    assert HOSTILE in page.texts("h3")


def test_nothing_is_loaded_and_no_attribute_runs_or_styles():
    page = Page(page_of([training(2), validation(2, ("a", "b", "c"))]))
    for _, attrs in page.elements:
        assert not [n for n in attrs if n.startswith("on") or n in {"style", "src"}]
        assert attrs.get("href", "#").startswith(("#", "data:,"))


def test_every_reference_inside_the_page_has_its_element():
    page = Page(page_of([training(2), validation(2, ("a", "b", "c"))]))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.elements:
        assert set(attrs.get("aria-labelledby", "").split()) <= set(ids)
        assert attrs.get("href", "#content") in {"data:,", "#content"}


@pytest.mark.parametrize("status", ["running", "stopped", "finished"])
def test_only_a_page_of_a_run_that_goes_on_looks_for_news(status):
    page = Page(page_of([training(2)], status))
    follows = [a for _, a in page.elements if a.get("id") == "follow"]
    assert bool(follows) == (status == "running")


def test_the_scores_of_the_test_set_take_the_place_of_the_validations():
    before = [training(2), validation(2)]
    after = [*before, validation(2, kind="test") | {"bleu": 12.34}]
    assert "20.00" in Page(page_of(before)).texts("dd")
    page = Page(page_of(after, "finished"))
    assert "12.34" in page.texts("dd") and "20.00" not in page.texts("dd")
    assert "nrefs:1" in page.texts("code")


def test_the_page_of_a_long_run_is_small():
    sample = "a b c d e f g " * 10
    reports = [training(50 * n, 1 + (n * 7919 % 1009) / 1e3) for n in range(1, 20_001)]
    reports += [
        validation(5000 * n, *((f"{k}", f"{n} {sample}", "") for k in range(4)))
        for n in range(1, 201)
    ]
    reports.sort(key=lambda report: report["step"])
    assert len(page_of(reports).encode()) < 300_000
