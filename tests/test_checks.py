"""Warnings: given for what they are made for, and for no good translation."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import checks, phrasebook

TEST2016 = Path(__file__).parents[2] / "shared" / "data" / "multi30k" / "test2016.en"
PIECES = st.lists(st.sampled_from(["▁salad", "▁of", "ab", ".", "0", "▁ha", "<0xE0>"]))
BLOCKS = st.lists(
    st.sampled_from(["▁ein", "salat", "▁und"]), min_size=1, max_size=checks.PERIOD
)


def words(line):
    return line.split()


@given(PIECES, BLOCKS)
@settings(deadline=None)
def test_what_follows_itself_again_and_again_is_a_loop(start, block):
    written = start + block * (checks.repetitions(start) + 3)
    assert checks.loop(written, ["▁a", "▁salad"])
    assert checks.repetitions(written) >= checks.repetitions(start) + 3


@given(PIECES)
@settings(deadline=None)
def test_a_copy_of_its_source_is_no_loop(tokens):
    assert not checks.loop(tokens, tokens)
    assert checks.repetitions([]) == 1 <= checks.repetitions(tokens)


@given(st.lists(st.integers(), unique=True).map(lambda ids: [f"w{i}" for i in ids]))
@settings(deadline=None)
def test_what_says_nothing_twice_is_no_loop(tokens):
    assert checks.repetitions(tokens) == 1


def test_a_joke_that_the_source_makes_is_no_loop():
    assert checks.loop(["▁hahn"] * 3, ["▁rooster"])
    assert not checks.loop(["▁hahn"] * 3, ["▁rooster"] * 2)
    assert not checks.loop(["▁hahn"] * 2, ["▁rooster"])


@pytest.mark.parametrize("token", ["0", ".", "w", "!", "<0xE0>"])
def test_numbers_dots_and_bytes_repeat_by_right(token):
    assert not checks.loop(["▁10", *[token] * 6], ["▁ten"])


def test_nothing_in_the_phrasebook_is_a_loop():
    pairs = phrasebook.sentences()
    assert not [pair for pair in pairs if checks.loop(*map(words, reversed(pair)))]


@pytest.mark.skipif(not TEST2016.exists(), reason=f"no {TEST2016}")
def test_no_caption_is_a_loop():
    english, german = (
        TEST2016.with_suffix(end).read_text("utf-8").splitlines()
        for end in (".en", ".de")
    )
    pairs = zip(german, english, strict=True)
    assert not [pair for pair in pairs if checks.loop(*map(words, pair))]


def test_a_translation_is_truncated_if_it_would_have_gone_on_at_the_limit():
    assert checks.truncated([-0.1, -0.1, -5.0], 3)
    assert not checks.truncated([-0.1, -0.1, -0.1], 3)
    assert not checks.truncated([-0.1, -5.0], 3)
    assert not checks.truncated([], 0)


@given(st.text())
@settings(deadline=None)
def test_only_letters_that_are_not_known_make_a_script_unknown(text):
    assert not checks.unknown_script(text, lambda _: True)
    has_letters = any(map(str.isalpha, text))
    assert checks.unknown_script(text, lambda _: False) == has_letters


def test_a_few_foreign_letters_are_no_unknown_script():
    known = str.isascii
    assert not checks.unknown_script("He said 你好 to everyone. 😀 — “”", known)
    assert checks.unknown_script("Он сказал hello", known)
    assert checks.unknown_script("你好 12", known)
