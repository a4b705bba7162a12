"""The page of a sentence: texts stay text, numbers are all there, it stays small."""

import base64
import re

import invented
import numpy as np
import pytest
from invented import HOSTILE
from webpages import Page

from transformer import panels
from transformer.panels import beams, looks, maps, pixels

TWENTY = " ".join(f"word{n}" for n in range(20))
THIRTY = " ".join(f"wort{n}" for n in range(30))
KINDS = ["reading", "writing", "between"]


@pytest.fixture(scope="module")
def base():
    """As large as the base model, and a sentence of twenty words."""
    return invented.explanation(TWENTY, THIRTY, layers=6, num_heads=8, dim=512)


def page(*texts):
    explanations = [invented.explanation(text, text[::-1]) for text in texts]
    return panels.page(explanations, None)


def scripts(html):
    found = Page(html)
    return [dict(attrs) for tag, attrs in found.elements if tag == "script"]


def test_a_sentence_of_twenty_words_takes_less_than_two_megabytes(base):
    assert len(panels.page([base], None).encode()) < 2_000_000


def test_the_script_has_every_weight_of_every_head(base):
    [drawn] = Page(panels.page([base], None)).data("looks")
    assert [look["key"] for look in drawn] == KINDS
    [part] = base.parts
    weights = part.encoder.attention, part.decoder.attention, part.decoder.cross
    for look, expected in zip(drawn, weights, strict=True):
        shape = look["layers"], look["heads"], len(look["from"]), len(look["to"])
        found = np.frombuffer(base64.b64decode(look["weights"]), np.uint8)
        np.testing.assert_allclose(found.reshape(shape) / 255, expected, atol=1 / 500)


def test_what_writes_looks_at_what_was_written_before():
    [[_, writing, between]] = Page(page("a b")).data("looks")
    assert writing["from"] == writing["to"] == ["<s>", "▁b", "▁a"]
    assert between["from"] == ["▁b", "▁a", "</s>"]
    assert between["to"] == ["▁a", "▁b", "</s>"]


def test_of_a_long_text_averages_are_shown(base, monkeypatch):
    monkeypatch.setattr(looks, "MOST", 50_000)
    [drawn] = Page(panels.page([base], None)).data("looks")
    assert {(look["layers"], look["heads"]) for look in drawn} == {(6, 1)}
    monkeypatch.setattr(looks, "MOST", 5_000)
    html = panels.page([base], None)
    [drawn] = Page(html).data("looks")
    assert {(look["layers"], look["heads"]) for look in drawn} == {(1, 1)}
    assert "shown as their average" in html


@pytest.mark.parametrize(
    "text", [HOSTILE, "x" * 2000, "שלום עולם", "🏳️‍🌈 \x00", "", " "]
)
def test_any_text_is_shown_as_text_and_adds_nothing_that_runs(text):
    plain, html = page("a b"), page(text)
    assert scripts(html) == scripts(plain)
    tags = {tag for tag, _ in Page(html).elements}
    assert tags <= {tag for tag, _ in Page(page("a b", "")).elements}
    attributes = {name for _, attrs in Page(html).elements for name in attrs}
    assert (
        not {name for name in attributes if name.startswith("on")}
        | {"style"} & attributes
    )
    assert Page(html).policy == Page(plain).policy
    shown = re.sub(r"\s", "", "".join(Page(html).inside))
    assert re.sub(r"\s", "", text[:50]) in shown


def test_a_comparison_is_text_too():
    compared = invented.comparison(HOSTILE, HOSTILE[::-1], HOSTILE)
    html = panels.page([], compared)
    assert scripts(html) == scripts(panels.page([], None))
    assert HOSTILE in "".join(Page(html).inside)


def test_nothing_is_loaded():
    found = Page(page(HOSTILE, "a b"))
    policy = found.policy
    assert policy["default-src"] == ["'none'"] and policy["img-src"] == ["data:"]
    addresses = [
        attrs[name]
        for _, attrs in found.elements
        for name in ("src", "href", "srcset")
        if name in attrs
    ]
    assert all(one.startswith(("data:", "#")) for one in addresses)


def test_without_a_script_every_sentence_has_every_panel():
    html = page("the bank", "a dog")
    for title in ("tokens", "map", "positions", "attention", "roles", "alignment"):
        assert f'id="s0-{title}"' in html and f'id="s1-{title}"' in html
    assert "hidden" not in dict(
        next(attrs for tag, attrs in Page(html).elements if tag == "article")
    )


def test_ids_are_given_once_and_what_is_referred_to_is_there():
    elements = Page(page("the bank", "a dog", "")).elements
    ids = [attrs["id"] for _, attrs in elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    named = {
        attrs["aria-labelledby"] for _, attrs in elements if "aria-labelledby" in attrs
    }
    assert named <= set(ids)


def test_every_panel_says_in_two_sentences_what_one_sees():
    html = page("the bank")
    count = html.count('<section class="panel')
    texts = re.findall(r'<p class="plain">\n(.*?)\n(.*?)\n</p>', html)
    assert len(texts) == count == 8
    assert all(text.endswith(".") for pair in texts for text in pair)


def test_labels_of_a_map_are_left_out_where_there_is_no_room():
    spots = maps.spots(invented.places([f"word{n}" for n in range(40)]))
    assert any(spot.crowded for spot in spots)
    assert not any(spot.crowded for spot in maps.spots(invented.places(["a", "b"])))
    for spot in spots:
        assert 0 <= spot.x <= 100 and 0 <= spot.y <= maps.HEIGHT


def test_places_that_are_all_the_same_are_in_the_middle():
    [own, other] = invented.places(["word"])
    spots = maps.spots([own._replace(x=0.0, y=0.0), other._replace(x=0.0, y=0.0)])
    assert {(spot.x, spot.y) for spot in spots} == {(50.0, maps.HEIGHT / 2)}


def test_no_tree_is_drawn_of_what_no_search_found():
    with_tree = invented.explanation("a b", "b a")
    (part,) = with_tree.parts
    copied = with_tree._replace(parts=(part._replace(tree=None, branches=()),))
    trees = [panels.page([one], None).count('-tree"') for one in (with_tree, copied)]
    assert trees[0] > 0 == trees[1]


def test_a_tree_is_drawn_with_its_paths_and_what_was_found_on_top():
    tree = invented.tree(4)
    drawn = beams.drawn(tree, ["▁a", "▁b"] * 4)
    assert [branch.fate for branch in drawn.branches[-4:]] == ["best"] * 4
    assert drawn.branches[-1].text == "a a a a"
    by_number = {branch.number: branch for branch in drawn.branches}
    for branch in drawn.branches:
        x, y = drawn.root
        if branch.parent >= 0:
            x, y = by_number[branch.parent].x, by_number[branch.parent].y
        assert branch.line.startswith(f"M{x} {y}C")
        assert branch.line.endswith(f" {branch.x} {branch.y}")
        assert branch.x < drawn.width and branch.y < drawn.height


def test_words_are_put_together_from_their_tokens():
    tokens = invented.tokens("the größte bank")
    pieces = tokens._replace(
        pieces=("▁the", "▁größ", "te", "▁bank", "</s>"),
        spans=((0, 3), (4, 10), (10, 12), (13, 17), (17, 17)),
        words=(0, 1, 1, 2, 3),
    )
    assert looks.words(pieces) == ["the", "größte", "bank"]


def test_pictures_tell_signs_and_sizes():
    picture = pixels.signed(np.array([[-1.0, 0.0, 0.5], [2.0, 0.0, -0.1]]), 1.0)
    assert picture.startswith("data:image/png;base64,")
    same = pixels.signed(np.array([[-9.0, 0.0, 0.5], [1.0, 0.0, -0.1]]), 1.0)
    other = pixels.signed(np.array([[1.0, 0.0, 0.5], [1.0, 0.0, -0.1]]), 1.0)
    assert picture == same != other


@pytest.mark.parametrize(
    ("dim", "shape"), [(128, (8, 16)), (512, (16, 32)), (7, (1, 7))]
)
def test_a_vector_is_folded_as_near_to_a_square_as_it_can_be(dim, shape):
    vector = np.arange(dim)
    folded = pixels.folded(vector.astype(float))
    assert folded.shape == shape
    np.testing.assert_array_equal(folded.ravel(), vector)
