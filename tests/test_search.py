"""Beam search against all that there is to find, on tables of random scores."""

import inspect
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import search
from transformer.search import Ask
from transformer.symbols import BOS, EOS, PAD, UNK

SENTENCES, STATES, VOCABULARY, LENGTH = 4, 97, 7, 4
WORDS = range(UNK + 1, VOCABULARY)
EVERYTHING = len(WORDS) ** (LENGTH - 1)
"""The widest that a beam can need: all ways to begin a translation of full length."""

seeds = st.integers(0, 2**32 - 1)
property_test = partial(settings, deadline=None)


def random_tables(seed, scale=2.0):
    rng = np.random.default_rng(seed)
    shape = (SENTENCES, STATES, VOCABULARY)
    return rng.normal(scale=scale, size=shape).astype(np.float32)


def after(state, token, position):
    """A number for a whole prefix: order, tokens and positions matter."""
    return (state * VOCABULARY + token + 31 * position) % STATES


def start(width, sentences=range(SENTENCES)):
    """The cache: which table a row looks its scores up in, and the prefix so far."""
    rows = jnp.repeat(jnp.array(sentences)[:, None], width, axis=1)
    return rows, jnp.zeros_like(rows)


def table_step(tables):
    def step(tokens, position, cache):
        sentence, state = cache
        state = after(state, tokens, position[:, None])
        return jnp.asarray(tables)[sentence, state], (sentence, state)

    return step


@partial(jax.jit, static_argnames=("width", "best"))
def beam(tables, alpha, limits, sentences, *, width, best):
    # gnmt takes numbers, and one compiled program shall serve all of them
    return search.beam(
        table_step(tables),
        start(width, sentences),
        Ask(limits),
        length=LENGTH,
        width=width,
        best=best,
        penalty=lambda length: ((5 + length) / 6) ** alpha,
    )


def find(tables, *, alpha=0.6, limits=(LENGTH,) * SENTENCES, order=None, **sizes):
    order = range(SENTENCES) if order is None else order
    return jax.device_get(
        beam(tables, alpha, jnp.array(limits), jnp.array(order), **sizes)
    )


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def gains(log_probs, tokens):
    """The log-probability of each token of a translation, by definition."""
    state, previous, found = 0, BOS, []
    for position, token in enumerate(tokens):
        state = after(state, previous, position)
        found.append(log_probs[state, token])
        previous = token
    return found


def all_translations(limit):
    for length in range(limit):
        for words in product(WORDS, repeat=length):
            yield (*words, EOS)


def all_scores(table, limit, penalty):
    """Of every translation that there is, best first."""
    log_probs = log_softmax(table)
    penalties = [float(penalty(jnp.float32(n + 1))) for n in range(limit)]
    found = [
        sum(gains(log_probs, tokens)) / penalties[len(tokens) - 1]
        for tokens in all_translations(limit)
    ]
    return sorted(found, reverse=True)


def trimmed(tokens):
    return tuple(tokens[tokens != PAD].tolist())


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
@property_test(max_examples=5)
@given(seed=seeds)
def test_a_beam_as_wide_as_the_space_finds_the_best_of_all_translations(alpha, seed):
    tables = random_tables(seed)
    limits, best = (LENGTH, LENGTH, 3, 3), 5
    found = find(tables, alpha=alpha, limits=limits, width=EVERYTHING, best=best)
    for row, limit in enumerate(limits):
        expected = all_scores(tables[row], limit, search.gnmt(alpha))[:best]
        np.testing.assert_allclose(found.scores[row], expected, rtol=1e-4, atol=1e-4)
        assert len({trimmed(tokens) for tokens in found.tokens[row]}) == best


def test_all_translations_of_a_small_space_are_found_best_first():
    limits, best = (2,) * SENTENCES, 1 + len(WORDS)
    found = find(random_tables(0), limits=limits, width=EVERYTHING, best=best)
    for tokens in found.tokens:
        assert {trimmed(one) for one in tokens} == set(all_translations(2))
    assert (np.diff(found.scores) <= 0).all()


@property_test(max_examples=10)
@given(seed=seeds, alpha=st.floats(0, 2, width=32))
def test_scores_are_the_log_probs_of_the_tokens_divided_by_the_penalty(seed, alpha):
    tables = random_tables(seed)
    found = find(tables, alpha=alpha, width=3, best=3)
    for row in range(SENTENCES):
        expected = log_softmax(tables[row])
        for rank in range(3):
            tokens = trimmed(found.tokens[row, rank])
            log_probs = found.log_probs[row, rank]
            np.testing.assert_allclose(
                log_probs[: len(tokens)], gains(expected, tokens), atol=1e-4
            )
            assert not log_probs[len(tokens) :].any()
            penalty = ((5 + len(tokens)) / 6) ** alpha
            np.testing.assert_allclose(
                found.scores[row, rank], log_probs.sum() / penalty, rtol=1e-4
            )


def greedy(table, limit=LENGTH):
    """The likeliest token at each step, by definition."""
    log_probs, tokens = log_softmax(table), []
    while not tokens or tokens[-1] != EOS:
        state = 0
        for position, token in enumerate([BOS, *tokens]):
            state = after(state, token, position)
        allowed = [EOS] if len(tokens) + 1 == limit else [EOS, *WORDS]
        tokens.append(max(allowed, key=lambda token: log_probs[state, token]))
    return tuple(tokens)


@property_test(max_examples=20)
@given(seed=seeds, alpha=st.floats(0, 2, width=32))
def test_a_beam_of_one_is_greedy(seed, alpha):
    tables = random_tables(seed)
    found = find(tables, alpha=alpha, width=1, best=1)
    for row, table in zip(found.tokens, tables, strict=True):
        assert trimmed(row[0]) == greedy(table)


@partial(jax.jit, static_argnames=("width", "best"))
def patient_beam(tables, alpha, limits, sentences, *, width, best):
    """The same search, traced with a bound that is never reached."""

    def promising(limits, penalty, alive, finished):
        return jnp.ones((SENTENCES, 1), bool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_promising", promising)
        return inspect.unwrap(beam)(
            tables, alpha, limits, sentences, width=width, best=best
        )


@property_test(max_examples=60)
@given(
    seed=seeds,
    scale=st.sampled_from([0.3, 2.0, 5.0]),
    eos=st.floats(-3, 6, width=32),
    alpha=st.floats(0, 3, width=32),
    limits=st.lists(st.integers(2, LENGTH), min_size=SENTENCES, max_size=SENTENCES),
    sizes=st.sampled_from([(1, 1), (3, 2), (3, 3)]),
)
def test_stopping_early_never_changes_the_result(
    seed, scale, eos, alpha, limits, sizes
):
    tables = random_tables(seed, scale)
    tables[:, :, EOS] += eos
    width, best = sizes
    early = find(tables, alpha=alpha, limits=limits, width=width, best=best)
    late = patient_beam(
        tables, alpha, jnp.array(limits), jnp.arange(SENTENCES), width=width, best=best
    )
    jax.tree.map(np.testing.assert_array_equal, early, jax.device_get(late))


def test_a_long_translation_can_overtake_one_that_finished_before():
    """The bound is the penalty of the longest translation, not of the present one."""
    overtaking = (*[WORDS[0]] * (LENGTH - 1), EOS)
    tables = np.full((SENTENCES, STATES, VOCABULARY), -30, np.float32)
    state, previous = 0, BOS
    for position, token in enumerate(overtaking):  # once begun, it goes on for nothing
        state = after(state, previous, position)
        tables[:, state, token] = np.log(0.4) if position == 0 else 0
        previous = token
    tables[:, after(0, BOS, 0), EOS] = np.log(0.6)
    for alpha, best in ((0.0, (EOS,)), (2.0, overtaking)):
        found = find(tables, alpha=alpha, width=3, best=1)
        assert {trimmed(tokens) for tokens in found.tokens[:, 0]} == {best}


def test_the_search_does_stop_early():
    """Otherwise the test above compares a search with itself."""
    tables = random_tables(0)
    tables[:, :, EOS] += 20
    steps = 0

    def count(_):
        nonlocal steps
        steps += 1

    def step(tokens, position, cache):
        jax.debug.callback(count, position)
        return table_step(tables)(tokens, position, cache)

    limits = jnp.full(SENTENCES, LENGTH)
    sizes: Any = {"length": LENGTH, "width": 1, "best": 1}
    search.beam(step, start(1), Ask(limits), penalty=search.gnmt(0.6), **sizes)
    jax.effects_barrier()
    assert steps == 1


@property_test(max_examples=20)
@given(
    seed=seeds,
    eos=st.sampled_from([-20, 0]),
    limits=st.lists(st.integers(1, LENGTH), min_size=SENTENCES, max_size=SENTENCES),
)
def test_translations_end_with_eos_within_the_limit_of_their_sentence(
    seed, eos, limits
):
    tables = random_tables(seed)
    tables[:, :, EOS] += eos
    found = find(tables, limits=limits, width=3, best=2)
    for row, limit in zip(found.tokens[:, 0], limits, strict=True):
        tokens = trimmed(row)
        assert len(tokens) <= limit
        assert tokens.index(EOS) == len(tokens) - 1
        assert not row[len(tokens) :].any()
        if eos < 0:
            assert len(tokens) == limit


@property_test(max_examples=10)
@given(seed=seeds)
def test_pad_bos_and_unk_never_come_out_however_likely(seed):
    tables = random_tables(seed)
    tables[:, :, [PAD, BOS, UNK]] += 20
    found = find(tables, width=3, best=3)
    for row in found.tokens.reshape(-1, LENGTH):
        tokens = trimmed(row)
        assert tokens[-1] == EOS
        assert set(tokens[:-1]) <= set(WORDS)


@property_test(max_examples=20)
@given(
    seed=seeds,
    order=st.permutations(range(SENTENCES)),
    limits=st.lists(st.integers(2, LENGTH), min_size=SENTENCES, max_size=SENTENCES),
)
def test_neighbours_and_their_order_do_not_change_a_result(seed, order, limits):
    tables = random_tables(seed)
    together = find(tables, limits=limits, width=3, best=3)
    moved = find(
        tables, limits=[limits[i] for i in order], order=order, width=3, best=3
    )
    alone = find(tables, limits=limits[:1] * SENTENCES, order=[0] * 4, width=3, best=3)
    for before, after_, single in zip(together, moved, alone, strict=True):
        np.testing.assert_array_equal(before[np.array(order)], after_)
        np.testing.assert_array_equal(before[0], single[0])


def test_the_penalty_is_one_for_a_single_token_and_without_alpha():
    lengths = jnp.array([1.0, 7.0, 13.0])
    np.testing.assert_array_equal(search.gnmt(0.0)(lengths), [1, 1, 1])
    np.testing.assert_allclose(search.gnmt(1.0)(lengths), [1, 2, 3])
    np.testing.assert_allclose(search.gnmt(2.0)(lengths), [1, 4, 9])


def test_fewer_translations_than_asked_for_leave_their_places_empty():
    def uniform(tokens, position, cache):
        return jnp.zeros((*tokens.shape, 8)), cache

    found = [
        search.beam(
            uniform,
            (),
            Ask(jnp.array(limits)),
            length=4,
            width=4,
            best=2,
            penalty=search.gnmt(0.6),
        )
        for limits in ([1], [1, 4])
    ]
    for hypotheses in found:
        assert hypotheses.tokens[0].tolist() == [[2, 0, 0, 0], [0, 0, 0, 0]]
        assert hypotheses.scores[0, 1] == search.IMPOSSIBLE
