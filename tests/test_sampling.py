"""Filters on scores, and translations drawn token by token."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import sampling, search
from transformer.sampling import Lanes
from transformer.search import IMPOSSIBLE, Ask
from transformer.symbols import BOS, EOS, PAD, UNK

VOCABULARY, LENGTH = 9, 5
WORDS = np.arange(UNK + 1, VOCABULARY)

drawn = sampling.drawn()
likeliest = sampling.drawn(sampling.top_k(1))
filtered = sampling.drawn(sampling.temperature(2.0), sampling.top_k(4))

scores = st.lists(st.floats(-5, 5, width=16), min_size=VOCABULARY, max_size=VOCABULARY)
different = st.permutations([-4.0, -2.0, -1.0, -0.5, 0.0, 0.25, 1.0, 2.0, 3.0])
property_test = partial(settings, deadline=None, max_examples=25)


def array(values):
    return jnp.array(values, jnp.float32)


def kept(logits):
    return np.flatnonzero(np.asarray(logits) > IMPOSSIBLE)


@partial(jax.jit, static_argnames=("count", "choose"))
def program(table, limits, keys, *, count, choose):
    def step(tokens, position, rows):
        return table[rows, position[:, None]], rows

    sentences, length = table.shape[:2]
    rows = jnp.repeat(jnp.arange(sentences)[:, None], count, axis=1)
    ask = Ask(limits, keys, select=Lanes(choose))
    sizes: Any = {"length": length, "width": count, "best": count}
    return search.beam(step, rows, ask, penalty=search.gnmt(0.0), **sizes)


def rollout(table, limits, keys, *, count, choose):
    """From scores "B T V" that depend on sentence and position alone."""
    found = program(table, jnp.array(limits), keys, count=count, choose=choose)
    return jax.device_get(found)


def random_table(seed, sentences):
    rng = np.random.default_rng(seed)
    return jnp.array(rng.normal(size=(sentences, LENGTH, VOCABULARY)), jnp.float32)


@property_test()
@given(scores, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_temperature_raises_probabilities_to_a_power(values, t):
    logits = array(values)
    powers = jax.nn.softmax(logits) ** (1 / t)
    found = jax.nn.softmax(sampling.temperature(t)(logits))
    np.testing.assert_allclose(found, powers / powers.sum(), rtol=1e-4, atol=1e-6)


@property_test()
@given(different, st.sampled_from([1, 3, 8]))
def test_top_k_keeps_the_k_highest_scores_as_they_are(values, k):
    logits = array(values)
    found = sampling.top_k(k)(logits)
    np.testing.assert_array_equal(
        np.sort(kept(found)), np.sort(np.argsort(values)[-k:])
    )
    np.testing.assert_array_equal(found[kept(found)], logits[kept(found)])


@property_test()
@given(scores, st.integers(VOCABULARY, 1000))
def test_top_k_of_at_least_the_vocabulary_changes_nothing(values, k):
    np.testing.assert_array_equal(sampling.top_k(k)(array(values)), array(values))


@property_test()
@given(different, st.floats(0.01, 0.99))
def test_a_nucleus_is_the_smallest_set_of_at_least_its_probability(values, p):
    logits = array(values)
    found = sampling.nucleus(p)(logits)
    inside = kept(found)
    probabilities = np.asarray(jax.nn.softmax(logits))
    assert probabilities[inside].sum() >= p - 1e-5
    assert probabilities[inside].sum() - probabilities[inside].min() < p + 1e-5
    assert set(inside) == set(np.argsort(values)[-len(inside) :])
    np.testing.assert_array_equal(found[inside], logits[inside])


@property_test()
@given(scores)
def test_a_nucleus_of_all_probability_changes_nothing(values):
    np.testing.assert_array_equal(sampling.nucleus(1.0)(array(values)), array(values))


@pytest.mark.parametrize("size", [1_000, 32_000])
@pytest.mark.parametrize("spread", [0.0, 1.0, 4.0])
def test_it_changes_nothing_of_a_large_vocabulary_either(size, spread):
    logits = array(spread * np.random.default_rng(0).normal(size=size))
    np.testing.assert_array_equal(sampling.nucleus(1.0)(logits), logits)


@property_test()
@given(scores)
def test_the_smallest_nucleus_is_the_likeliest_tokens(values):
    found = sampling.nucleus(1e-6)(array(values))
    np.testing.assert_array_equal(
        kept(found), np.flatnonzero(array(values) == max(values))
    )


@property_test()
@given(scores, st.floats(0, 0.5))
def test_epsilon_keeps_what_is_likely_enough_and_always_the_likeliest(values, e):
    logits = array(values)
    inside = set(kept(sampling.epsilon(e)(logits)).tolist())
    probabilities = np.asarray(jax.nn.softmax(logits))
    assert inside >= set(np.flatnonzero(logits == logits.max()).tolist())
    assert inside >= set(np.flatnonzero(probabilities >= e + 1e-6).tolist())
    for token in inside:
        assert probabilities[token] >= e - 1e-6 or logits[token] == logits.max()


@pytest.mark.parametrize("keep", [sampling.top_k(2), sampling.nucleus(0.6)])
def test_equal_scores_stay_or_go_together(keep):
    logits = array([3, 2, 2, 2, 0])
    np.testing.assert_array_equal(kept(keep(logits)), [0, 1, 2, 3])


@pytest.mark.parametrize("keep", [sampling.top_k(3), sampling.nucleus(0.9)])
def test_what_is_impossible_stays_so(keep):
    logits = array([IMPOSSIBLE, 1, IMPOSSIBLE, 0, IMPOSSIBLE])
    np.testing.assert_array_equal(kept(keep(logits)), [1, 3])


def test_filters_are_applied_in_the_order_given(key):
    logits = array([0, 2, 2.5, 3])
    flat, narrow = sampling.temperature(1e4), sampling.nucleus(0.4)
    keys = jax.random.split(key, 40)

    def draws(*filters):
        choose = partial(sampling.drawn(*filters), logits)
        return set(jax.vmap(choose)(keys).tolist())

    assert draws(narrow, flat) == {3}
    assert draws(flat, narrow) == {2, 3}


def test_draws_follow_the_softmax_of_what_is_allowed(key):
    count = 4_000
    table = random_table(0, 1).at[:, :, jnp.array([PAD, BOS, UNK])].add(3)
    found = rollout(table[:, :3], [3], key[None], count=count, choose=drawn)
    allowed = np.array([EOS, *WORDS])
    expected = np.asarray(jax.nn.softmax(table[0, 0, allowed]))
    shares = np.array([(found.tokens[0, :, 0] == token).mean() for token in allowed])
    deviation = np.sqrt(expected * (1 - expected) / count)
    assert (abs(shares - expected) < 4 * deviation).all()


def test_positions_are_drawn_independently(key):
    table = jnp.zeros((1, 3, VOCABULARY)).at[:, :, EOS].set(-30)
    found = rollout(table, [3], key[None], count=4_000, choose=drawn)
    same = (found.tokens[0, :, 0] == found.tokens[0, :, 1]).mean()
    assert abs(same - 1 / len(WORDS)) < 0.03


@property_test(max_examples=10)
@given(
    st.integers(0, 2**32 - 1),
    st.permutations(range(4)),
    st.lists(st.integers(1, LENGTH), min_size=4, max_size=4),
)
def test_what_is_drawn_depends_on_the_key_of_the_sentence_alone(seed, order, limits):
    order = np.array(order)
    table, keys = random_table(seed, 4), jax.random.split(jax.random.key(seed), 4)
    draw = partial(rollout, count=3, choose=drawn)
    before = draw(table, limits, keys)
    moved = draw(table[order], [limits[i] for i in order], keys[order])
    first = np.zeros(4, int)
    alike = draw(table[first], limits[:1] * 4, keys[first])
    for one, other, same in zip(before, moved, alike, strict=True):
        np.testing.assert_array_equal(one[order], other)
        np.testing.assert_array_equal(one[first], same)


def test_other_keys_and_other_samples_draw_other_tokens(key):
    table = jnp.broadcast_to(random_table(0, 1), (4, LENGTH, VOCABULARY))
    keys = jax.random.split(key, 4)
    found = rollout(table, [LENGTH] * 4, keys, count=3, choose=drawn)
    assert len({tuple(row.ravel()) for row in found.tokens}) == 4
    assert all(len({tuple(one) for one in row}) > 1 for row in found.tokens)


@property_test(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([drawn, filtered]))
def test_samples_come_best_first_with_the_probabilities_of_the_model(seed, choose):
    table, keys = random_table(seed, 4), jax.random.split(jax.random.key(seed), 4)
    found = rollout(table, [LENGTH, LENGTH, 3, 2], keys, count=3, choose=choose)
    assert (np.diff(found.scores) <= 0).all()
    np.testing.assert_allclose(found.scores, found.log_probs.sum(-1), atol=1e-5)
    log_probs = np.asarray(jax.nn.log_softmax(table))
    for row, position in np.ndindex(4, LENGTH):
        tokens = found.tokens[row, :, position]
        expected = np.where(tokens == PAD, 0, log_probs[row, position][tokens])
        np.testing.assert_allclose(
            found.log_probs[row, :, position], expected, atol=1e-5
        )


@pytest.mark.parametrize("choose", [likeliest, drawn])
def test_translations_end_with_eos_within_the_limit_of_their_sentence(choose, key):
    table = random_table(1, 4).at[:, :, EOS].add(-20).at[3, 1, EOS].add(40)
    limits = [1, 3, LENGTH, LENGTH]
    keys = jax.random.split(key, 4)
    found = rollout(table, limits, keys, count=3, choose=choose)
    for row, length in zip(found.tokens, [1, 3, LENGTH, 2], strict=True):
        for tokens in row:
            assert tokens.tolist().index(EOS) == length - 1
            assert not tokens[length:].any()
            assert set(tokens[: length - 1]) <= set(WORDS)


def test_a_draw_among_one_takes_the_likeliest_word_at_each_step(key):
    table = random_table(2, 4).at[:, :, : UNK + 1].add(-10)
    keys, choose = jax.random.split(key, 4), likeliest
    found = rollout(table, [LENGTH] * 4, keys, count=3, choose=choose)
    words = table[:, :-1].argmax(axis=-1)
    for tokens, expected in zip(found.tokens, words.tolist(), strict=True):
        assert tokens.tolist() == [[*expected, EOS]] * 3
