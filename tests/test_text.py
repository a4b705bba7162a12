"""One normal form for text, and cutting that loses nothing."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import text

BLANKS = "\0\t\r\n\x1c\x7f\x85\xa0\u2028\u2581\u3000"
ANY = st.text(st.one_of(st.characters(), st.sampled_from(BLANKS + "\u0308\ud800")))
WORD = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp"))
    .filter(lambda char: char != "\u2581"),
    min_size=1,
)  # fmt: skip
PROSE = st.text("abc .!?。！।…", max_size=60)


def letters(string):
    """The size of a part by a tokenizer that counts no blanks."""
    return len(string.replace(" ", ""))


@given(ANY)
@settings(deadline=None)
def test_normal_text_is_nfc_without_controls_odd_blanks_or_surrogates(raw):
    normal = text.normalize(raw)
    assert unicodedata.is_normalized("NFC", normal)
    assert normal.split() == [word for word in normal.split(" ") if word]
    assert normal == " ".join(normal.split())
    assert not {unicodedata.category(char) for char in normal} & {"Cc", "Cs"}
    assert "\u2581" not in normal


@given(ANY)
@settings(deadline=None)
def test_normalizing_twice_changes_nothing(raw):
    assert text.normalize(text.normalize(raw)) == text.normalize(raw)


@given(st.lists(st.tuples(WORD, st.text(BLANKS, min_size=1))), ANY)
@settings(deadline=None)
def test_words_survive_whatever_separates_them(pairs, around):
    blank = "".join(char for char in around if char in BLANKS)
    raw = blank + "".join(word + gap for word, gap in pairs)
    plain = " ".join(word for word, _ in pairs)
    assert text.normalize(raw) == unicodedata.normalize("NFC", plain)


def test_half_a_surrogate_pair_becomes_the_replacement_character():
    assert text.normalize("a\ud800b\udfffc") == "a\ufffdb\ufffdc"
    assert text.normalize("\U0001f600") == "\U0001f600"


@given(PROSE.map(text.normalize), st.integers(1, 20))
@settings(deadline=None)
def test_splitting_loses_nothing_and_keeps_to_the_limit(string, limit):
    parts = text.split(string, limit, letters)
    assert "".join(parts) == string
    assert all(letters(part) <= limit for part in parts)


@given(PROSE.map(text.normalize))
@settings(deadline=None)
def test_text_that_fits_stays_whole(string):
    assert text.split(string, letters(string), letters) == [string]


@given(
    st.lists(st.text("abc", min_size=1, max_size=6), max_size=20), st.integers(6, 20)
)
@settings(deadline=None)
def test_words_that_fit_are_not_cut_and_parts_are_as_full_as_can_be(words, limit):
    parts = text.split(" ".join(words), limit, letters)
    assert [word for part in parts for word in part.split()] == words
    for part, following in zip(parts, parts[1:], strict=False):
        assert letters(part) + letters(following.split()[0]) > limit


def test_cuts_stand_between_sentences_if_these_fit():
    string = "One two. Three? Four! यह। वह। End…"
    assert text.split(string, 7, letters) == [
        "One two. ", "Three? ", "Four! ", "यह। वह। ", "End…",
    ]  # fmt: skip


def test_chinese_sentences_need_no_space_to_be_cut():
    assert text.split("你好。再见了！好吗？", 5, len) == [
        "你好。",
        "再见了！",
        "好吗？",
    ]


def test_a_point_inside_a_number_ends_no_sentence():
    assert text.split("It is 3.5 now. Go on then.", 12, letters) == [
        "It is 3.5 now. ", "Go on then.",
    ]  # fmt: skip


def test_a_character_above_the_limit_stays_whole():
    assert text.split("ab", 1, lambda part: 4 * len(part)) == ["a", "b"]


@given(st.text(" "), st.integers(1, 5))
@settings(deadline=None)
def test_blanks_alone_are_cut_without_loss(string, limit):
    assert "".join(text.split(string, limit, len)) == string
    assert text.split(string, limit, letters) == [string]


MIXED = st.text("ab .!?。！。नकन\u0939好吗もう、字", max_size=60).map(text.normalize)


@given(MIXED, st.integers(1, 20))
@settings(deadline=None, max_examples=300)
def test_parts_that_stay_as_they_are_rejoin_to_the_text(string, limit):
    parts = text.split(string, limit, letters)
    assert text.rejoin(parts, [text.normalize(part) for part in parts]) == string


ENGLISH = ["Good day. ", "How are you? ", "Fine."]
CHINESE = ["你好。", "你好吗？", "很好。"]


def stripped(parts):
    return [part.strip() for part in parts]


def test_sentences_are_rejoined_as_the_language_of_the_translation_is_written():
    assert text.rejoin(ENGLISH, CHINESE) == "".join(CHINESE)
    assert text.rejoin(CHINESE, stripped(ENGLISH)) == "".join(ENGLISH)
    assert text.rejoin(CHINESE, CHINESE) == "".join(CHINESE)
    assert text.rejoin(ENGLISH, ["गुड।", "ठीक?", "हाँ।"]) == "गुड। ठीक? हाँ।"


def test_what_was_cut_within_a_word_is_rejoined_without_a_space():
    parts = text.split("see abcdefghij now", 4, letters)
    assert text.rejoin(parts, [part.strip().upper() for part in parts]) == (
        "SEE ABCDEFGHIJ NOW"
    )


def test_a_part_without_translation_leaves_no_double_space():
    assert text.rejoin(ENGLISH, ["Ja.", "", "Gut."]) == "Ja. Gut."
    assert text.rejoin(ENGLISH, ["", "Ja.", ""]) == "Ja."
    assert text.rejoin([], []) == ""
