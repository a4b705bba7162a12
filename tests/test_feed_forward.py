"""The feed-forward layers are their equations, at every position alone."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import backend, feed_forward
from transformer.feed_forward import FeedForward, GatedFeedForward, relu

D, F = 8, 12
X = np.random.default_rng(0).normal(size=(2, 3, D)).astype(np.float32)


def make(module: Any):
    """The module as a function, and parameters of which none is zero."""
    random = np.random.default_rng(1)
    init, apply = (partial(f, train=False) for f in (module.init, module.apply))
    shapes = jax.eval_shape(lambda: init(jax.random.key(0), jnp.zeros((1, D))))

    def fill(leaf):
        return random.normal(size=leaf.shape).astype(leaf.dtype)

    variables: Any = jax.tree.map(fill, shapes)
    return lambda x: np.array(jax.jit(apply)(variables, x)), variables["params"]


def test_with_relu_it_is_equation_2():
    apply, p = make(FeedForward(D, F))
    hidden = X @ p["hidden"]["kernel"] + p["hidden"]["bias"]
    expected = np.maximum(0, hidden) @ p["output"]["kernel"] + p["output"]["bias"]
    np.testing.assert_allclose(apply(X), expected, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_relus_gradient_is_told_by_its_result(dtype):
    x = jnp.array([-1.0, -1e-3, 0.0, 1e-3, 2.0])
    y, pull = jax.vjp(partial(relu, dtype=dtype), x)
    expected, theirs = jax.vjp(jax.nn.relu, x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, expected.astype(dtype))
    np.testing.assert_array_equal(
        *(
            p(jnp.ones_like(z))
            for p, z in zip((pull, theirs), (y, expected), strict=True)
        )
    )


def test_the_activation_is_the_one_given():
    apply, p = make(FeedForward(D, F, activation=jnp.zeros_like))
    np.testing.assert_array_equal(
        apply(X), np.broadcast_to(p["output"]["bias"], X.shape)
    )


def test_gated_it_is_swiglu_without_biases():
    apply, p = make(GatedFeedForward(D, F))
    assert all(list(layer) == ["kernel"] for layer in p.values())
    gate = X @ p["gate"]["kernel"]
    swish = gate / (1 + np.exp(-gate))
    hidden = X @ p["hidden"]["kernel"]
    expected = (swish * hidden) @ p["output"]["kernel"]
    np.testing.assert_allclose(apply(X), expected, atol=1e-4)


@pytest.mark.parametrize("kind", [FeedForward, GatedFeedForward])
def test_a_position_knows_nothing_of_the_others(kind):
    apply, _ = make(kind(D, F))
    other = X.copy()
    other[1, 2] += 1
    changed = (apply(X) != apply(other)).any(axis=-1)
    np.testing.assert_array_equal(changed, [[0, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize("kind", [FeedForward, GatedFeedForward])
def test_it_computes_in_its_type_from_float32_parameters(kind):
    apply, p = make(kind(D, F, dtype=jnp.bfloat16))
    assert {leaf.dtype for leaf in jax.tree.leaves(p)} == {np.dtype("f4")}
    assert apply(X).dtype == jnp.bfloat16


@pytest.mark.parametrize("kind", [FeedForward, GatedFeedForward])
def test_dropout_thins_the_inner_values_and_nothing_when_not_training(kind):
    module: Any = kind(D, D, rate=0.5)
    _, params = make(module)
    params["output"] = {"kernel": jnp.eye(D)}  # so that they come out as they are
    if kind is FeedForward:
        params["output"]["bias"] = jnp.zeros(D)
    apply = partial(module.apply, {"params": params}, jnp.ones((40, D)))
    whole = apply(train=False)
    thinned = np.array(apply(train=True, rngs={"dropout": jax.random.key(1)}))
    gone = thinned == 0
    np.testing.assert_allclose(thinned, np.where(gone, 0, 2 * whole), rtol=1e-6)
    assert 0.3 < gone[whole != 0].mean() < 0.7


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("kind", [FeedForward, GatedFeedForward])
def test_what_is_made_again_changes_neither_result_nor_gradients(
    kind, rate, monkeypatch
):
    module: Any = kind(D, F, rate=rate)
    _, params = make(module)

    def all_of(again):
        monkeypatch.setattr(feed_forward, "cheaper_than_kept", lambda dtype: again)
        rngs = {"dropout": jax.random.key(1)}
        apply = partial(module.apply, train=True, rngs=rngs)
        y, pull = jax.vjp(apply, {"params": params}, X)
        return y, *pull(jnp.cos(y))

    found, expected = map(jax.tree.leaves, map(all_of, (True, False)))
    for ours, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-5)


def kept_inner_values(module: Any) -> list[Any]:
    """The arrays of them that a gradient in training keeps."""
    _, params = make(module)
    x = jnp.zeros((7, 11, D))
    pull: Any = jax.eval_shape(
        lambda p: jax.vjp(partial(module.apply, train=True), p, x)[1],
        {"params": params},
    )
    return [leaf for leaf in jax.tree.leaves(pull) if leaf.size == 7 * 11 * F]


@pytest.mark.parametrize(("kind", "few"), [(FeedForward, 1), (GatedFeedForward, 2)])
def test_its_gradient_keeps_no_inner_values_but_those_it_comes_from(kind, few):
    """In float32 on a CPU, where the tests run."""
    module: Any = kind(D, F)
    assert len(kept_inner_values(module)) == few


@pytest.mark.parametrize(("cpu", "inner"), [(True, "float32"), (False, "bfloat16")])
def test_on_a_cpu_the_activation_gets_what_is_not_rounded_yet(cpu, inner, monkeypatch):
    seen = []

    def activation(x, dtype):
        seen.append((x.dtype, dtype))
        return x.astype(dtype)

    monkeypatch.setattr(backend, "on_cpu", lambda: cpu)
    apply, _ = make(FeedForward(D, F, activation, dtype=jnp.bfloat16))
    apply(X)
    assert set(seen) == {(jnp.dtype(inner), jnp.bfloat16)}


def test_in_bfloat16_the_gradient_of_relu_keeps_its_result_alone():
    module: Any = FeedForward(D, F, dtype=jnp.bfloat16)
    kept = kept_inner_values(module)
    assert {leaf.dtype for leaf in kept} == {jnp.dtype("bfloat16")}
