"""Subword sampling: other pieces of the same text, by chance and reproducibly."""

import math
import pickle
import random
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from transformer import phrasebook, tokenizer
from transformer.segmentation import PENALTY, BytePairs, Unigrams
from transformer.symbols import BOS, EOS, PAD, UNK
from transformer.text import normalize

PAIRS = phrasebook.sentences()[:500]
LINES = [normalize(side) for pair in PAIRS for side in pair]
KINDS = ("bpe", "unigram")
LEARNT = {kind: tokenizer.train(LINES, vocab_size=700, kind=kind) for kind in KINDS}
USUAL = {"bpe": 0.0, "unigram": 1e6}
FEW_TO_MANY = {"bpe": (0.0, 0.1, 0.5, 0.999), "unigram": (1e6, 0.5, 0.2, 1e-6)}
ODD = "字 ü 😀 <s> </s> <0x41> <unk> [UNK] \u2047 ab\u0308c ẞ नमस्ते"
ANY = st.text(st.one_of(st.characters(), st.sampled_from("the dog runs क ा\u0308 <s>")))
SOME = st.one_of(
    st.tuples(st.just("bpe"), st.floats(0, 0.999)),
    st.tuples(st.just("unigram"), st.floats(0, exclude_min=True, allow_infinity=False)),
)
each_kind = pytest.mark.parametrize("kind", KINDS)


def sampled(kind, text, degree, seed):
    return LEARNT[kind].sample(text, degree, random.Random(seed))


def test_a_tokenizer_knows_how_its_pieces_were_learnt():
    assert [LEARNT[kind].kind for kind in KINDS] == list(KINDS)


@each_kind
def test_without_dropout_or_of_the_likeliest_the_pieces_are_those_of_sentencepiece(
    kind,
):
    for line in LINES:
        assert sampled(kind, line, USUAL[kind], 0) == LEARNT[kind].encode(line)


@given(raw=ANY)
@example(raw=ODD)
@example(raw="ab" * 2000)
@settings(deadline=None, max_examples=200)
def test_without_dropout_the_same_is_true_of_any_text(raw):
    assert sampled("bpe", raw, 0.0, 0) == LEARNT["bpe"].encode(raw)


@given(raw=ANY, seed=st.integers(0))
@example(raw=ODD, seed=0)
@example(raw="ss sss ssss eeeeeee", seed=0)  # some ways are exactly as likely
@settings(deadline=None, max_examples=200)
def test_the_likeliest_pieces_of_any_text_are_as_likely_as_sentencepiece_s(raw, seed):
    processor = SentencePieceProcessor(model_proto=LEARNT["unigram"].model)
    ids = sampled("unigram", raw, USUAL["unigram"], seed)
    usual = LEARNT["unigram"].encode(raw)
    score, best = (sum(map(processor.get_score, way)) for way in (ids, usual))
    assert score == pytest.approx(best, rel=1e-5, abs=1e-3)
    unknown, fewest = (sum(map(processor.is_byte, way)) for way in (ids, usual))
    assert unknown == fewest


@given(raw=ANY, some=SOME, seed=st.integers(0))
@example(raw=ODD, some=("bpe", 0.5), seed=0)
@example(raw="", some=("bpe", 0.5), seed=0)
@example(raw="dogs", some=("bpe", 5e-324), seed=0)
@example(raw=ODD, some=("unigram", 0.1), seed=0)
@example(raw="", some=("unigram", 0.1), seed=0)
@example(raw="ab" * 2000, some=("unigram", 5e-324), seed=0)
@example(raw="ab" * 2000, some=("unigram", 1.7e308), seed=0)
@settings(deadline=None, max_examples=300)
def test_whatever_is_drawn_the_text_comes_back(raw, some, seed):
    kind, degree = some
    ids = sampled(kind, raw, degree, seed)
    assert LEARNT[kind].decode(ids) == normalize(raw)
    assert not {PAD, BOS, EOS, UNK} & set(ids)


@each_kind
def test_the_pieces_depend_on_the_text_and_the_chance_only(kind):
    def drawn(lines):
        return {line: sampled(kind, line, 0.3, seed=5) for line in lines}

    assert drawn(LINES[:200]) == drawn(LINES[199::-1])
    assert sampled(kind, LINES[0], 0.3, 5) != sampled(kind, LINES[0], 0.3, 6)


@each_kind
def test_another_process_draws_the_same_after_words_are_remembered(kind):
    before = [sampled(kind, line, 0.3, seed=5) for line in LINES[:50]]
    other = pickle.loads(pickle.dumps(LEARNT[kind]))
    after = [other.sample(line, 0.3, random.Random(5)) for line in LINES[:50]]
    assert before == after


@each_kind
def test_the_farther_from_the_usual_the_more_pieces_there_are(kind):
    lines = LINES[:200]

    def count(degree):
        drawn = (sampled(kind, line, degree, i) for i, line in enumerate(lines))
        return sum(map(len, drawn))

    counts = [count(degree) for degree in FEW_TO_MANY[kind]]
    assert counts == sorted(set(counts))
    characters = sum(len(line) + 1 for line in lines)
    assert counts[-1] <= characters
    if kind == "bpe":  # near 1 every merge is left out
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


def ways(word, scores, alpha):
    """The probability of each segmentation of a word, by trying all."""
    places, weights = range(1, len(word)), {}
    unknown = min(scores.values()) - PENALTY
    rated = {character: unknown for character in word} | scores
    for count in range(len(word)):
        for cuts in combinations(places, count):
            pieces = tuple(word[i:j] for i, j in pairwise([0, *cuts, len(word)]))
            if all(piece in rated for piece in pieces):
                weights[pieces] = math.exp(alpha * sum(map(rated.__getitem__, pieces)))
    total = sum(weights.values())
    return {pieces: weight / total for pieces, weight in weights.items()}


@pytest.mark.parametrize("alpha", [1e-9, 0.2, 1.0])
def test_each_way_to_write_a_word_is_as_likely_as_by_its_pieces(alpha):
    scores = {"\u2581": -3.0, "\u2581l": -2.5, "o": -2.0, "w": -4.0, "e": -3.5}
    scores |= {"lo": -3.2, "ow": -3.0, "we": -4.5, "\u2581low": -3.6, "we\u00df": -5.0}
    # Neither l nor ß has a piece of its own.
    toy, chance, draws = Unigrams(scores), random.Random(1), 5000
    word = "\u2581lowe\u00df"
    found = Counter(next(toy.sample("lowe\u00df", alpha, chance)) for _ in range(draws))
    expected = ways(word, scores, alpha)
    assert len(expected) > 10
    assert set(found) <= set(expected)
    often = {way: p * draws for way, p in expected.items() if p * draws >= 5}
    squares = sum((found[way] - n) ** 2 / n for way, n in often.items())
    # Chi-squared has this mean, and its variance is twice that.
    assert squares < len(often) + 4 * math.sqrt(2 * len(often))
    assert sum(found[way] for way in often) > 0.97 * draws
