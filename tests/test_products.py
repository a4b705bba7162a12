"""A flat product is the product over the same axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from transformer.products import flat_product, multiply, multiply_rows, outer_sum

B, T, D, N, H = 2, 3, 8, 2, 4

SHAPES = {
    "one axis to one": ((B, T, D), (D, H), 1),
    "one axis to heads": ((B, T, D), (D, N, H), 1),
    "heads to one axis": ((B, T, N, H), (N, H, D), 2),
    "no batch": ((D,), (D, H), 1),
}


@pytest.mark.parametrize(("x", "kernel", "count"), SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_it_is_lax_dot_general_with_its_gradients(x, kernel, count, dtype):
    random = np.random.default_rng(0)
    args = [jnp.asarray(random.normal(size=shape), dtype) for shape in (x, kernel)]
    last, first = range(len(x) - count, len(x)), range(count)
    axes = ((tuple(last), tuple(first)), ((), ()))

    def all_of(product):
        y, pull = jax.vjp(lambda *args: product(*args, axes), *args)
        return y, *pull(jnp.cos(y))

    found, expected = jax.jit(lambda: (all_of(flat_product), all_of(lax.dot_general)))()
    for ours, right in zip(found, expected, strict=True):
        assert (ours.shape, ours.dtype) == (right.shape, right.dtype)
        ours, right = (np.array(leaf, np.float32) for leaf in (ours, right))
        np.testing.assert_allclose(ours, right, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("rows", [(1,), (3,), (4,), (130,), (3, 5), (2, 3, 2)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_an_outer_sum_is_that_with_its_gradients(rows, dtype):
    random = np.random.default_rng(0)
    args = [jnp.asarray(random.normal(size=(*rows, n)), dtype) for n in (D, 70)]
    scale = random.normal(size=(D, 70)).astype(np.float32)

    def total(x, y):
        return (scale * outer_sum(x, y, jnp.float32)).sum()

    gradient = jax.jit(jax.value_and_grad(total, (0, 1)))
    found, (x_grad, y_grad) = gradient(*args)
    x, y = (np.array(arg, np.float64).reshape(-1, arg.shape[-1]) for arg in args)
    np.testing.assert_allclose(found, (scale * (x.T @ y)).sum(), rtol=1e-4)
    for ours, right in (x_grad, y @ scale.T), (y_grad, x @ scale):
        assert ours.dtype == dtype
        ours = np.array(ours, float).reshape(right.shape)
        np.testing.assert_allclose(ours, right, rtol=2e-2, atol=0.2)
    assert outer_sum(*args).dtype == dtype


@pytest.mark.parametrize("rows", [1, 3, 4, 7])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_few_rows_are_multiplied_as_many_are(rows, dtype):
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(rows, D)), dtype)
    y = jnp.asarray(random.normal(size=(D, H)), dtype)
    exact = np.array(x, np.float64) @ np.array(y, np.float64)
    for form, factor in (multiply, y), (multiply_rows, y.T):
        product = jax.jit(form, static_argnums=2)(x, factor, jnp.float32)
        assert product.dtype == jnp.float32
        np.testing.assert_allclose(product, exact, rtol=1e-5, atol=1e-5)
        assert form(x, factor).dtype == dtype
