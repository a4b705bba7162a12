"""The benchmarks run, and count the operations that a program performs."""

import dataclasses
import random
import re
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import (
    batching,
    compare,
    curve,
    flops,
    gains,
    memory,
    pairs,
    plan,
    quality,
    scaling,
    train,
)
from benchmarks.work import CommonWork, Work, task
from transformer import batches, corpora, experiments, metrics, settings
from transformer.metrics import Score
from transformer.symbols import PAD

SMALL = CommonWork(tokens=64, length=8, vocabulary=64, layers=1)


@pytest.fixture(scope="module")
def small():
    return task(Work(**dataclasses.asdict(SMALL)))


def test_a_measurement_reports_rates_memory_and_compilation(small):
    command = train.Command(work=Work(), windows=2, steps=1)
    result = train.measured(command, small)
    assert result["slowest_window"] <= result["tokens_per_second"]
    assert result["tokens_per_second"] <= result["fastest_window"]
    assert 0 < result["utilisation"]
    assert result["programs"] == 1
    assert result["input_tokens_per_second"] > 0
    assert "tokens/s" in train.report(result)


def test_longer_sentences_cost_more_operations_a_token(small):
    lengths = batches.lengths(small.store)
    once, twice = (flops.per_target_token(small.cfg.model, n * lengths) for n in (1, 2))
    assert once < twice < 2 * once


def test_a_comparison_goes_on_without_the_rivals_that_cannot_run(tmp_path):
    command = compare.Command(
        work=SMALL,
        rounds=1,
        seconds=0.1,
        windows=1,
        rivals_python=str(tmp_path / "none"),
    )
    result = compare.measured(command)
    assert result["rates"].keys() == {compare.OURS}
    assert result["skipped"].keys() == compare.RIVALS.keys()
    assert result["ratio"] is None
    text = compare.report(result)
    assert "No rival could run" in text and "left out: " in text


def test_in_bfloat16_rivals_compute_in_both_types(tmp_path):
    none = str(tmp_path / "none")
    once = {"rounds": 1, "seconds": 0.1, "windows": 1}
    command = compare.Command(work=SMALL, dtype="bfloat16", rivals_python=none, **once)
    skipped = compare.measured(command)["skipped"]
    assert skipped.keys() > compare.RIVALS.keys()
    assert {name.partition(", ")[2] for name in skipped} == {"", "float32"}


def test_a_comparison_names_the_medians_and_the_fastest_rivals_ratio(monkeypatch):
    turns = iter([300, 100, 50, 330, 150, 60, 270, 140, 40])

    def turn(line):
        del line
        rate = next(turns)
        return {
            "tokens_per_second": rate,
            "limit_tokens_per_second": 2 * rate,
            "device": "abacus",
        }

    monkeypatch.setattr(compare, "_turn", turn)
    result = compare.measured(compare.Command(rounds=3))
    medians = [rate["median"] for rate in result["rates"].values()]
    assert medians == [300, 140, 50]
    assert result["ratio"] == 300 / 140
    assert result["limit_tokens_per_second"] == 660
    assert "2.14" in compare.report(result)


def test_a_curve_counts_twice_the_work_for_twice_the_tokens():
    work = Work(length=8, vocabulary=64, layers=1)
    command = scaling.Command(work=work, seconds=0.01, windows=1)
    points = scaling.measured(command, "tokens", (64, 128))
    once, twice = points
    assert (once.value, twice.value) == (64, 128)
    assert twice.tokens == 2 * once.tokens
    assert twice.operations == 2 * once.operations
    rows = re.findall(r"^\| (?:64|128) \|.*", scaling.table("tokens", points), re.M)
    assert len(rows) == 2 and "| 2.00 |" in rows[1]


def test_every_other_way_needs_less_memory_than_the_plain_one():
    work = Work(tokens=1024, length=8, vocabulary=512, layers=1)
    plain, *others = memory.measured(work)
    assert len(others) == 6
    assert all(way.temporary < plain.temporary for way in others)
    assert all(way.arguments == plain.arguments for way in others[:4])
    assert "| 1.00 |" in memory.row(plain, plain)


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_buckets_are_cut_where_least_is_padding(seed, buckets):
    lengths = np.random.default_rng(seed).integers(1, 9, (9, 2))
    lengths = lengths[np.argsort(lengths.max(axis=1), kind="stable")]

    def positions(cuts):
        parts = np.split(lengths, cuts)
        return sum(len(part) * part.max(axis=0).sum() for part in parts)

    found = batching.boundaries(lengths, buckets)
    assert len(found) < buckets
    starts = np.flatnonzero(np.diff(lengths.max(axis=1)) > 0) + 1
    ways = combinations(starts, min(buckets - 1, len(starts)))
    assert positions(found) == min(map(positions, ways))


def test_bucketed_batches_hold_every_pair_once_in_a_row_of_its_own(small):
    lengths = batches.lengths(small.store)
    bucketed = batching.Bucketed(lengths, tokens=64, buckets=2)
    found = [bucketed.batch(number) for number in range(bucketed.per_epoch)]
    rows = [row for _, [part] in found for row in part if len(row)]
    assert sorted(np.concatenate(rows)) == list(range(len(lengths)))
    assert all(len(part) == shape.rows for shape, [part] in found)
    room = sum(shape.rows * (shape.source + shape.target) for shape, _ in found)
    assert bucketed.padding() == pytest.approx(1 - lengths.sum() / room)


@pytest.fixture
def captions(tmp_path, monkeypatch):
    """A small corpus where Multi30k would be."""
    chance = random.Random(0)
    words = {"en": "a red dog sees two cats".split(), "de": "ein hund rot".split()}
    for name, count in (("train", 60), ("valid", 5)):
        for side, known in words.items():
            lines = [" ".join(chance.choices(known, k=4)) for _ in range(count)]
            text = "".join(f"{name} {n} {line}\n" for n, line in enumerate(lines))
            (tmp_path / f"{name}.{side}").write_text(text, "utf-8")
    monkeypatch.setattr(pairs, "CORPUS", tmp_path)
    return tmp_path


def sentences(side):
    return [side[number].tolist() for number in range(len(side.lengths))]


def test_pairs_that_are_read_back_are_those_that_training_would_have(captions):
    path = pairs.file(300)
    found, vocabulary = pairs.read(path)
    data = pairs.prepared(300)
    for side, expected in zip(found, data.store, strict=True):
        assert sentences(side) == sentences(expected)
    assert vocabulary == data.tokenizers.target.size
    assert pairs.file(300) == path != pairs.file(310)
    for side, line in (("en", "a red dog"), ("de", "ein hund")):
        with (captions / f"train.{side}").open("a") as file:
            file.write(f"{line}\n")
    assert pairs.file(300) != path


def test_the_real_regime_learns_from_every_pair_of_the_file(captions):
    work = Work(regime="real", vocabulary=300, tokens=128, layers=1)
    made = task(work)
    lengths = batches.lengths(made.store)
    stream = islice(made.stream(), made.plan.per_epoch)
    learnt = sum(int((batch.labels != PAD).sum()) for batch in stream)
    assert learnt == lengths[:, 1].sum() > 0
    assert made.cfg.model.vocab_size == pairs.prepared(300).tokenizers.target.size


def test_the_paper_plan_stands_in_the_page_as_it_is_computed():
    page = Path(__file__).parents[1] / "docs" / "scale.md"
    assert set(plan.report()) <= set(page.read_text("utf-8").splitlines())


def test_the_planned_network_has_as_many_parameters_as_its_formulas_say():
    width, hidden = plan.DIM, plan.CFG.hidden_dim
    feed_forward = 2 * width * hidden + hidden + width
    encoder = 4 * width**2 + feed_forward + 4 * width
    decoder = 8 * width**2 + feed_forward + 6 * width
    last_norms = 4 * width
    total = plan.DEPTH * (encoder + decoder) + plan.VOCABULARY * width + last_norms
    assert plan.size(plan.PARAMS) == 4 * total


def test_curves_of_both_types_begin_alike_and_seeds_differ():
    command = curve.Command(work=SMALL, steps=2, windows=2)
    one, half, other = (curve.losses(command, run) for run in curve.RUNS)
    np.testing.assert_allclose(half, one, rtol=0.01)
    assert (one != other).all() and (one != half).any()


def test_published_scores_know_no_case_and_no_space_before_a_comma():
    references = ["Ein Hund, der läuft.", "Die „Katze“ schläft & träumt."]
    lowered = [line.lower().replace(",", " ,") for line in references]
    score = quality.moses_bleu(lowered, references, "de")
    assert score.value == pytest.approx(100)
    assert "case:lc" in score.signature and "tok:none" in score.signature
    assert quality.moses_bleu([references[0]] * 2, references, "de").value < 70


def test_a_table_has_a_row_a_model_and_their_mean():
    rows = [
        quality.Row(name, 1_831_424, 9000, [Score("BLEU", value, "signed")])
        for name, value in (("one", 40.0), ("other", 42.0))
    ]
    assert "mean" not in quality.report(rows[:1])
    header, rule, *body, mean, empty, signature = quality.report(rows).splitlines()
    assert header.count("|") == rule.count("|") == mean.count("|")
    assert [line.split(" | ")[-1] for line in body] == ["40.00 |", "42.00 |"]
    assert "1.83 M" in body[0] and "9,000" in body[0]
    assert mean.startswith("| mean of 2 ") and "41.00" in mean
    assert (empty, signature) == ("", "`BLEU signed`")
    both = quality.together(rows, [Score("BLEU", 43.0, "signed")])
    ensemble = quality.report(rows, [both]).splitlines()[-3]
    assert ensemble == "| ensemble | 3.66 M | 18,000 | 43.00 |"


@pytest.mark.parametrize("name", gains.PARTS)
def test_each_part_of_the_recipe_changes_what_it_names(name):
    recipe = experiments.multi30k()
    part = gains.changed(recipe, gains.PARTS[name])
    changes = settings.differences(recipe, part)
    assert len(changes) == len(gains.PARTS[name])


def test_gains_are_measured_against_the_recipe(captions, tmp_path, monkeypatch):
    """With translations that are given instead of made."""
    references = list(corpora.lines(captions / "valid.de"))
    made = {"recipe": [line[:9] for line in references], "r-drop": references}
    monkeypatch.setattr(gains, "translations", lambda _, name, recipe: made[name])
    monkeypatch.setattr(
        quality,
        "row",
        lambda folder, texts, references: quality.Row(
            folder.name, 10_000, 9, [metrics.bleu(texts, references)]
        ),
    )
    command = gains.Command(corpus=captions, parts=("r-drop",), out=tmp_path)
    rows, chances = gains.measured(command, experiments.multi30k())
    assert [row.name for row in rows] == ["recipe", "r-drop"]
    assert chances[0] == 1.0 > 0.05 > chances[1]
    header, _, recipe, part, _, signature = gains.report(rows, chances).splitlines()
    assert header.count("|") == recipe.count("|") == part.count("|")
    assert "| 100.00 |" in part and part.endswith("| `--training.consistency 5.0` |")
    assert signature.startswith("`BLEU nrefs:1")


def test_lower_cased_text_is_the_same_text(captions, tmp_path):
    there = gains.lower_cased(captions, tmp_path / "lower")
    for name in ("train.en", "valid.de"):
        was, now = (list(corpora.lines(f / name)) for f in (captions, there))
        assert now == [line.lower() for line in was] and now != []
