"""What is dropped, and that everything dropped is counted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import cleaning
from transformer.cleaning import FREE_CHARACTERS, MAX_RATIO, Report

SIDE = st.sampled_from(["", "a", "b", "ü", "x" * 25, "y" * 230])
PAIRS = st.lists(st.tuples(SIDE, SIDE), max_size=30)


def clean(pairs):
    """What is kept of `pairs`, and the report."""
    report = Report()
    passed = list(cleaning.keep(pairs, report))
    return [pair for pair, ok in zip(pairs, passed, strict=True) if ok], report


@given(PAIRS)
@settings(deadline=None)
def test_every_pair_is_kept_or_counted_as_dropped(pairs):
    kept, report = clean(pairs)
    assert report.read == len(pairs)
    assert report.kept == len(kept)
    assert report.kept + report.dropped.total() == report.read
    assert set(report.examples) == set(report.dropped)


@given(PAIRS)
@settings(deadline=None)
def test_what_is_kept_breaks_no_rule_and_is_kept_again(pairs):
    kept, _ = clean(pairs)
    assert len(set(kept)) == len(kept)
    assert all(source and target and source != target for source, target in kept)
    assert clean(kept)[0] == kept


@given(PAIRS)
@settings(deadline=None)
def test_of_each_good_pair_the_first_is_kept(pairs):
    kept, _ = clean(pairs)
    bad = (cleaning.empty, cleaning.identical, cleaning.unequal)
    good = [pair for pair in pairs if not any(rule(*pair) for rule in bad)]
    assert kept == list(dict.fromkeys(good))


def test_each_rule_has_its_name_in_the_report():
    pairs = [
        ("", "b"), ("a", ""), ("", ""),
        ("same", "same"),
        ("a", "b" * 100), ("a" * 100, "b"),
        ("one", "eins"), ("one", "eins"),
    ]  # fmt: skip
    kept, report = clean(pairs)
    assert kept == [("one", "eins")]
    assert report.dropped == {
        "empty": 3, "identical": 1, "unequal lengths": 2, "duplicate": 1,
    }  # fmt: skip


def test_the_example_of_a_rule_is_the_first_pair_that_broke_it():
    _, report = clean([("a", "b"), ("", "first"), ("", "second")])
    assert report.examples == {"empty": ("", "first")}


def test_pairs_that_share_only_one_side_are_no_duplicates():
    pairs = [("a", "b"), ("a", "c"), ("d", "b"), ("b", "a"), ("ab", "c"), ("a", "bc")]
    assert clean(pairs)[0] == pairs


def test_reports_do_not_remember_pairs_of_one_another():
    assert clean([("a", "b")])[0] == clean([("a", "b")])[0] == [("a", "b")]


def test_lengths_are_unequal_above_the_ratio_only():
    short = "s" * FREE_CHARACTERS
    assert not cleaning.unequal(short, "l" * (MAX_RATIO * FREE_CHARACTERS))
    assert cleaning.unequal(short, "l" * (MAX_RATIO * FREE_CHARACTERS + 1))
    assert cleaning.unequal("l" * (MAX_RATIO * FREE_CHARACTERS + 1), short)


def test_ratios_of_short_sentences_do_not_count():
    assert not cleaning.unequal("s", "l" * FREE_CHARACTERS)
    assert cleaning.unequal("s", "l" * (FREE_CHARACTERS + 1))


@given(st.text(), st.text())
@settings(deadline=None)
def test_digests_are_equal_for_equal_texts_only(one, other):
    assert len(cleaning.digest(one)) == 16
    assert cleaning.digest(one) == cleaning.digest("".join(one))
    assert (cleaning.digest(one) == cleaning.digest(other)) == (one == other)


def test_pairs_are_read_one_at_a_time():
    report = Report()
    endless = iter(lambda: ("a", "b"), None)
    passed = cleaning.keep(endless, report)
    assert [next(passed), next(passed)] == [True, False]
    assert report.read == 2
