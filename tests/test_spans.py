"""Protected spans: found, missed, and put right."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import spans

SPANS = {
    "url": ["http://a.b/c?d=e%20f", "https://x.org/(y)", "www.a-b.de", "example.com"],
    "email": ["bob.x+y@ex-a.co.uk", "mailto:a@b.de"],
    "placeholder": [
        "{name}", "{0}", "{}", "{{x}}", "{{ x }}", "${x}", "%{x}", "{a.b[0]!r:>9}",
        "{% if x %}", "{{{x}}}", "{0, date}", "{value: .2f}", "{n, number, percent}",
        "{n, plural, one {# dog} other {# dogs}}", "{who, select, a {his} other {its}}",
    ],
    "printf": [
        "%s", "%d", "%1$s", "%(name)s", "%(my name)s", "%@", "%ld",
        "%-5.2f", "%%",
    ],
    "entity": ["&amp;", "&nbsp;", "&#39;", "&#x1F600;"],
    "number": [
        "12 km", "3.5%", "1,000.50 €", "12 km/h", "5 m/s", "-3 °C", "12:30",
        "2024-01-05", "7",
    ],
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


@pytest.mark.parametrize("text", SPANS["printf"])
def test_a_conversion_is_found_behind_a_number(text):
    span = spans.Span(2, 2 + len(text), text, "printf")
    assert spans.find(f"3 {text} of 4") == (span,)


@pytest.mark.parametrize(
    "text",
    [
        "100% sure", "100%sure, 50 %sicher", "AT&T; R&D", "{two words}", "a@b", "x.y",
        "5 < 6 {", "{yes, no}", "{a: or so}", "{Mr: Smith}",
        "{x, date of birth, name}", "{time, number of days}", "rate %(see note)all",
        "{n, plural, {", "The end.Com",
        "$ 5", "&foo; &;", "://", "http://", "@name", "12",
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
    assert spans.missing(text, text) == ()
    assert sorted(spans.missing(text, "")) == sorted(every)


def test_a_span_has_to_come_over_as_often_and_unchanged():
    assert spans.missing("{a} {a} %s", "{a} {A}") == ("{a}", "%s")
    assert spans.missing("see http://a.b", "siehe http://a.b/c") == ("http://a.b",)
    assert spans.missing("12 km {a}", "13 km {a}") == ()
    assert spans.missing("12 km", "13 km", spans.WITH_NUMBERS) == ("12 km",)


def test_a_span_may_not_come_over_more_often_either():
    assert spans.carried("{a} {b} or {a}", "{b} {a} oder {a}")
    assert not spans.carried("{a} or {b}", "{a} oder {b} {a}")
    assert not spans.carried("{a} or {b}", "{a} oder")
    assert spans.carried("{a}", "{a} {c}")  # no span of the source
    asked = "The 2 dogs and two cats", "Die 2 Hunde und 2 Katzen", spans.WITH_NUMBERS
    assert spans.carried(*asked)  # a number may have stood there in words


@pytest.mark.parametrize(
    ("source", "translation", "repaired"),
    [
        ("3.5 km", "3,5 Kilometer", "3,5 Kilometer"),
        ("12 km", "7.5 miles", "7.5 miles"),
        ("12 km", "13 km", "12 km"),
        ("12", "13 km", "13 km"),
    ],
)
def test_a_number_is_put_right_only_where_no_unit_is_doubled_or_lost(
    source, translation, repaired
):
    assert spans.repaired(source, translation, spans.WITH_NUMBERS) == repaired


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
        ("at http://a.b/c", "bei http://a.b /c", "bei http://a.b/c"),
        ("see www.a.org/b", "siehe www.a.org - b", "siehe www.a.org - b"),
    ],
)
def test_only_what_is_clear_is_repaired(source, translation, repaired):
    assert spans.repaired(source, translation) == repaired


def test_what_a_repetition_began_and_did_not_end_is_no_part_of_a_span():
    texts = ("12-", "12-}", "a@b.de.", "see a.com.")
    found = [spans.find(text, spans.WITH_NUMBERS) for text in texts]
    words = [[span.text for span in each] for each in found]
    assert words == [["12"], ["12"], ["a@b.de"], ["a.com"]]
