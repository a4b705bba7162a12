"""Alignments link words of the text, by where the network itself looks."""

import dataclasses
from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import (
    ModelConfig,
    Transformer,
    alignments,
    reference,
    scoring,
    text,
    tokenizer,
    weights,
)
from transformer.reference import network
from transformer.symbols import BOS
from transformer.tokenizer import Tokenizers

LONGEST = 32
PAIRS = [
    ("a dog runs", "ein Hund läuft"),
    ("the cat", "die Katze"),
    ("the cat sees a bird", "den Vogel sieht die Katze, दो"),
    ("a bird", "ein Vogel"),
]
property_test = partial(settings, deadline=None, max_examples=50)


@pytest.fixture(scope="module")
def tokenizers():
    sides = zip(*PAIRS, strict=True)
    return Tokenizers(*(tokenizer.train(s, vocab_size=300, kind="bpe") for s in sides))


@pytest.fixture(scope="module")
def model(tokenizers):
    return Transformer(
        ModelConfig(
            vocab_size=tokenizers.target.size,
            source_vocab_size=tokenizers.source.size,
            dim=8,
            hidden_dim=8,
            num_heads=2,
            encoder_layers=1,
            decoder_layers=2,
        )
    )


@pytest.fixture(scope="module")
def params(model):
    random = np.random.default_rng(0)

    def fill(leaf):
        return random.normal(0.3, size=leaf.shape).astype(np.float32)

    return jax.tree.map(fill, weights.shapes(model))


@pytest.fixture(scope="module")
def align(model, params, tokenizers):
    return lambda pairs: alignments.align(model, params, tokenizers, pairs, LONGEST)


def test_looks_are_the_networks_own_as_it_writes_each_token(model, params, tokenizers):
    cfg, p = model.cfg, reference.double(params)["params"]
    ids = [scoring.encode(tokenizers, pair) for pair in PAIRS]
    program = partial(alignments._looks, model, params)
    found = scoring.by_shape(program, ids, LONGEST)
    below = dataclasses.replace(cfg, decoder_layers=1)
    for (source, target), looks in zip(ids, found, strict=True):
        assert looks is not None
        memory = reference.encode(cfg, params, source)
        x = network.decode(below, params, memory, [BOS, *target[:-1]])
        layer, past = p["decoder_1"], np.tri(len(x), dtype=bool)
        x = x + network.self_attention(cfg, x, layer["attention"], past)
        x = network.layer_norm(x, layer["attention_norm"])
        query = network.heads(x, layer["cross_attention"]["query"])
        key = network.heads(memory, layer["cross_attention"]["key"])
        scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
        expected = network.softmax(scores).mean(axis=0)
        np.testing.assert_allclose(looks[:, : len(source)], expected, atol=1e-5)
        assert not looks[:, len(source) :].any()


def test_the_same_links_alone_in_any_order_and_company(align):
    together = align(PAIRS)
    assert [align([pair])[0] for pair in PAIRS] == together
    assert align(PAIRS[::-1]) == together[::-1]
    assert align(PAIRS[:2] * 12 + PAIRS)[24:] == together


def test_links_are_in_order_and_no_word_has_two(align):
    found = align(PAIRS)
    assert sum(map(len, found)) > len(PAIRS)
    for pair, links in zip(PAIRS, found, strict=True):
        assert links == sorted(links)
        for side, numbers in zip(pair, zip(*links, strict=True), strict=True):
            assert len(set(numbers)) == len(numbers)
            assert set(numbers) <= set(range(len(side.split())))


def test_empty_sides_have_no_links_and_long_ones_no_alignment(align):
    long = "a dog runs " * 12
    pairs = [("", ""), ("a dog", " "), (long, "ein Hund"), ("a dog", long), PAIRS[0]]
    assert align(pairs) == [[], [], None, None, *align(PAIRS[:1])]


@property_test()
@given(st.text(max_size=30))
def test_every_token_belongs_to_the_word_that_it_is_a_part_of(tokenizers, line):
    for side in tokenizers:
        ids = side.encode(line)
        numbers = alignments.words(side, ids)
        expected = text.normalize(line).split(" ") if ids else []
        tokens = [np.array(ids)[numbers == i].tolist() for i in range(len(expected))]
        assert [side.decode(of_word) for of_word in tokens] == expected
        assert sum(map(len, tokens)) == len(ids)


@property_test()
@given(st.permutations(range(6)), st.integers(0, 5), st.floats(0, 50))
def test_a_word_that_all_look_at_draws_no_links(order, sink, attraction):
    look = np.full((6, 6), 0.01)
    look[:, sink] += attraction
    look[np.arange(6), order] += 0.1 * (1 + look[np.arange(6), order])
    assert alignments.links(
        look, np.arange(look.shape[1]), np.arange(look.shape[0])
    ) == sorted((i, j) for j, i in enumerate(order))


def test_the_tokens_of_a_word_look_as_one_and_are_seen_as_one():
    look = np.array([[1, 0, 0, 9], [0, 0.5, 0.5, 9], [0.25, 0.25, 0.5, 9], [9] * 4])
    by_word = alignments._by_word(look, np.array([0, 1, 1]), np.array([0, 0, 1]))
    np.testing.assert_allclose(by_word, [[0.5, 0.5], [0.25, 0.75]])


@property_test()
@given(st.text("ab .", max_size=60) | st.text("字。"), st.integers(1, 12))
def test_links_of_parts_are_those_of_the_whole(line, limit):
    """If each word of each part is linked to itself, each of the whole is."""
    whole = text.normalize(line)
    parts = text.split(whole, limit, len)
    targets = [part.strip() for part in parts]
    assert text.rejoin(parts, targets) == whole
    itself = lambda part: [(i, i) for i in range(len(part.split()))]  # noqa: E731
    links = alignments.joined(parts, targets, list(map(itself, parts)))
    assert links == itself(whole)


def test_parts_without_translation_or_alignment_count_as_well():
    parts, targets = ["a b. ", "c d. ", "e f"], ["A B.", "", "F E"]
    links = alignments.joined(parts, targets, [[(0, 0), (1, 1)], None, [(0, 1)]])
    assert alignments.pharaoh(links) == "0-0 1-1 4-3"
    assert alignments.pharaoh([]) == ""
    one_word = alignments.joined(
        ["ab", "cd", "ef"], ["AB", "", "EF"], [[(0, 0)], [], [(0, 0)]]
    )
    assert one_word == [(0, 0)]
