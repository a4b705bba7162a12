"""Positions are given, and each scheme tells the model in its own way."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import positions

few = settings(max_examples=20, deadline=None)
places = st.lists(st.integers(0, 500), min_size=4, max_size=4)
rotate = jax.jit(positions.rotate)
sinusoidal = jax.jit(positions.sinusoidal, static_argnums=1)


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def apply(module, variables, *args) -> Any:
    return jax.jit(module.apply)(variables, *args)


def angles(places, dim):
    """As in the paper, in float64."""
    return np.array(places)[:, None] / 10_000 ** (np.arange(0, dim, 2) / dim)


@few
@given(places, st.sampled_from([2, 8, 10]))
def test_sinusoidal_is_the_papers_formula(places, dim):
    encoding = np.array(sinusoidal(np.array([places]), dim)[0])
    expected = angles(places, dim)
    np.testing.assert_allclose(encoding[:, 0::2], np.sin(expected), atol=2e-4)
    np.testing.assert_allclose(encoding[:, 1::2], np.cos(expected), atol=2e-4)


@few
@given(places)
def test_rotating_multiplies_pairs_as_complex_numbers_by_a_unit(places):
    x = normal(1, 4, 2, 8)
    rotated = np.array(rotate(x, np.array([places])))
    units = np.exp(1j * angles(places, 8))[:, None]
    expected = units * (x[0, ..., 0::2] + 1j * x[0, ..., 1::2])
    np.testing.assert_allclose(rotated[0, ..., 0::2], expected.real, atol=1e-3)
    np.testing.assert_allclose(rotated[0, ..., 1::2], expected.imag, atol=1e-3)


@few
@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_product_of_rotated_vectors_depends_on_their_distance_alone(t, s, shift):
    query, key = normal(2, 1, 1, 1, 8)

    def product(t, s):
        vectors = rotate(query, np.array([[t]])), rotate(key, np.array([[s]]))
        return np.vdot(*vectors)

    np.testing.assert_allclose(product(t, s), product(t + shift, s + shift), atol=1e-3)


def test_a_product_of_rotated_vectors_falls_with_their_distance():
    x = np.ones((1, 4, 1, 8), np.float32)
    rotated = np.array(rotate(x, np.arange(4)[None]))[0, :, 0]
    assert (np.diff(rotated @ rotated[0]) < -0.1).all()


def test_nothing_is_turned_at_position_zero_nor_by_other_schemes():
    x = jnp.asarray(normal(1, 4, 2, 8))
    start = jnp.zeros((1, 4), jnp.int32)
    np.testing.assert_array_equal(rotate(x, start), x)
    assert positions.unrotated(x, start + 7) is x


def test_nothing_is_added_for_rotary_positions():
    x = jnp.asarray(normal(1, 4, 8))
    assert positions.Unadded().apply({}, x, jnp.arange(4)[None]) is x


def test_the_sinusoidal_encoding_is_added():
    x = normal(2, 3, 8)
    places = np.array([[0, 1, 2], [9, 4, 0]])
    added = apply(positions.Sinusoidal(8), {}, x, places)
    np.testing.assert_allclose(added, x + sinusoidal(places, 8), atol=1e-6)


def test_each_position_has_a_learned_row_and_the_last_serves_all_later_ones():
    x, table = normal(1, 4, 8), normal(5, 8)
    places = np.array([[3, 0, 4, 90]])
    module = positions.Learned(dim=8, max_length=5)
    added = apply(module, {"params": {"table": table}}, x, places)
    np.testing.assert_array_equal(added, x + table[[3, 0, 4, 4]])


@pytest.mark.parametrize(
    "module", [positions.Sinusoidal(8), positions.Learned(8, 2000)]
)
def test_added_positions_keep_the_type_of_the_states(module):
    x = jnp.zeros((1, 2, 8), jnp.bfloat16)
    args = jax.random.key(0), x, jnp.array([[1, 2]])
    added, _ = jax.eval_shape(module.init_with_output, *args)
    assert added.dtype == jnp.bfloat16


@pytest.mark.parametrize("place", [3, 1001])
def test_bfloat16_states_are_turned_by_exact_angles(place):
    """bfloat16 cannot even tell 1001 from 1000."""
    x = normal(1, 1, 1, 8)
    places = np.array([[place]])
    low = np.array(rotate(x.astype(jnp.bfloat16), places))
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(np.float32), rotate(x, places), atol=0.03)
