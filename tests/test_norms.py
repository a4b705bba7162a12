"""Our layer norm is Flax's, but for what its gradient keeps."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.norms import LayerNorm, by_definition, normalised

B, T, D = 3, 5, 8
X = 2 * jax.random.normal(jax.random.key(0), (B, T, D)) + 1
SCALE, BIAS = jax.random.normal(jax.random.key(1), (2, D))
TYPES = pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])


def with_gradients(function):
    """Its value, and the gradients of an arbitrary function of that."""

    @jax.jit
    def run(*args):
        y, pull = jax.vjp(function, *args)
        return y, *pull(jnp.cos(y))

    return run


@TYPES
def test_it_is_flaxs_with_its_parameters_and_gradients(dtype):
    params = {"params": {"scale": SCALE, "bias": BIAS}}
    ours: Any = LayerNorm(dtype)
    flaxs: Any = nn.LayerNorm(dtype=dtype)
    args = params, X.astype(dtype)
    found, expected = (with_gradients(norm.apply)(*args) for norm in (ours, flaxs))
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    near = 1e-5 if dtype == jnp.float32 else 2e-2
    for one, right in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert (one.shape, one.dtype) == (right.shape, right.dtype)
        one, right = (np.array(leaf, np.float32) for leaf in (one, right))
        np.testing.assert_allclose(one, right, rtol=near, atol=near)


@TYPES
def test_it_begins_with_flaxs_parameters(dtype):
    ours: Any = LayerNorm(dtype)
    flaxs: Any = nn.LayerNorm(dtype=dtype)
    first, second = (norm.init(jax.random.key(0), X) for norm in (ours, flaxs))
    jax.tree.map(np.testing.assert_array_equal, first, second)


@pytest.mark.parametrize("scale", [SCALE, jnp.zeros(D), jnp.full(D, -3.0)])
def test_its_gradient_is_that_of_its_definition(scale):
    found = with_gradients(normalised)(X, scale, BIAS)
    expected = with_gradients(by_definition)(X, scale, BIAS)
    for ours, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-5)


def test_rows_without_any_deviation_have_finite_gradients():
    found = with_gradients(normalised)(jnp.full((T, D), 3.0), SCALE, BIAS)
    np.testing.assert_allclose(found[0], np.broadcast_to(BIAS, (T, D)), atol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in found)


def test_of_arrays_as_large_as_its_input_the_gradient_keeps_that_alone():
    def kept(function):
        pull: Any = jax.eval_shape(lambda *args: jax.vjp(function, *args)[1], *ARGS)
        return sum(leaf.size >= X.size for leaf in jax.tree.leaves(pull))

    ARGS = X, SCALE, BIAS
    assert kept(normalised) == 1 < kept(by_definition)
