"""Tags: taken out and put back, each once, well nested whatever the links."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import markup, placing
from transformer.links import Link, atoms, by_words
from transformer.text import normalize

ODD = st.text() | st.text("ab <>/!-='\"[]?&; \n")
WORDS = st.text("abc 1.,你", max_size=8)
LEAVES = st.sampled_from(
    ["<br/>", "<br>", '<img alt="a>b"/>', "<!-- <b> -->", "<x/>", "<![CDATA[<i>]]>"]
)
PAIRS = [("<b>", "</b>"), ("<i>", "</i>"), ("<a href='x y'>", "</a>"), ("<p>", "</p >")]


def well_formed(words):
    return st.recursive(
        words | LEAVES,
        lambda inner: (
            st.tuples(st.sampled_from(PAIRS), inner).map(
                lambda x: x[0][0] + x[1] + x[0][1]
            )
            | st.lists(inner, max_size=4).map("".join)
        ),
        max_leaves=12,
    )


WELL_FORMED = well_formed(WORDS)
TAGGED = WELL_FORMED | st.lists(
    WORDS | LEAVES | st.sampled_from([tag for pair in PAIRS for tag in pair])
).map("".join)
PLACE = st.tuples(st.integers(-1, 30), st.integers(-1, 30))
LINKS = st.lists(st.builds(Link, PLACE, PLACE), max_size=12)


def texts(string):
    return [tag.text for tag in markup.find(string)]


def solid(string):
    """Without any blanks."""
    return "".join(string.split())


@pytest.mark.parametrize(
    "tag",
    [
        "<b>", "</b>", "</B >", "<br/>", "<br />", "<x:y z='1'>", '<a href="x>y">',
        "<a b=c d='e'>", "<input disabled>", "<!-- a <b> c -->", "<!DOCTYPE html>",
        "<?php a > b ?>", "<![CDATA[ a </b> ]]>", "<a\nb = 'c'\n>", "<ph-1>",
    ],
)  # fmt: skip
def test_a_tag_is_found_wherever_it_stands(tag):
    for whole in (tag, f"a {tag} b", f"a{tag}b", f"< {tag}>", f"<3{tag}<"):
        assert texts(whole) == [tag]


@pytest.mark.parametrize(
    "text",
    ["a < b", "<3", "a <b and c> d", "<", "<>", "</>", "<!-- a", "<a b='c>", "< b>",
     "<http://a.b>", "<a@b.de>", "x<y", "<![CDATA[ a"],
)  # fmt: skip
def test_what_only_looks_like_a_tag_is_text(text):
    assert texts(text) == []
    assert markup.strip(text).plain == text


@given(ODD | TAGGED)
@settings(deadline=None)
def test_stripping_leaves_normal_text_and_every_tag_in_order(text):
    marked = markup.strip(text)
    assert [mark.text for mark in marked.marks] == texts(text)
    assert marked.plain == " ".join(marked.plain.split(" ")).strip()
    positions = [mark.position for mark in marked.marks]
    assert positions == sorted(positions)
    if not marked.marks:
        assert marked.plain == normalize(text)


@given(TAGGED)
@settings(deadline=None)
def test_the_words_stay_when_tags_go(text):
    ends = [0, *(tag.end for tag in markup.find(text))]
    begins = [*(tag.begin for tag in markup.find(text)), len(text)]
    words = [text[end:begin] for end, begin in zip(ends, begins, strict=True)]
    plain = markup.strip(text).plain
    assert solid(normalize(plain)) == solid(normalize("".join(words)))


@given(ODD | TAGGED, WORDS | ODD, LINKS)
@settings(deadline=None)
def test_a_restored_text_has_every_tag_and_every_word_once(source, translation, links):
    marked = markup.strip(source)
    restored = placing.restore(translation, marked, links)
    tags = "".join(mark.text for mark in marked.marks)
    assert Counter(solid(restored)) == Counter(solid(translation + tags))
    if not texts(translation) and "<" not in translation:
        assert Counter(texts(restored)) == Counter(texts(source))


@given(WELL_FORMED, WORDS, LINKS)
@settings(deadline=None, max_examples=300)
def test_what_was_well_formed_stays_so_whatever_the_links(source, translation, links):
    restored = placing.restore(translation, markup.strip(source), links)
    assert markup.kept(source, restored)


@given(well_formed(WORDS.map(lambda words: f" {words} ")))
@settings(deadline=None)
def test_a_text_linked_to_itself_gets_its_tags_back_in_order(source):
    marked = markup.strip(source)
    links = [Link(place, place) for place in zip(*atoms(marked.plain), strict=True)]
    for every in links, []:
        restored = placing.restore(marked.plain, marked, every)
        assert texts(restored) == texts(source)


def restored(source, translation, pairs):
    marked = markup.strip(source)
    return placing.restore(
        translation, marked, by_words(marked.plain, translation, pairs)
    )


SAME = [(i, i) for i in range(9)]


@pytest.mark.parametrize(
    ("source", "translation", "pairs", "expected"),
    [
        ("A <b>dog</b> runs.", "Ein Hund rennt.", SAME, "Ein <b>Hund</b> rennt."),
        ("A <b>dog</b>.", "Ein Hund.", SAME, "Ein <b>Hund</b>."),
        ("<i>red</i> <b>car</b>", "voiture rouge", [(0, 1), (1, 0)],
         "<b>voiture</b> <i>rouge</i>"),
        ("<u>a <b>red</b> car</u> runs", "une voiture rouge roule",
         [(0, 0), (1, 2), (2, 1), (3, 3)], "<u>une voiture <b>rouge</b></u> roule"),
        ("<b>turn off</b> the <i>light</i>", "schalte das Licht aus",
         [(0, 0), (1, 3), (2, 1), (3, 2)], "<b>schalte</b> das <i>Licht</i> aus"),
        ("<b>A</b>dog", "Ein Hund", [(0, 0), (0, 1)], "<b>Ein Hund</b>"),
        ("H<sub>2</sub>O, x<sup>2</sup>.", "H2O, x2.", SAME,
         "H<sub>2</sub>O, x<sup>2</sup>."),
        ("One.<br>Two.", "Eins. Zwei.", SAME, "Eins.<br>Zwei."),
        ("<p>One.</p><p>Two.</p>", "Eins. Zwei.", SAME, "<p>Eins.</p><p>Zwei.</p>"),
        ("word<ref/> next <img/>last", "Wort dann Ende", SAME,
         "Wort<ref/> dann <img/>Ende"),
        ("<b>Hello</b> world", "你好世界", [], "<b>你好</b>世界"),
        ("a <b>dog</b> runs", "ein Hund rennt", [], "ein <b>Hund</b> rennt"),
        ("a <b>dog</b>", "ein Hund", [(7, 0), (0, 7), (-1, 0)], "ein <b>Hund</b>"),
        ("a <b>c</b>", "", SAME, "<b></b>"),
    ],
)  # fmt: skip
def test_tags_go_where_their_words_went(source, translation, pairs, expected):
    assert restored(source, translation, pairs) == expected


def test_what_is_lost_invented_or_nested_otherwise_is_not_kept():
    source = "<b>a <i>c</i></b> <i>d</i>"
    assert markup.kept(source, "<i>x</i> <b><i>y</i> z</b>")
    assert not markup.kept(source, "<b>a <i>c</i></b> d")
    assert not markup.kept(source, source + "<br>")
    assert not markup.kept(source, "<b>a</b> <i>c</i> <i>d</i>")
    assert not markup.kept(source, "<b>a <i>c</b></i> <i>d</i>")
    assert markup.kept("<b>a</i>", "</i>a<b>")


def test_the_deepest_nesting_is_no_deeper_than_the_stack():
    source = "<b>a " * 1200 + "</b>" * 1200
    marked = markup.strip(source)
    assert markup.kept(source, restored(source, marked.plain, SAME))
