"""Dropout's bits are hashed, not drawn, and must look drawn all the same."""

from functools import lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.dropout import Dropout, keep_mask

KEYS, ROWS, WIDTH = 256, 8, 256
RATES = pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
KEY = jax.random.key(0)
MANY_KEYS = jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(KEYS))


@lru_cache
def deviations(rate):
    """Masks of many keys, flattened, less what they should be on average."""
    keep = jax.jit(jax.vmap(lambda key: keep_mask(key, (ROWS, WIDTH), rate)))
    return np.array(keep(MANY_KEYS)).reshape(KEYS, -1) - (1 - rate)


def sigmas(products, rate, factors=1):
    """How far a mean of independent products is from zero."""
    return np.abs(
        products.mean() * products.size**0.5 / (rate * (1 - rate)) ** (factors / 2)
    )


@RATES
def test_the_share_that_is_dropped_is_the_rate(rate):
    assert sigmas(deviations(rate), rate) < 5


@RATES
def test_elements_near_and_far_in_an_array_are_independent(rate):
    flat = deviations(rate)
    for distance in (1, 2, 3, *(2**power for power in range(2, 11))):
        products = flat[:, distance:] * flat[:, :-distance]
        assert sigmas(products, rate, factors=2) < 5, distance


@RATES
def test_masks_of_different_keys_are_independent(rate):
    flat = deviations(rate)
    for distance in (1, 2, 64):
        products = flat[distance:] * flat[:-distance]
        assert sigmas(products, rate, factors=2) < 5, distance


@RATES
def test_the_number_that_is_dropped_varies_from_key_to_key_as_chance_has_it(rate):
    flat = deviations(rate)
    expected = flat.shape[1] * rate * (1 - rate)
    assert 0.6 < flat.sum(axis=1).var() / expected < 1.4


@RATES
def test_expectation_is_preserved_for_every_element(rate):
    x = jnp.linspace(1, 2, 64)
    apply: Any = Dropout(rate).apply
    drop = jax.vmap(lambda key: apply({}, x, train=True, rngs={"dropout": key}))
    dropped = np.array(jax.jit(drop)(MANY_KEYS))
    kept = np.broadcast_to(x / (1 - rate), dropped.shape)
    np.testing.assert_allclose(dropped, np.where(dropped == 0, 0, kept), rtol=1e-6)
    error = np.abs(dropped.mean(axis=0) / x - 1)
    assert (error < 5 * (rate / (1 - rate) / KEYS) ** 0.5).all()


def test_two_uses_of_one_module_drop_differently():
    x = jnp.ones((ROWS, WIDTH))

    def twice(module, x):
        return module(x, train=True), module(x, train=True)

    drop = jax.jit(nn.apply(twice, Dropout(0.5)))
    first, second = drop({}, x, rngs={"dropout": KEY})
    assert 0.4 < (first == second).mean() < 0.6


@pytest.mark.parametrize(("rate", "train"), [(0.5, False), (0.0, True)])
def test_it_is_off_when_not_training_and_at_rate_zero_and_needs_no_key(rate, train):
    x = jnp.ones((3, 5))
    assert Dropout(rate).apply({}, x, train=train) is x


def test_the_type_is_kept():
    module = Dropout(0.5)
    x = jnp.ones((3, 5), jnp.bfloat16)
    apply: Any = partial(module.apply, {}, train=True, rngs={"dropout": KEY})
    dropped = jax.eval_shape(apply, x)
    assert dropped.dtype == jnp.bfloat16
