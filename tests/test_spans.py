"""Protected spans: found, missed, put right, and surely kept by pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import links, markup, placing, spans
from transformer.placing import Marked
from transformer.text import normalize

SPANS = {
    "url": ["http://a.b/c?d=e%20f", "https://x.org/(y)", "www.a-b.de", "example.com"],
    "email": ["bob.x+y@ex-a.co.uk", "mailto:a@b.de"],
    "placeholder": [
        "{name}", "{0}", "{}", "{{x}}", "{{ x }}", "${x}", "%{x}", "{a.b[0]!r:>9}",
        "{% if x %}", "{{{x}}}",
    ],
    "printf": ["%s", "%d", "%1$s", "%(name)s", "%@", "%ld", "%-5.2f", "%%"],
    "entity": ["&amp;", "&nbsp;", "&#39;", "&#x1F600;"],
    "number": ["12 km", "3.5%", "1,000.50 €", "-3 °C", "12:30", "2024-01-05", "7"],
}  # fmt: skip
EACH = [(kind, text) for kind, texts in SPANS.items() for text in texts]
ALL = [text for kind, texts in SPANS.items() if kind != "number" for text in texts]
ODD = st.text() | st.text("ab1 {}%$&;@.:/\\#-()www")
MIXED = st.lists(st.sampled_from(ALL) | ODD).map(" ".join)


@pytest.mark.parametrize(("kind", "text"), EACH)
def test_each_kind_is_found_whole_wherever_it_stands(kind, text):
    for before, behind in (("", ""), ("Siehe ", "."), ("(", ")"), ("„", "“ da")):
        whole = f"{before}{text}{behind}"
        span = spans.Span(len(before), len(before) + len(text), text, kind)
        assert spans.find(whole, (kind,)) == (span,)
        assert [found[2:] for found in spans.find(whole, spans.WITH_NUMBERS)] == [
            (text, kind)
        ]


@pytest.mark.parametrize(
    "text",
    [
        "100% sure", "100%sure, 50 %sicher", "AT&T; R&D", "{two words}", "a@b", "x.y",
        "5 < 6 {", "The end.Com", "$ 5", "&foo; &;", "://", "http://", "@name", "12",
    ],
)  # fmt: skip
def test_plain_text_has_no_spans(text):
    assert spans.find(text) == ()


@given(MIXED)
@settings(deadline=None)
def test_spans_are_parts_of_the_text_from_left_to_right(text):
    last = 0
    for begin, end, part, _ in spans.find(text, spans.WITH_NUMBERS):
        assert last <= begin < end
        assert text[begin:end] == part
        last = end


@given(MIXED)
@settings(deadline=None)
def test_a_copy_lacks_nothing_and_an_empty_text_everything(text):
    every = [span.text for span in spans.find(text)]
    assert spans.missing(text, text) == spans.invented(text, text) == ()
    assert sorted(spans.missing(text, "")) == sorted(spans.invented("", text))
    assert sorted(spans.missing(text, "")) == sorted(every)


def test_a_span_has_to_come_over_as_often_and_unchanged():
    assert spans.missing("{a} {a} %s", "{a} {A}") == ("{a}", "%s")
    assert spans.invented("{a} {a} %s", "{a} {A}") == ("{A}",)
    assert spans.invented("see http://a.b", "siehe http://a.b/c") == ("http://a.b/c",)
    assert spans.missing("12 km {a}", "13 km {a}") == ()
    assert spans.missing("12 km", "13 km", spans.WITH_NUMBERS) == ("12 km",)


@given(MIXED, MIXED)
@settings(deadline=None)
def test_a_repair_never_makes_it_worse(source, translation):
    repaired = spans.repaired(source, translation)
    faults = len(spans.missing(source, translation))
    assert len(spans.missing(source, repaired)) <= faults
    if not faults:
        assert repaired == translation


@pytest.mark.parametrize(
    ("source", "translation", "repaired"),
    [
        ("Hi {name}!", "Hallo { Name }!", "Hallo {name}!"),
        ("%d of %d", "% d von % d", "%d von %d"),
        ("Tom &amp; Jo", "Tom & amp ; Jo", "Tom &amp; Jo"),
        ("at http://a.b/c", "bei http: //a. b/C.", "bei http://a.b/c."),
        ("a {name}", "ein {nom}", "ein {name}"),
        ("%s and {x}", "{y} und %d", "{x} und %s"),
        ("{a} {b}", "{c} {d}", "{c} {d}"),
        ("{a} {a}", "{A}", "{A}"),
        ("a %s", "100 % sicher", "100 % sicher"),
        ("a {x}", "ein x", "ein x"),
    ],
)
def test_only_what_is_clear_is_repaired(source, translation, repaired):
    assert spans.repaired(source, translation) == repaired


@given(MIXED)
@settings(deadline=None)
def test_pieces_filled_with_themselves_are_the_text(text):
    pieces = spans.pieces(text, spans.find(text))
    assert pieces.filled(pieces.texts) == text
    assert all(any(map(str.isalpha, piece)) for piece in pieces.texts)


@given(st.lists(st.sampled_from(ALL) | st.text("ab ,")).map(" ".join))
@settings(deadline=None)
def test_pieces_keep_every_span_whatever_their_translation(text):
    found = spans.find(text)
    pieces = spans.pieces(text, found)
    filled = pieces.filled(["Wort"] * len(pieces.texts))
    assert [span.text for span in spans.find(filled)] == [span.text for span in found]


def test_blanks_and_punctuation_beside_a_span_stay_with_it():
    text = "Click {x}, then: {y}. Is it (see http://a.b) so? {z} 12."
    pieces = spans.pieces(text, spans.find(text))
    assert pieces.texts == ("Click", "then", "Is it (see", "so?")
    assert pieces.filled(["A", "B", "C", "D?"]) == (
        "A {x}, B: {y}. C http://a.b) D? {z} 12."
    )
    assert spans.pieces("%s", spans.find("%s")) == (("%s",), ())
    assert spans.pieces("हिन्दी {x}", spans.find("हिन्दी {x}")).texts == ("हिन्दी",)


def lifted(text):
    marked = markup.strip(text)
    return spans.lift(marked, spans.find(marked.plain))


def alike(text):
    """Links of a text with itself."""
    places = zip(*links.atoms(text), strict=True)
    return [links.Link(place, place) for place in places]


@given(st.lists(st.sampled_from(ALL) | st.text("xyz", min_size=1)).map(" ".join))
@settings(deadline=None)
def test_what_was_lifted_comes_back_where_it_was(text):
    marked = spans.lift(Marked(text, ()), spans.find(text))
    assert not spans.find(marked.plain)
    assert normalize(marked.plain) == marked.plain
    assert placing.restore(marked.plain, marked, alike(marked.plain)) == text


TAGS = st.sampled_from(["<b>", "</b>", "<i>", "</i>", "<br/>", "(", ")", "“", "”", " "])


@given(
    st.lists(st.sampled_from(ALL) | TAGS | st.text("xy ,.", max_size=3)).map("".join),
    st.text("ab ,.你", max_size=9),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=4),
)
@settings(deadline=None)
def test_nothing_lifted_is_lost_wherever_it_is_put(text, translation, pairs):
    marked = lifted(text)
    found = links.by_words(marked.plain, translation, pairs)
    restored = placing.restore(translation, marked, found)
    for mark in marked.marks:
        assert mark.text in restored
    everything = "".join(mark.text for mark in marked.marks) + translation
    assert sorted("".join(restored.split())) == sorted("".join(everything.split()))
    assert [mark.position for mark in marked.marks] == sorted(
        mark.position for mark in marked.marks
    )


@pytest.mark.parametrize(
    ("source", "plain", "translation", "restored"),
    [
        ("Hi {name}, welcome!", "Hi, welcome!", "Hallo, willkommen!",
         "Hallo {name}, willkommen!"),
        ("See <b>{x}</b> now (http://a.b).", "See now.", "Siehe jetzt.",
         "Siehe <b>{x}</b> jetzt (http://a.b)."),
        ("<i>the {a}</i> dog", "the dog", "der Hund", "<i>der {a}</i> Hund"),
        ("{n}s dogs", "s dogs", "s Hunde", "{n}s Hunde"),
        ("“{a}” is {b}", "is", "ist", "“{a}” ist {b}"),
        ("{a}", "", "", "{a}"),
    ],
)  # fmt: skip
def test_a_sentence_is_whole_without_its_spans(source, plain, translation, restored):
    marked = lifted(source)
    assert marked.plain == plain
    found = links.by_words(plain, translation, [(i, i) for i in range(9)])
    assert placing.restore(translation, marked, found) == restored
