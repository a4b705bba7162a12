"""Each rule on pairs that break it, and on pairs that must not."""

import unicodedata

import pytest
from ftfy.badness import MOJIBAKE_CATEGORIES, is_bad
from hypothesis import given
from hypothesis import strategies as st

from transformer import alphabets, faults
from transformer.faults import FREE_CHARACTERS, MAX_RATIO, RULES, Candidate
from transformer.text import normalize


def broken(rule, source, target, languages=("en", "de")):
    texts = normalize(source), normalize(target)
    return RULES[rule](Candidate((source, target), texts, languages))


BAD = {
    "empty": [("", "x"), ("x", " \x85"), ("", "")],
    "identical": [("same", " same")],
    "ratio": [("s", "l" * (FREE_CHARACTERS + 1))],
    "encoding": [
        ("x", "f\N{REPLACEMENT CHARACTER}r"), ("f\xc3\xbcr", "x"),
        ("a \x96 b", "x"), ("x", "itâ€™s"),
    ],
    "script": [("Крім того", "x"), ("dog", "नमस्ते dog")],
    "markup": [
        ("a &amp; b", "x"), ("x", "&#39;s"), ("&#x27;", "x"), ("a <b>c</b>", "x"),
        ("x", '<a href="x">'), ("<br/>", ""), ("<!-- x", "y"),
    ],
    "numbers": [("3 dogs", "4 Hunde"), ("in 1999", "damals"), ("1 and 1", "1")],
}  # fmt: skip

GOOD = {
    "empty": [("a", "b")],
    "identical": [("a", "b")],
    "ratio": [("s", "l" * FREE_CHARACTERS)],
    "encoding": [
        ("naïve “quotes” – it’s", "für Äpfel, Öl und ß"), ("x", "Noël à l’été"),
    ],
    "script": [("I say да", "Guten Tag"), ("1 2 3 …", "😀")],
    "markup": [
        ("AT&T; R&D", "a < b and c > d"), ("&nonsense;", "<http://a.b>"),
        ("I <3 you", "if a<b"),
    ],
    "numbers": [
        ("1,000 dogs", "1.000 Hunde"), ("on 05.06.2020", "am 5/6/2020"),
        ("2.5 m", "2,5 m"), ("10 000", "10.000"), ("a", "b"),
    ],
}  # fmt: skip


def each(examples):
    return [(rule, *pair) for rule, pairs in examples.items() for pair in pairs]


@pytest.mark.parametrize(("rule", "source", "target"), each(BAD))
def test_a_bad_pair_breaks_the_rule(rule, source, target):
    assert broken(rule, source, target)


@pytest.mark.parametrize(("rule", "source", "target"), each(GOOD))
def test_a_good_pair_does_not(rule, source, target):
    assert not broken(rule, source, target)


@pytest.mark.parametrize(
    ("source", "target", "languages"),
    [
        ("dog", "कुत्ता", ("en", "hi")),
        ("犬が好き", "dog", ("ja", "en-GB")),
        ("狗", "пас pas", ("zh_Hans", "sr")),
        ("whatever", "что", ("xx", "unknown")),
        ("in the year १२३४", "वर्ष 1234", ("en", "hi")),
        ("пас", "кітап kitap", ("srp_Cyrl", "kk")),
        ("kitob", "китоб", ("uz_Latn", "uz")),
    ],
)
def test_languages_may_be_in_their_scripts(source, target, languages):
    assert not broken("script", source, target, languages)


def test_a_language_may_name_its_script():
    assert broken("script", "kitob", "house", ("uz_Cyrl", "en"))


def test_numbers_may_be_grouped_as_in_india():
    assert not broken("numbers", "1,00,000 rupees", "१००००० रुपये", ("en", "hi"))
    assert broken("numbers", "10,20 people", "1020", ("en", "de"))


def test_half_a_letter_is_a_lost_one():
    assert broken("encoding", "\ud83d hi there", "hallo")


@given(st.text(st.sampled_from("".join(MOJIBAKE_CATEGORIES.values()) + "ab क漢")))
def test_no_text_of_a_wrong_encoding_is_passed_over(text):
    assert broken("encoding", text, "x") == is_bad(text) or "\ufffd" in text


def test_numbers_are_the_same_in_other_digits():
    assert not broken("numbers", "in the year 1234", "वर्ष १२३४", ("en", "hi"))
    assert broken("numbers", "in the year 1234", "वर्ष १२३५", ("en", "hi"))


def test_lengths_are_unequal_above_the_ratio_only():
    short, long = "s" * FREE_CHARACTERS, "l" * (MAX_RATIO * FREE_CHARACTERS)
    for source, target in ((short, long), (long, short)):
        assert not broken("ratio", source, target)
    assert broken("ratio", short, long + "l")
    assert broken("ratio", long + "l", short)


@given(st.text(), st.text())
def test_rules_that_treat_sides_alike_do_not_care_which_is_which(source, target):
    for rule in RULES:
        one = broken(rule, source, target, ("en", "en"))
        assert one == broken(rule, target, source, ("en", "en"))


@pytest.mark.parametrize("text", ["<a ", "&", "1,", "9", "&#1", "1 000 ", "Ã"])
def test_very_long_lines_are_looked_at_all_the_same(text):
    text *= 90_000 // len(text)
    found = faults.inspect([(text, text + "x")], ("en", "de"))
    assert len(found.broken) == 1


def test_no_language_is_written_in_a_script_that_unicode_does_not_name():
    named = {unicodedata.name(chr(code), "").split(" ")[0] for code in range(0x3100)}
    named |= {unicodedata.name(char).split()[0] for char in "一가"}
    assert set(alphabets.SCRIPTS) <= named
