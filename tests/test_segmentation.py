"""BPE-dropout: other pieces of the same text, by chance and reproducibly."""

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transformer import phrasebook, tokenizer
from transformer.errors import InputError
from transformer.segmentation import BytePairs
from transformer.symbols import BOS, EOS, PAD, UNK
from transformer.text import normalize

PAIRS = phrasebook.sentences()[:500]
LINES = [normalize(side) for pair in PAIRS for side in pair]
LEARNT = tokenizer.train(LINES, vocab_size=700, kind="bpe")
ODD = "字 ü 😀 <s> </s> <0x41> <unk> [UNK] \u2047 ab\u0308c ẞ नमस्ते"
ANY = st.text(st.one_of(st.characters(), st.sampled_from("the dog runs क ा\u0308 <s>")))


def sampled(text, dropout, seed):
    return LEARNT.sample(text, dropout, random.Random(seed))


def test_without_dropout_the_pieces_are_those_of_sentencepiece():
    for line in LINES:
        assert sampled(line, 0.0, 0) == LEARNT.encode(line)


@given(raw=ANY)
@example(raw=ODD)
@example(raw="ab" * 2000)
@settings(deadline=None, max_examples=200)
def test_the_same_is_true_of_any_text(raw):
    assert sampled(raw, 0.0, 0) == LEARNT.encode(raw)


@given(raw=ANY, dropout=st.floats(0, 0.999), seed=st.integers(0))
@example(raw=ODD, dropout=0.5, seed=0)
@example(raw="", dropout=0.5, seed=0)
@example(raw="dogs", dropout=5e-324, seed=0)
@settings(deadline=None, max_examples=200)
def test_whatever_is_left_out_the_text_comes_back(raw, dropout, seed):
    ids = sampled(raw, dropout, seed)
    assert LEARNT.decode(ids) == normalize(raw)
    assert not {PAD, BOS, EOS, UNK} & set(ids)


def test_the_pieces_depend_on_the_text_and_the_chance_only():
    def drawn(lines):
        return {line: sampled(line, 0.3, seed=5) for line in lines}

    assert drawn(LINES[:200]) == drawn(LINES[199::-1])
    assert sampled(LINES[0], 0.3, 5) != sampled(LINES[0], 0.3, 6)


def test_the_more_is_left_out_the_more_pieces_there_are():
    lines = LINES[:200]

    def count(dropout):
        return sum(len(sampled(line, dropout, seed)) for seed, line in enumerate(lines))

    counts = [count(dropout) for dropout in (0.0, 0.1, 0.5, 0.999)]
    assert counts == sorted(set(counts))
    characters = sum(len(line) + 1 for line in lines)
    assert counts[-1] > 0.98 * characters


def outcomes(parts, ranks, dropout):
    """The probability of each end of Algorithm 1, by trying all."""
    joined = [one + other for one, other in pairwise(parts)]
    due = sorted((ranks[piece], i) for i, piece in enumerate(joined) if piece in ranks)
    ends = Counter({parts: dropout ** len(due)})
    for before, (_, i) in enumerate(due):
        merged = (*parts[:i], joined[i], *parts[i + 2 :])
        share = (1 - dropout) * dropout**before
        for end, probability in outcomes(merged, ranks, dropout).items():
            ends[end] += share * probability
    return ends


@pytest.mark.parametrize("dropout", [0.1, 0.4])
def test_each_way_to_make_a_word_is_as_likely_as_in_the_algorithm(dropout):
    ranks = {"lo": 0.0, "er": 1.0, "low": 2.0, "ow": 3.0, "lower": 4.0}
    toy, chance, draws = BytePairs(ranks), random.Random(1), 4000
    words = (next(toy.sample("lower", dropout, chance)) for _ in range(draws))
    found = Counter(words)
    expected = outcomes(tuple("\u2581lower"), ranks, dropout)
    assert len(expected) > 5
    assert sum(expected.values()) == pytest.approx(1)
    for end, probability in expected.items():
        assert found[end] / draws == pytest.approx(probability, abs=0.03)


def test_a_tokenizer_without_merges_is_refused():
    unigram = tokenizer.train(LINES, vocab_size=600, kind="unigram")
    with pytest.raises(InputError, match="--data.tokenizer bpe"):
        unigram.sample("the dog", 0.1, random.Random(0))
