"""The plain loss is the definition; the fused one is the plain one."""

import math
import re
from itertools import islice
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.work import Work, task
from transformer import losses
from transformer.losses import Criterion
from transformer.symbols import PAD

D, V = 8, 23
SMOOTHINGS = st.sampled_from([0.0, 0.1, 0.5])


def inputs(n, seed=0):
    """States, table and targets, about a quarter of which are PAD."""
    random = np.random.default_rng(seed)
    states = random.normal(size=(n, D)).astype(np.float32)
    table = random.normal(size=(V, D)).astype(np.float32)
    targets = np.where(random.random(n) < 0.25, PAD, random.integers(1, V, n))
    return states, table, targets.astype(np.int32)


def plain(states, table, targets, smoothing):
    """The loss of tokens that are predicted once."""
    each = losses.token_losses(states @ table.T, targets, smoothing)
    return each.sum(where=targets != PAD)


def fused(states, table, targets, smoothing):
    """`projected_loss` of the same."""
    criterion = Criterion(smoothing)
    return losses.projected_loss(states[:, None], table, targets, criterion)


def with_gradients(loss):
    return jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=3)


FUSED = with_gradients(fused)
PLAIN = with_gradients(plain)


def close(found, expected, tolerance):
    """As close as float32 sums can be: relative to the largest element."""
    expected = np.array(expected)
    atol = tolerance * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.1, 1, 50]), SMOOTHINGS)
def test_a_token_loss_is_cross_entropy_against_smoothed_targets(seed, scale, smoothing):
    random = np.random.default_rng(seed)
    logits = (scale * random.normal(size=(2, 3, V))).astype(np.float32)
    targets = random.integers(0, V, (2, 3)).astype(np.int32)
    found = losses.token_losses(jnp.asarray(logits), jnp.asarray(targets), smoothing)
    powers = np.exp(logits.astype(np.float64))
    log_probs = np.log(powers / powers.sum(axis=-1, keepdims=True))
    smoothed = (1 - smoothing) * np.eye(V)[targets] + smoothing / V
    expected = -(smoothed * log_probs).sum(-1)
    small = float(np.finfo(np.float32).eps)  # log(1 + x) is no better for the least x
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=small)


@pytest.mark.parametrize(("n", "smoothing"), [(1, 0.1), (8, 0.5), (40, 0.0)])
def test_fused_is_plain_with_its_gradients_for_any_number_of_tokens(
    n, smoothing, monkeypatch
):
    monkeypatch.setattr(losses, "SCORES", 7 * V)
    args = *inputs(n, seed=n), smoothing
    loss, gradients = with_gradients(fused)(*args)  # not one that was traced before
    expected, expected_gradients = PLAIN(*args)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    for found, gradient in zip(gradients, expected_gradients, strict=True):
        close(found, gradient, 1e-5)


@pytest.fixture
def small_chunks(monkeypatch):
    """Programs traced while a chunk takes 256 tokens, and none after."""
    monkeypatch.setattr(losses, "SCORES", 256 * V)
    jax.clear_caches()
    yield 256
    jax.clear_caches()


def test_fused_is_plain_over_several_chunks(small_chunks):
    args = *inputs(2 * small_chunks + 5), 0.1
    alone = jax.jit(fused, static_argnums=3)(*args)
    loss, gradients = FUSED(*args)
    expected, expected_gradients = PLAIN(*args)
    np.testing.assert_allclose([alone, loss], [expected] * 2, rtol=1e-6)
    for found, gradient in zip(gradients, expected_gradients, strict=True):
        close(found, gradient, 1e-5)


def test_what_stands_at_pad_changes_neither_loss_nor_gradients():
    states, table, targets = inputs(20)
    other = np.where(targets[:, None] == PAD, 9, states).astype(np.float32)
    before, after = (FUSED(x, table, targets, 0.1) for x in (states, other))
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert not np.array(before[1][0])[targets == PAD].any()


def test_nothing_but_pad_has_no_loss_and_no_gradient():
    states, table, targets = inputs(9)
    found = FUSED(states, table, targets * 0, 0.1)
    assert not any(np.array(leaf).any() for leaf in jax.tree.leaves(found))


def test_gradients_are_scaled_by_what_comes_after_the_loss():
    args = *inputs(20), 0.1
    _, gradients = FUSED(*args)
    _, scaled = with_gradients(lambda *args: -3 * fused(*args))(*args)
    for found, gradient in zip(scaled, gradients, strict=True):
        close(found, -3 * gradient, 1e-6)


def plain_twice(states, table, targets, criterion):
    """The loss of tokens that are predicted twice."""
    logits = jnp.einsum("nPD,VD->nPV", states, table)
    labels = jnp.repeat(targets[:, None], 2, axis=1)
    losses_ = losses.token_losses(logits, labels, criterion.smoothing).mean(axis=1)
    p, q = jax.nn.log_softmax(logits).swapaxes(0, 1)
    apart = ((jnp.exp(p) - jnp.exp(q)) * (p - q)).sum(axis=-1)
    each = losses_ + criterion.consistency / 4 * apart
    return each.sum(where=targets != PAD)


def twice(n):
    """Two states for each token."""
    states, table, targets = inputs(2 * n, seed=n)
    return states.reshape(n, 2, D), table, targets[:n]


@pytest.mark.parametrize("n", [1, 8, 41])
@pytest.mark.parametrize("consistency", [0.0, 5.0])
def test_two_predictions_of_a_token_are_also_held_together(n, consistency, monkeypatch):
    monkeypatch.setattr(losses, "SCORES", 7 * V)
    args = *twice(n), Criterion(0.1, consistency)
    loss, gradients = with_gradients(losses.projected_loss)(*args)
    expected, expected_gradients = with_gradients(plain_twice)(*args)
    np.testing.assert_allclose(loss, expected, rtol=2e-6)
    for found, gradient in zip(gradients, expected_gradients, strict=True):
        close(found, gradient, 1e-5)


def test_of_equal_predictions_only_the_loss_is_left():
    states, table, targets = inputs(20)
    criterion = Criterion(0.1, consistency=5.0)
    both = np.stack([states, states], axis=1)
    found, gradients = with_gradients(losses.projected_loss)(
        both, table, targets, criterion
    )
    expected, (by_states, by_table) = FUSED(states, table, targets, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    close(gradients[0].sum(axis=1), by_states, 1e-5)
    close(gradients[1], by_table, 1e-5)


def test_one_prediction_has_nothing_to_be_consistent_with():
    states, table, targets = inputs(20)
    loss = jax.jit(losses.projected_loss, static_argnums=3)
    found = loss(states[:, None], table, targets, Criterion(0.1, consistency=5.0))
    expected, _ = PLAIN(states, table, targets, 0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_bfloat16_states_give_a_float32_loss_and_gradients_of_the_types_given(
    small_chunks,
):
    states, table, targets = inputs(2 * small_chunks + 5)
    low = states.astype(jnp.bfloat16)
    loss, gradients = FUSED(low, table, targets, 0.1)
    assert [x.dtype for x in (loss, *gradients)] == [
        jnp.float32,
        low.dtype,
        jnp.float32,
    ]
    expected, exact = PLAIN(states, table, targets, 0.1)
    np.testing.assert_allclose(loss, expected, rtol=0.01)
    for found, gradient in zip(gradients, exact, strict=True):
        close(np.array(found, np.float32), gradient, 0.03)


def test_the_fused_loss_never_holds_the_scores_of_all_tokens(small_chunks):
    n = 4 * small_chunks
    program = jax.make_jaxpr(FUSED, static_argnums=3)(*inputs(n), 0.1)
    shapes = re.findall(r"\w\d+\[([\d,]+)\]", str(program))
    sizes = {math.prod(map(int, shape.split(","))) for shape in shapes}
    assert small_chunks * V in sizes
    assert max(sizes) < n * V


def learning_curve(formulation: Literal["ours", "plain"]):
    """Losses of 200 updates of a small network, with dropout."""
    work = Work(tokens=64, length=8, vocabulary=64, layers=1, formulation=formulation)
    made = task(work)
    update, state, curve = jax.jit(made.step()), made.state(), []
    for batch in islice(made.stream(), 200):
        state, metrics = update(state, batch)
        curve.append(metrics["loss"])
    return np.array(curve)


def test_over_200_updates_fused_and_plain_learn_the_same(monkeypatch):
    monkeypatch.setattr(losses, "SCORES", 24 * 64)  # 64 tokens in three chunks
    fused, expected = learning_curve("ours"), learning_curve("plain")
    assert expected[-1] < 0.8 * expected[0]
    np.testing.assert_allclose(fused[:100], expected[:100], rtol=5e-6)
    # What is rounded otherwise grows with every update.
    np.testing.assert_allclose(fused, expected, rtol=1e-4)
