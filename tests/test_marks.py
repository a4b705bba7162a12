"""Marks of texts, and what has been seen before."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transformer import marks
from transformer.marks import Seen

NUMBERS = st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=20)


@given(NUMBERS)
def test_what_was_seen_is_what_a_set_would_say(calls):
    seen, known = Seen(), set()
    for numbers in calls:
        expected = []
        for number in numbers:
            expected.append(number in known)
            known.add(number)
        assert seen.add(np.array(numbers, np.uint64)).tolist() == expected


def test_each_mark_takes_eight_bytes_in_few_runs():
    seen = Seen()
    for start in range(0, 100_000, 1000):
        seen.add(np.arange(start, start + 1000, dtype=np.uint64))
    assert sum(run.nbytes for run in seen._runs) == 8 * 100_000
    assert len(seen._runs) < 10


@given(st.text(), st.text())
def test_marks_are_equal_for_equal_texts_only(one, other):
    assert (marks.mark(one) == marks.mark(other)) == (one == other)
    assert 0 <= marks.mark(one) < 2**64


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=9, unique=True))
def test_marks_of_pairs_tell_the_sides_apart(numbers):
    one = np.array(numbers, np.uint64)
    assert (marks.both(one, one[::-1]) == marks.both(one, one[::-1])).all()
    assert (marks.both(one[:1], one[1:2]) != marks.both(one[1:2], one[:1])).all()


def test_loose_texts_lose_case_punctuation_and_spaces_but_no_vowel_signs():
    assert marks.loose("How ARE you?") == marks.loose("how are you")
    assert marks.loose("की") != marks.loose("का")
    assert marks.loose("?!") == "?!"
    assert marks.loose("a1") != marks.loose("a2")


@given(st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)))
def test_what_is_found_is_what_is_there(among, wanted):
    there = np.array(sorted(set(among)), np.uint64)
    found = marks.found(there, np.array(wanted, np.uint64))
    assert found.tolist() == [number in among for number in wanted]
