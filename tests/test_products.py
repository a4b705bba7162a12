"""Products are those over the same axes, however few the rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.products import (
    column_sums,
    multiply,
    multiply_rows,
    outer_sum,
    row_sums,
)

D, H = 8, 4


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


@pytest.mark.parametrize("rows", [1, 3, 4, 7, 130])
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
        gradient = jax.grad(lambda *args, form=form: form(*args).sum(), (0, 1))
        of_x, of_factor = (np.array(g, np.float32) for g in gradient(x, factor))
        np.testing.assert_allclose(
            of_x, np.tile(np.array(y, "f4").sum(1), (rows, 1)), rtol=2e-2, atol=2e-2
        )
        of_y = of_factor if form is multiply else of_factor.T
        np.testing.assert_allclose(
            of_y, np.tile(np.array(x, "f4").sum(0)[:, None], H), rtol=2e-2, atol=2e-2
        )


@pytest.mark.parametrize("shape", [(1, D), (7, D), (2, 3, D)])
def test_sums_are_those_of_rows_and_columns(shape):
    random = np.random.default_rng(0)
    x, weights = random.normal(size=shape), random.normal(size=D)
    ours = jnp.asarray(x, jnp.float32)
    by_rows = row_sums(ours, jnp.asarray(weights, jnp.float32))
    np.testing.assert_allclose(by_rows, x @ weights, rtol=1e-4, atol=1e-5)
    by_columns = x.reshape(-1, D).sum(axis=0)
    np.testing.assert_allclose(column_sums(ours), by_columns, rtol=1e-4, atol=1e-5)


def test_columns_of_bfloat16_are_summed_in_the_type_asked_for():
    (total,) = column_sums(jnp.ones((7, 143, 1), jnp.bfloat16), jnp.float32)
    assert total == 1001  # which bfloat16 has not
