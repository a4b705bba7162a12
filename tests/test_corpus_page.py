"""The page about the data: every rule with its count, and hostile text as text."""

import pytest
from webpages import Page

from transformer.cleaning import REPORTING, RULES
from transformer.pages import corpus
from transformer.reports import DataReport

HOSTILE = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\u202e"


def reported(text="some text", rules=RULES):
    data = DataReport(tokens=(90, 80), vocabulary=(70, 60), validation=5)
    data.cleaning.read = 1000
    for count, rule in enumerate(rules, 11):
        tell = data.cleaning.note if rule in REPORTING else data.cleaning.drop
        tell(rule, (text, text), count)
    data.lengths.update({0: 10, 8: 30})
    data.unknown[text[0]] += 1
    return data


def page_of(data, name="corpus"):
    return Page(corpus.page(name, ("en", "de"), data))


@pytest.mark.parametrize("rules", [(), RULES[:1], RULES, (*RULES, "over 9 tokens")])
def test_each_broken_rule_has_its_count_meaning_and_example(rules):
    page = page_of(reported(rules=rules))
    assert sorted(page.texts("h3")) == sorted(
        [*rules, "In numbers", "How long they are"]
    )
    amounts = {text for text in page.texts("strong") if text.isdigit()}
    assert {str(count) for count, _ in enumerate(rules, 11)} <= amounts
    assert page.texts("bdi").count("some text") == 2 * len(rules)


def test_each_flag_named_changes_what_its_rule_does():
    for finding in corpus.findings(reported()):
        setting = "--data.keep" if finding.drops else "--data.drop"
        assert finding.change == f"{setting} {finding.rule}"


def test_what_was_changed_already_names_no_flag():
    data = reported(rules=())
    data.cleaning.drop("numbers", ("3", "drei"))
    data.cleaning.note("overlap", ("a", "b"))
    data.cleaning.drop("over 9 tokens", ("a", "b"))
    assert [finding.change for finding in corpus.findings(data)] == [""] * 3
    assert any("Scores will flatter" in text for text in page_of(data).texts("p"))


def test_every_rule_is_explained():
    assert set(corpus.MEANINGS) == set(RULES)


def test_hostile_text_is_text_and_nothing_is_loaded():
    page, harmless = page_of(reported(HOSTILE), HOSTILE), page_of(reported("x"), "x")
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
    assert page.texts("bdi").count(HOSTILE) == 2 * len(RULES) + 1
    assert page.policy["default-src"] == page.policy["script-src"] == ["'none'"]
    for _, attrs in page.elements:
        assert not [n for n in attrs if n.startswith("on") or n in {"style", "src"}]
        assert attrs.get("href", "#").startswith(("#", "data:,"))


def test_headings_are_there_for_all_that_names_them():
    page = page_of(reported(rules=(*RULES, "over 9 tokens")))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in page.elements:
        assert set(attrs.get("aria-labelledby", "").split()) <= set(ids)
