"""What is dropped, and that everything dropped is counted."""

import inspect
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer import cleaning, faults
from transformer.cleaning import ALONE, DROPPING, REPORTING, RULES, Cleaner, Report
from transformer.config import DataConfig
from transformer.errors import InputError

NOTHING = cleaning.held_out([], "en")
USUAL = cleaning.dropping((), ())
SIDE = st.sampled_from(
    ["", "a", "b", "B!", "ü", "x" * 25, "y" * 230, "10", "Ã¼", "<b>b</b>", "бб", "seen"]
)
PAIRS = st.lists(st.tuples(SIDE, SIDE), max_size=40)
NAMES = st.sets(st.sampled_from(RULES))


def clean(pairs, dropping=USUAL, held_out=NOTHING, size=7):
    """What is kept of `pairs`, looked at `size` at a time, and the report."""
    report, cleaner, kept = Report(), Cleaner(dropping, held_out), []
    for start in range(0, len(pairs), size):
        chunk = pairs[start : start + size]
        passed = cleaner.keep(chunk, faults.inspect(chunk, ("en", "de")), report)
        kept += [pair for pair, ok in zip(chunk, passed, strict=True) if ok]
    return kept, report


@given(PAIRS, NAMES)
def test_every_pair_is_kept_or_counted_as_dropped(pairs, dropping):
    held_out = cleaning.held_out([("seen", "")], "en")
    kept, report = clean(pairs, dropping, held_out)
    assert report.read == len(pairs)
    assert report.kept == len(kept)
    assert report.kept + report.dropped.total() == report.read
    assert set(report.examples) == set(report.dropped) | set(report.noted)
    assert set(report.dropped) <= dropping
    assert not set(report.noted) & dropping


@given(PAIRS, NAMES)
def test_what_is_kept_breaks_no_rule_that_drops_and_is_kept_again(pairs, dropping):
    kept, _ = clean(pairs, dropping)
    again, report = clean(kept, dropping)
    assert again == kept
    assert not report.dropped


@given(PAIRS, NAMES, st.integers(1, 9))
def test_how_many_pairs_are_looked_at_together_changes_nothing(pairs, dropping, size):
    assert clean(pairs, dropping, size=size) == clean(pairs, dropping, size=99)


@given(PAIRS)
def test_of_each_good_pair_the_first_is_kept(pairs):
    alone = cleaning.dropping(("duplicate",), ())
    good, _ = clean(pairs, alone)
    assert clean(pairs)[0] == list(dict.fromkeys(good))


@given(PAIRS)
def test_where_no_rule_drops_all_is_kept_and_the_same_is_found(pairs):
    kept, report = clean(pairs, frozenset())
    assert kept == pairs
    _, dropped = clean(pairs, frozenset(RULES))
    assert set(dropped.dropped) <= set(report.noted)


EACH = {
    "empty": ("", "b"),
    "identical": ("same", "same"),
    "ratio": ("a", "b" * 100),
    "encoding": ("for", "fÃ¼r"),
    "script": ("dog", "собака"),
    "markup": ("this &amp; that", "dies und das"),
    "numbers": ("3 dogs", "drei Hunde"),
    "overlap": ("Held out!", "zurückgehalten"),
    "duplicate": ("one", "eins"),
    "similar": ("One!", "Eins!"),
}


def test_each_rule_has_its_name_in_the_report_and_its_first_pair_as_the_example():
    pairs = [("one", "eins"), *EACH.values(), *EACH.values()]
    kept, report = clean(pairs, held_out=cleaning.held_out([("held out", "")], "en"))
    assert set(report.dropped) == set(DROPPING)
    assert set(report.noted) == set(REPORTING)
    assert report.examples == EACH
    assert kept == [("one", "eins"), *(EACH[rule] for rule in REPORTING)]


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_can_be_told_to_drop_or_to_report(rule):
    pairs = [("one", "eins"), EACH[rule]]
    held_out = cleaning.held_out([("held out", "")], "en")
    others = frozenset(RULES) - {rule}
    if rule in REPORTING:
        assert rule in cleaning.dropping((), (rule,)) - cleaning.dropping((), ())
    else:
        assert rule in cleaning.dropping((), ()) - cleaning.dropping((rule,), ())
    assert clean(pairs, frozenset({rule}), held_out)[1].dropped == {rule: 1}
    assert clean(pairs, others - {"similar"}, held_out)[1].noted[rule] == 1


@pytest.mark.parametrize(
    ("keep", "drop", "expected"),
    [
        (["scripts"], [], r"data\.keep names 'scripts'.*did you mean 'script'\?"),
        (["numbers"], [], r"data\.keep names 'numbers', which is none of empty"),
        ([], ["number"], r"data\.drop names 'number'.*did you mean 'numbers'\?"),
        ([], ["empty"], r"data\.drop names 'empty', which is none of markup"),
    ],
)
def test_a_rule_that_is_none_is_refused_with_the_nearest(keep, drop, expected):
    with pytest.raises(InputError, match=expected):
        cleaning.dropping(keep, drop)


def test_every_rule_is_asked_and_named_in_the_help_of_its_setting():
    assert set(faults.RULES) == set(ALONE)
    assert sorted((*DROPPING, *REPORTING)) == sorted(RULES)
    source = inspect.getsource(DataConfig)
    for setting, rules in (("keep", DROPPING), ("drop", REPORTING)):
        text = re.split(rf"\n    {setting}: .*\n", source)[1].split('"""')[1]
        assert set(rules) <= set(re.findall(r"\w+", text))


def test_examples_are_as_they_were_read_with_controls_written_out():
    pairs = [(" a \x96 b\t", "c"), ("same  \x01x", "same x")]
    _, report = clean(pairs)
    assert report.examples["encoding"] == (r"a \x96 b", "c")
    assert report.examples["identical"] == (r"same  \x01x", "same x")


def test_pairs_that_share_only_one_side_are_no_duplicates():
    pairs = [("a", "b"), ("a", "c"), ("d", "b"), ("b", "a"), ("ab", "c"), ("a", "bc")]
    assert clean(pairs, frozenset(RULES))[0] == pairs


def test_corpora_know_of_one_another_if_they_have_one_cleaner():
    cleaner = Cleaner(cleaning.dropping((), ()), NOTHING)
    found = faults.inspect([("a", "b")], ("en", "de"))
    for expected in (True, False):
        assert cleaner.keep([("a", "b")], found, Report()).tolist() == [expected]


@pytest.mark.parametrize(
    ("languages", "pair"),
    [
        (("en", "de"), ("the DOG, runs", "x")),
        (("de", "en"), ("x", "The dog runs!")),
    ],
)
def test_held_out_sentences_are_found_on_either_side_in_their_language(languages, pair):
    held_out = cleaning.held_out([("The dog runs.", "Der Hund rennt.")], "en")
    cleaner, report = Cleaner(frozenset(RULES), held_out), Report()
    pairs = [pair, pair[::-1]]
    cleaner.keep(pairs, faults.inspect(pairs, languages), report)
    assert report.dropped["overlap"] == 1


def test_chunks_hold_all_pairs_in_order_and_are_read_one_at_a_time():
    numbers = iter(range(cleaning.CHUNK + 1))
    first = next(cleaning.chunks((str(n), "") for n in numbers))
    assert len(first) == cleaning.CHUNK
    assert next(numbers) == cleaning.CHUNK
    pairs = [(str(n), "") for n in range(2 * cleaning.CHUNK + 1)]
    assert [pair for chunk in cleaning.chunks(pairs) for pair in chunk] == pairs
    assert not list(cleaning.chunks([]))


@given(st.lists(st.text(), max_size=5))
def test_held_out_marks_are_sorted_and_each_is_there_once(texts):
    found = cleaning.held_out([(text, "") for text in texts * 2], "en")
    assert found.dtype == np.uint64
    assert (np.diff(found.astype(object)) > 0).all()
