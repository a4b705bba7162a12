"""The reference is the network, and its search is exact where that can be counted."""

from functools import lru_cache, partial
from itertools import product
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import ModelConfig, Transformer, reference
from transformer.symbols import BOS, EOS, PAD, UNK


def tiny(**kinds: Any):
    sizes: Any = {"vocab_size": 41, "dim": 16, "hidden_dim": 24, "num_heads": 2}
    depth: Any = {"encoder_layers": 2, "decoder_layers": 2, "max_positions": 6}
    return ModelConfig(**sizes, **depth, **kinds)


VARIANTS = {
    "paper": tiny(),
    "rotary gelu": tiny(positions="rotary", activation="gelu"),
    "pre learned gelu, two vocabularies": tiny(
        norm="pre", positions="learned", activation="gelu", source_vocab_size=47
    ),
    "pre rotary swiglu": tiny(norm="pre", positions="rotary", activation="swiglu"),
    "pre sinusoidal relu, shared layers": tiny(norm="pre", distinct_layers=1),
}
EVERY_VARIANT = pytest.mark.parametrize("name", VARIANTS)

SOURCE_LENGTHS, TARGET_LENGTHS = (7, 1, 4, 9, 5), (3, 6, 1, 8, 5)


@lru_cache
def parameters(name) -> Any:
    """Of every array, also of those that begin as zeros or ones."""
    model, tokens = Transformer(VARIANTS[name]), jnp.zeros((1, 1), jnp.int32)
    init = jax.eval_shape(
        lambda: model.init(jax.random.key(0), tokens, tokens, train=False)
    )
    random = np.random.default_rng(0)

    def fill(leaf):
        return random.normal(scale=0.4, size=leaf.shape).astype(np.float32)

    return jax.tree.map(fill, init)


def sentences(lengths):
    random = np.random.default_rng(1)
    return [random.integers(UNK + 1, 41, length).tolist() for length in lengths]


def padded(rows):
    width = max(map(len, rows))
    return np.array([row + [PAD] * (width - len(row)) for row in rows])


@EVERY_VARIANT
def test_a_padded_batch_in_float32_agrees_with_it_sentence_by_sentence(name):
    cfg, params = VARIANTS[name], parameters(name)
    model: Any = Transformer(cfg)
    sources = sentences(SOURCE_LENGTHS)
    targets = [[BOS, *row] for row in sentences(TARGET_LENGTHS)]

    @jax.jit
    def run(params, source, target):
        memory = model.apply(params, source, train=False, method="encode")
        logits = model.apply(params, target, memory, train=False, method="decode")
        return memory.layers[-1].value, jax.nn.log_softmax(logits)

    values, log_probs = map(np.array, run(params, padded(sources), padded(targets)))
    last = params["params"][f"decoder_{cfg.owner(cfg.decoder_layers - 1)}"]
    kernel = last["cross_attention"]["value"]["kernel"]
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        memory = reference.encode(cfg, params, source)
        value = np.tensordot(memory, kernel.astype(np.float64), axes=1)
        alike(values[row, : len(source)], value)
        expected = reference.log_probs(cfg, params, memory, target)
        alike(log_probs[row, : len(target)], expected)


def alike(ours, expected):
    assert ours.shape == expected.shape
    scale = np.abs(expected).max()
    assert np.abs(ours - expected).max() < 1e-5 * scale


def test_double_is_float64_once_and_for_all():
    twice = reference.double(parameters("paper"))
    leaves = jax.tree.leaves(twice)
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float64)}
    again = jax.tree.leaves(reference.double(twice))
    assert all(a is b for a, b in zip(leaves, again, strict=True))


# The search, on tables of probabilities.

VOCABULARY = 6
"""PAD, BOS, EOS, UNK and two that can be written."""


def table(seed, noise=0.0):
    """Arbitrary log-probabilities after each sequence of tokens."""

    def follow(tokens):
        random = np.random.default_rng([seed, *tokens])
        logits = random.normal(scale=2, size=VOCABULARY)
        spread = random.uniform(-noise, noise, VOCABULARY)
        return logits - np.log(np.exp(logits).sum()) + spread

    return follow


def everything(limit):
    """All translations of at most so many tokens."""
    for length in range(limit):
        for words in product((UNK + 1, UNK + 2), repeat=length):
            yield (*words, EOS)


def score(follow, tokens, alpha):
    gains = [follow(tokens[:t])[token] for t, token in enumerate(tokens)]
    return sum(gains) / reference.penalty(len(tokens), alpha)


seeds = st.integers(0, 2**32 - 1)
alphas = st.sampled_from([0.0, 0.6, 1.0, 2.5])
limits = st.integers(1, 5)
widths = st.integers(1, 5)
property_test = partial(settings, deadline=None, max_examples=60)


@property_test()
@given(seeds, alphas, limits, st.integers(1, 4))
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all(seed, alpha, limit, best):
    follow, space = table(seed), list(everything(limit))
    found = reference.search(
        follow, width=len(space), alpha=alpha, limit=limit, best=best
    )
    ranked = sorted(((score(follow, t, alpha), t) for t in space), reverse=True)[:best]
    assert [h.tokens for h in found.best] == [tokens for _, tokens in ranked]
    assert [h.score for h in found.best] == pytest.approx([s for s, _ in ranked])


@property_test()
@given(seeds, widths, alphas, limits)
def test_what_is_found_ends_once_obeys_the_limit_and_has_its_score(
    seed, width, alpha, limit
):
    follow = table(seed)
    found = reference.search(follow, width=width, alpha=alpha, limit=limit, best=width)
    assert 1 <= len(found.best) <= width
    assert len({h.tokens for h in found.best}) == len(found.best)
    for hypothesis in found.best:
        assert hypothesis.tokens in set(everything(limit))
        assert hypothesis.score == pytest.approx(
            score(follow, hypothesis.tokens, alpha)
        )
    scores = [h.score for h in found.best]
    assert scores == sorted(scores, reverse=True)


@property_test()
@given(seeds, widths, alphas, limits)
def test_stopping_early_does_not_change_the_best(seed, width, alpha, limit):
    """Asked for all, the search goes on until no hypothesis is left."""
    run = partial(reference.search, table(seed), width=width, alpha=alpha, limit=limit)
    assert run(best=1).best == run(best=width).best[:1]


@property_test()
@given(seeds, limits)
def test_a_beam_of_one_takes_the_likeliest_token_each_time(seed, limit):
    follow, tokens = table(seed), ()
    while EOS not in tokens:
        allowed = [EOS] if len(tokens) + 1 == limit else [EOS, UNK + 1, UNK + 2]
        tokens += (max(allowed, key=lambda token: follow(tokens)[token]),)
    found = reference.search(follow, width=1, alpha=0.0, limit=limit)
    assert [h.tokens for h in found.best] == [tokens]


@property_test()
@given(seeds, widths, alphas, limits)
def test_noise_below_the_narrowest_margin_changes_no_decision(
    seed, width, alpha, limit
):
    run = partial(reference.search, width=width, alpha=alpha, limit=limit, best=width)
    quiet = run(table(seed))
    margin = min(quiet.narrowest.margin, 1.0)
    noisy = run(table(seed, noise=0.49 * margin / limit))
    assert {h.tokens for h in noisy.best} == {h.tokens for h in quiet.best}


def test_the_narrowest_decision_is_where_the_beam_nearly_went_the_other_way():
    def follow(tokens):
        log_probs = np.full(VOCABULARY, -inf)
        log_probs[[EOS, UNK + 1, UNK + 2]] = {
            0: np.log([0.1, 0.5, 0.4]),
            1: np.log([0.2, 0.401, 0.399]),
            2: np.log([0.9, 0.05, 0.05]),
        }[len(tokens)]
        return log_probs

    found = reference.search(follow, width=1, alpha=1.0, limit=9)
    assert found.best[0].tokens == (UNK + 1, UNK + 1, EOS)
    margin, length = found.narrowest
    assert (margin, length) == (pytest.approx(np.log(0.401 / 0.399)), 2)


def test_what_finishes_narrows_the_beam_for_good():
    after = {
        (): [0.4, 0.35, 0.25],
        (UNK + 1,): [0.2, 0.5, 0.3],
        (UNK + 1, UNK + 1): [0.9, 0.06, 0.04],
    }

    def follow(tokens):
        log_probs = np.full(VOCABULARY, -inf)
        log_probs[[EOS, UNK + 1, UNK + 2]] = np.log(after[tokens])
        return log_probs

    found = reference.search(follow, width=2, alpha=0.0, limit=9, best=2)
    assert [h.tokens for h in found.best] == [(EOS,), (UNK + 1, UNK + 1, EOS)]


def test_the_search_goes_on_while_a_longer_translation_can_still_win():
    def follow(tokens):
        ends = 0.6 if not tokens else float(len(tokens) == 7)
        log_probs = np.full(VOCABULARY, -inf)
        with np.errstate(divide="ignore"):
            log_probs[[EOS, UNK + 1]] = np.log([ends, 1 - ends])
        return log_probs

    found = reference.search(follow, width=2, alpha=2.0, limit=9)
    assert found.best[0].tokens == (*[UNK + 1] * 7, EOS)


def test_of_equals_the_earlier_hypothesis_and_the_lower_token_win():
    flat = lambda tokens: np.log(np.full(VOCABULARY, 1 / VOCABULARY))  # noqa: E731
    run = partial(reference.search, flat, alpha=0.0, limit=2)
    ranked = [(EOS,), (UNK + 1, EOS), (UNK + 2, EOS)]
    for width, margin in ((3, inf), (2, 0)):
        found = run(width=width, best=width)
        assert [h.tokens for h in found.best] == ranked[:width]
        assert found.narrowest.margin == margin


def test_beam_and_greedy_search_with_the_network():
    cfg, params = VARIANTS["pre rotary swiglu"], parameters("pre rotary swiglu")
    source = [*sentences([5])[0], EOS]
    found = reference.beam(cfg, params, source, width=4, alpha=0.6, limit=8, best=4)
    for tokens, scored in found.best:
        gains = reference.rescore(cfg, params, source, tokens)
        assert scored == pytest.approx(
            gains.sum() / reference.penalty(len(tokens), 0.6)
        )
    (first,) = reference.greedy(cfg, params, source, limit=8).best
    memory = reference.encode(cfg, params, source)
    after = reference.log_probs(cfg, params, memory, [BOS, *first.tokens[:-1]])
    after[:, [PAD, BOS, UNK]] = -inf
    chosen = after.argmax(axis=-1)[: 8 - 1]
    assert chosen.tolist() == list(first.tokens[: 8 - 1])
