"""What surrounds the words of a text comes back: blanks, tags, spans in one piece."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import checks, lines, markup, spans, text
from transformer.lines import Part, Translation
from transformer.parts import Outcome
from transformer.tasks import Found

LIMIT = 30

URL = "http://example.org/a/path/that/is/longer/than/thirty/characters"

words = st.sampled_from(["a", "dog.", "The", "cat!", URL, "{name}", "<3"])
tags = st.sampled_from(["<b>", "</b>", "<br/>", '<a\n href="x.  y">', "</a>", "<hr>"])
blanks = st.sampled_from([" ", "  ", "\n", "\r\n", "\r", "\t", "\n\n ", "   ", ""])
texts = st.lists(st.one_of(words, tags, blanks), max_size=12).map(" ".join)

property_test = settings(deadline=None)


def found(words):
    """A translation in tokens that are characters."""
    tokens = (*words, "</s>")
    return Found(words, -1.0, tuple(range(len(tokens))), (-0.5,) * len(tokens), tokens)


def same(part):
    """The part as its own translation, word for word."""
    count = len(part.split())
    return Part(Outcome([found(part.strip())], ()), [[(i, i) for i in range(count)]])


def parsed(raw):
    return lines.parse(raw, LIMIT, len)


def translated(raw, translate=same):
    line = parsed(raw)
    return lines.translation(line, [translate(part) for part in line.parts])


def blanks_of(raw):
    return [char for char in raw if char.isspace() and char != " "]


@property_test
@given(texts)
def test_a_text_that_is_its_own_translation_stays_as_it_is(raw):
    again = translated(raw)
    assert markup.kept(raw, again.text)
    if "<" not in raw.replace("<3", ""):
        assert text.normalize(again.text) == text.normalize(raw)
        assert blanks_of(again.text) == blanks_of(raw)


@property_test
@given(texts)
def test_no_part_is_too_long_unless_it_is_one_span(raw):
    for part in parsed(raw).parts:
        assert part.strip()
        assert len(part) <= LIMIT or [s.text for s in spans.find(part)] == [
            part.strip()
        ]


@property_test
@given(texts)
def test_spans_are_whole_in_the_parts(raw):
    line = parsed(raw)
    plain = [segment.marked.plain for segment in line.segments]
    of_segments = [span.text for one in plain for span in spans.find(one)]
    assert [
        span.text for part in line.parts for span in spans.find(part)
    ] == of_segments


@property_test
@given(texts, st.sampled_from(["", "dog", "ein Hund läuft"]))
def test_every_tag_comes_back_once(raw, written):
    outcome = translated(raw, lambda part: Part(Outcome([found(written)], ()), []))
    came, were = (
        sorted(tag.text for tag in markup.find(one)) for one in (outcome.text, raw)
    )
    assert came == were
    assert checks.TAG not in outcome.warnings


@pytest.mark.parametrize("pairs", [[], [(1, 0)], [(0, 0), (1, 0), (2, 1)]], ids=str)
@pytest.mark.parametrize("written", [URL, "{name} {0}", "{{ name }} ein"])
def test_no_tag_comes_into_a_span(written, pairs):
    def translate(part):
        del part
        return Part(Outcome([found(written)], ()), [pairs])

    for raw in "a <b>dog</b> runs", "a<br>dog <i>runs</i>", "<b>a</b> {name} {0}":
        outcome = translated(raw, translate)
        assert spans.missing(written, outcome.text) == ()
        assert markup.kept(raw, outcome.text)


def test_any_letter_may_stand_in_a_tag():
    raw = '<b title="\uf8ff">a</b> {name}'
    assert sorted(translated(raw).text) == sorted(raw)


@pytest.mark.parametrize("raw", ["a dog", "a <b>dog</b>", "<i>a</i>\n{name}"])
def test_a_tag_that_a_model_writes_is_told(raw):
    invented = Part(Outcome([found("ein <b>Hund")], ()), [])
    assert translated(raw, lambda part: invented).warnings == (checks.TAG,)


@pytest.mark.parametrize(
    "raw", ["<br>", "<b></b>", " <img src='a.png'>\n", "<!-- a -->"]
)
def test_tags_alone_stay(raw):
    assert translated(raw) == Translation(raw, 0.0, (), (), alignment=[])


@pytest.mark.parametrize(
    "tag", ['<a\nhref="x">', '<img alt="One.  Two.   Three">', "<!-- a\n\n b -->"]
)
def test_blanks_inside_a_tag_are_part_of_it(tag):
    line = parsed(f"\n a dog {tag} runs\n\nb")
    assert line.parts == ["a dog runs", "b"]
    assert tag in translated(f"\n a dog {tag} runs\n\nb").text


def test_a_span_in_an_attribute_is_no_part():
    (segment,) = parsed(f'see <a href="{URL}">{{name}}</a>').segments
    assert segment.parts == ("see {name}",)


def test_of_each_part_the_translation_of_a_rank_or_the_last():
    ranked = {"One. ": ["1a", "1b", "1c"], "Two": ["2a"]}

    def translate(part):
        return Part(Outcome([found(one) for one in ranked[part]], ()), [[(0, 0)]])

    best = translated("One. Two", translate)
    assert [one.text for one in (best, *best.alternatives)] == [
        "1a 2a",
        "1b 2a",
        "1c 2a",
    ]
    assert best.alignment == [(0, 0), (1, 1)]


def test_an_alternative_has_its_tags_by_its_own_alignment():
    def translate(part):
        del part
        best = [found("ein Hund"), found("Hund ein")]
        return Part(Outcome(best, ()), [[(0, 0), (1, 1)], [(0, 1), (1, 0)]])

    best = translated("a <b>dog</b>", translate)
    assert best.text == "ein <b>Hund</b>"
    assert best.alternatives[0].text == "<b>Hund</b> ein"


@property_test
@given(texts, st.sampled_from(["", "x", "x y", "x y z"]))
def test_aligned_words_are_there(raw, written):
    def translate(part):
        i, j = len(part.split()), len(written.split())
        every = [(a, b) for a in range(i) for b in range(j)]
        return Part(Outcome([found(written)], ()), [every])

    line, one = parsed(raw), translated(raw, translate)
    source = sum(len(segment.marked.plain.split()) for segment in line.segments)
    target = len([word for word in one.tokens if word == "x"]) * len(written.split())
    assert one.alignment == sorted(set(one.alignment or []))
    for i, j in one.alignment or []:
        assert 0 <= i < source
        assert 0 <= j < target


def test_scores_are_means_and_warnings_are_told_once():
    def translate(part):
        warnings = (checks.LOOP, checks.TRUNCATED) if part == "b" else (checks.LOOP,)
        return Part(Outcome([found(part)], warnings), [])

    one = translated("a\nb\nc", translate)
    assert one.score == -1.0
    assert one.warnings == (checks.LOOP, checks.TRUNCATED)
    assert one.tokens == ("a", "</s>", "b", "</s>", "c", "</s>")
    assert one.confidence == pytest.approx(0.6065, abs=1e-4)


def test_there_is_no_confidence_in_what_was_not_found():
    nothing = Part(Outcome([Found("", -1e38, (), (), ())], (checks.IMPOSSIBLE,)), [])
    assert translated("a", lambda part: nothing).confidence == 0


def test_a_long_document_comes_back_whole():
    raw = "The dog sees <b>a cat</b> and {name}. It runs!\n\n" * 2000
    assert translated(raw).text == raw
