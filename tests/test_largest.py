"""The largest of many numbers are those that sorting finds, in the same order."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.largest import BLOCK, largest


@pytest.mark.parametrize("shape", [(2,), (2000,), (3, 1024), (4, 1009), (2, 2, 750)])
@given(
    count=st.integers(1, 3),
    kinds=st.sampled_from([1, 2, 50, 10**6]),
    seed=st.integers(0, 2**32 - 1),
)
def test_they_are_the_first_of_a_stable_sort(shape, count, kinds, seed):
    scores = np.random.default_rng(seed).integers(-kinds, kinds, shape)
    scores = scores.astype(np.float32)
    count = min(count, scores.size)
    best, places = jax.jit(largest, static_argnums=1)(scores, count)
    expected = np.argsort(-scores.reshape(-1), stable=True)[:count]
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_array_equal(best, scores.reshape(-1)[expected])


def test_shapes_cover_blocks_with_and_without_a_rest():
    """What the test above relies on."""
    assert 2 * BLOCK * 3 < 2000
    assert all(1009 % size for size in range(BLOCK // 2, 2 * BLOCK))
