"""Spans out of a sentence and back into its translation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import lifting, links, spans
from transformer.text import normalize

SPANS = ["{name}", "{0}", "http://a.b/c?d=e", "x@y.de", "%s", "{{ x }}", "&amp;"]
WORDS = ["a", "dog", "läuft", "दो", "我们", "12"]
SIGNS = [" ", ", ", ". ", "(", ")", "“", "-", "! ", ""]

sentences = st.lists(st.sampled_from(SPANS + WORDS + SIGNS), max_size=9).map("".join)
plain_texts = st.lists(st.sampled_from(WORDS + SIGNS), max_size=9).map("".join)
pairs = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4)


def lifted(text):
    return lifting.lift(text, spans.find(text))


def alike(text):
    """Links of a text with itself."""
    places = zip(*links.atoms(text), strict=True)
    return [links.Link(place, place) for place in places]


@given(st.lists(st.sampled_from(SPANS) | st.text("xyz", min_size=1)).map(" ".join))
@settings(deadline=None)
def test_what_was_lifted_comes_back_where_it_was(text):
    without = lifted(text)
    assert not spans.find(without.plain)
    assert normalize(without.plain) == without.plain
    assert lifting.restore(without.plain, without, alike(without.plain)) == text


@given(sentences.map(normalize), plain_texts.map(normalize), pairs)
@settings(deadline=None)
def test_nothing_is_lost_wherever_it_is_put(text, translation, pairs):
    without = lifted(text)
    found = links.by_words(without.plain, translation, pairs)
    restored = lifting.restore(translation, without, found)
    everything = "".join(run.text for run in without.runs) + translation
    assert sorted("".join(restored.split())) == sorted("".join(everything.split()))
    assert normalize(restored) == restored


@pytest.mark.parametrize(
    ("source", "plain", "translation", "restored"),
    [
        ("Hi {name}, welcome!", "Hi, welcome!", "Hallo, willkommen!",
         "Hallo {name}, willkommen!"),
        ("{name}, see it", "see it", "sieh es", "{name}, sieh es"),
        ("{0}: see it", "see it", "sieh es", "{0}: sieh es"),
        ("See it now ({x}).", "See it now.", "Sieh es jetzt.",
         "Sieh es jetzt ({x})."),
        ("the {a} dog", "the dog", "der Hund", "der {a} Hund"),
        ("{n}s dogs", "s dogs", "s Hunde", "{n}s Hunde"),
        ("see a{x}b", "see a b", "siehe a b", "siehe a{x}b"),
        ("“{a}” is {b}", "is", "ist", "“{a}” ist {b}"),
        ("{a}, {b} and {c}{d}!", "and!", "und!", "{a}, {b} und {c}{d}!"),
        ("the {a} dog", "the dog", "我们", "我们 {a}"),
        ("我{a}们", "我 们", "a dog", "a {a} dog"),
        ("{a}", "", "", "{a}"),
        ("{a} dog", "dog", "", "{a}"),
    ],
)  # fmt: skip
def test_a_sentence_is_whole_without_its_spans(source, plain, translation, restored):
    without = lifted(source)
    assert without.plain == plain
    found = links.by_words(plain, translation, [(i, i) for i in range(9)])
    assert lifting.restore(translation, without, found) == restored


@pytest.mark.parametrize("pairs", [[], [(0, 0)], [(0, 0), (1, 0)]], ids=str)
def test_a_span_comes_into_no_word(pairs):
    without = lifted("the {a} shirt")
    for translation in "T-Shirt", "don't", "x.y.z", "1,000":
        found = links.by_words(without.plain, translation, pairs)
        restored = lifting.restore(translation, without, found)
        assert restored in (f"{{a}} {translation}", f"{translation} {{a}}")
