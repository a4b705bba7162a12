"""Neighbours are words in the same direction; a map keeps what is apart, apart."""

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from transformer import lexicons, neighbours, tokenizer
from transformer.errors import InputError
from transformer.neighbours import Lexicon, around, cosines, plane, script
from transformer.tokenizer import Tokenizers


@pytest.fixture(scope="module")
def lexicon():
    tokenizer = tiny.tokenizers().source
    table = np.random.default_rng(0).normal(size=(tokenizer.size, 16))
    return Lexicon(tokenizer, table)


def test_neighbours_are_whole_words_nearest_first_and_not_the_word_itself(lexicon):
    ids = lexicon.tokenizer.encode("dog")
    everywhere = np.ones(len(lexicon.words), bool)
    found = lexicon.nearest(ids, 5, everywhere)
    assert len(found) == 5
    values = [one.cosine for one in found]
    assert values == sorted(values, reverse=True)
    every = cosines(lexicon.table, lexicon.vector(ids)[None])
    every[ids] = -1
    assert values[0] == every[lexicon.words].max()
    assert not {one.id for one in found} & set(ids)
    assert all(lexicon.tokenizer.piece(one.id) == f"▁{one.text}" for one in found)


def test_words_are_words_in_every_script_and_nothing_else_is():
    pieces = {"▁कुत्ता": True, "▁dog": True, "▁it's": True, "dog": False, "▁a": False}
    pieces |= {"▁12": False, "▁!": False, "▁": False, "<0x7B>": False, "</s>": False}
    assert {piece: neighbours._word(piece) for piece in pieces} == pieces


def test_no_more_neighbours_than_there_are_words(lexicon):
    found = lexicon.nearest([5], 10_000, lexicon.scripts()["LATIN"])
    assert {script(one.text) for one in found} == {"LATIN"}
    assert len(found) == lexicon.scripts()["LATIN"].sum()


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 9))
def test_a_map_of_what_lies_in_a_plane_keeps_distances(count, dim, seed):
    random = np.random.default_rng(seed)
    flat = random.normal(size=(count, min(2, dim)))
    turned, _ = np.linalg.qr(random.normal(size=(dim, dim)))
    places = plane(flat @ turned[: flat.shape[1]])

    def distances(points):
        return np.linalg.norm(points[:, None] - points[None], axis=-1)

    np.testing.assert_allclose(distances(places), distances(flat), atol=1e-9)


def test_a_map_has_each_word_once_with_its_neighbours_behind(lexicon):
    words = [(w, lexicon.tokenizer.encode(w)) for w in "the dog sees the cat".split()]
    places = around(lexicon, words, 3)
    texts = [place.text for place in places]
    assert texts[:4] == ["the", "dog", "sees", "cat"]
    assert len(set(texts)) == len(texts)
    named = {one.text for place in places for one in place.neighbours or ()}
    assert named <= set(texts)
    assert around(lexicon, [], 3) == ()


def test_a_word_has_neighbours_in_each_script_and_a_text_has_none():
    translator = tiny.translator()
    found = lexicons.neighbours(translator, "dog", 4)
    assert set(found.by_script) == {"LATIN", "DEVANAGARI"}
    assert found.translation == translator.translate(["dog"])[0].text
    for text in ("", "a dog"):
        with pytest.raises(InputError, match="one word"):
            lexicons.neighbours(translator, text)


def test_a_vocabulary_of_its_own_for_the_target_has_its_own_words():
    source = tiny.tokenizers().source
    target = tokenizer.train(["ein Hund läuft"], vocab_size=300, kind="bpe")
    translator = tiny.translator(source_vocab_size=source.size)
    translator.tokenizers = Tokenizers(source, target)
    read, written = lexicons.lexicons(translator)
    assert read.tokenizer.model == source.model != written.tokenizer.model
    assert not np.array_equal(read.table, written.table)
