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


@given(ANY, st.integers(0, 9), st.sampled_from([len, letters, lambda _: 99]))
@settings(deadline=None)
def test_splitting_loses_nothing_whatever_the_text_the_limit_and_the_size(
    raw, limit, size
):
    assert "".join(text.split(raw, limit, size)) == raw


def test_a_part_is_one_sentence():
    string = "One two. Three? Four! यह। वह। End…"
    assert text.split(string, 99, letters) == [
        "One two. ", "Three? ", "Four! ", "यह। ", "वह। ", "End…",
    ]  # fmt: skip


@given(st.lists(st.text("abc", min_size=1, max_size=6), max_size=20).map(" ".join))
@settings(deadline=None)
def test_a_sentence_that_fits_stays_whole(string):
    assert "".join(text.split(string, letters(string), letters)) == string
    assert len(text.split(string, letters(string), letters)) <= 1


@given(
    st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=20),
    st.integers(6, 20),
)
@settings(deadline=None)
def test_words_that_fit_are_not_cut_and_no_parts_are_needlessly_small(words, limit):
    parts = text.split(" ".join(words), limit, letters)
    assert [word for part in parts for word in part.split()] == words
    assert len(parts) <= 4 * -(-letters("".join(words)) // limit)


def test_what_is_too_long_is_cut_behind_a_clause_into_parts_of_like_size():
    string = "when it rains in the hills, we all stay at home today"
    assert text.split(string, 30, letters) == [
        "when it rains in the hills, ",
        "we all stay at home today",
    ]
    assert text.split("aa bb cc dd", 6, letters) == ["aa bb ", "cc dd"]
    assert text.split("如果今天下雨，我们就不出去", 8, len) == [
        "如果今天下雨，",
        "我们就不出去",
    ]


@given(
    st.sampled_from(
        ["e\u0301", "\U0001f44d\U0001f3fd", "न\u093f", "\U0001f469\u200d\U0001f680"]
    )
)
@settings(deadline=None)
def test_what_is_read_as_one_character_is_not_cut(character):
    parts = text.split(character * 20, 9, len)
    assert "".join(parts) == character * 20
    assert all(part == character * (len(part) // len(character)) for part in parts)


def test_a_character_above_the_limit_stays_whole():
    assert text.split("ab", 1, lambda part: 4 * len(part)) == ["a", "b"]


@given(st.text(" "), st.integers(1, 5))
@settings(deadline=None)
def test_blanks_alone_are_cut_without_loss(string, limit):
    assert "".join(text.split(string, limit, len)) == string


@given(ANY | st.text("ab. \n\t!\0"))
@settings(deadline=None)
def test_a_layout_filled_with_its_own_texts_is_the_text(raw):
    found = text.layout(raw)
    assert found.filled(found.texts) == raw
    assert len(found.gaps) == len(found.texts) + 1
    assert all(text.normalize(gap) == "" for gap in found.gaps)
    assert all(text.normalize(part) for part in found.texts)


@given(ANY | st.text("ab. \n\t!\0"))
@settings(deadline=None)
def test_texts_of_a_layout_are_within_lines_and_whole_words(raw):
    found = text.layout(raw)
    assert not any(set(part) & set("\t\n\r\u2028") for part in found.texts)
    words = [word for part in found.texts for word in text.normalize(part).split()]
    assert " ".join(words) == text.normalize(raw)


def test_lines_columns_and_wide_gaps_between_sentences_stay():
    raw = "  One  two. Three.  Four\r\n\r\n\tFive\tsix   seven\n"
    found = text.layout(raw)
    assert found.texts == ("One  two. Three.", "Four", "Five", "six", "seven")
    assert found.gaps == ("  ", "  ", "\r\n\r\n\t", "\t", "   ", "\n")
    assert found.filled(list("abcde")) == "  a  b\r\n\r\n\tc\td   e\n"


def test_a_text_without_odd_blanks_is_its_own_layout():
    raw = "One two. Dr. Three\u00a0! Four"
    assert text.layout(raw) == (("", ""), (raw,))
    assert text.layout("") == (("",), ())
    assert text.layout(" \n") == ((" \n",), ())


MIXED = st.text("ab .!?。！。नकन\u0939好吗もう、字", max_size=60).map(text.normalize)


@given(MIXED, st.integers(1, 20))
@settings(deadline=None, max_examples=300)
def test_parts_that_stay_as_they_are_rejoin_to_the_text(string, limit):
    parts = text.split(string, limit, letters)
    assert not any(part[0].isspace() for part in parts)
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
    parts = text.split("abcdefghij", 4, letters)
    assert len(parts) > 1
    assert text.rejoin(parts, [part.upper() for part in parts]) == "ABCDEFGHIJ"


def test_a_part_without_translation_leaves_no_double_space():
    assert text.rejoin(ENGLISH, ["Ja.", "", "Gut."]) == "Ja. Gut."
    assert text.rejoin(ENGLISH, ["", "Ja.", ""]) == "Ja."
    assert text.rejoin([], []) == ""
