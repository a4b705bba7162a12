"""A mask says, for each query and each key, what may look at what."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from transformer import masks
from transformer.symbols import BOS, EOS, PAD, UNK

few = settings(max_examples=20, deadline=None)


def numbers(shape, highest=3):
    return arrays(np.int32, shape, elements=st.integers(0, highest))


@few
@given(numbers((3, 5)))
def test_padding_hides_the_keys_that_are_pad_and_no_others(tokens):
    mask = masks.padding(jnp.asarray(tokens))
    assert mask.shape == (3, 1, 5)
    np.testing.assert_array_equal(mask[:, 0], tokens != PAD)


def test_every_other_special_token_is_seen():
    assert masks.padding(jnp.array([[BOS, EOS, UNK]])).all()


def test_a_position_sees_itself_and_what_is_before():
    mask = masks.causal(6)[0]
    for query in range(6):
        for key in range(6):
            assert mask[query, key] == (key <= query)


@few
@given(numbers((2, 4)), numbers((2, 6)))
def test_a_token_sees_the_tokens_of_its_own_segment(query, key):
    mask = masks.segments(jnp.asarray(query), jnp.asarray(key))
    for row, t, s in np.ndindex(2, 4, 6):
        assert mask[row, t, s] == (query[row, t] == key[row, s])


def test_a_single_hypothesis_sees_what_its_row_of_the_causal_mask_shows():
    position = jnp.arange(6)
    steps = masks.descent(jnp.zeros((6, 1, 6), jnp.int32), position)
    np.testing.assert_array_equal(steps[:, 0], masks.causal(6)[0])


def test_a_hypothesis_sees_its_ancestors_and_nobody_else():
    rng = np.random.default_rng(0)
    ancestors = rng.integers(0, 3, (2, 3, 4))
    position = np.array([1, 3])
    mask = masks.descent(jnp.asarray(ancestors), jnp.asarray(position))
    for row, k, t, slot in np.ndindex(2, 3, 4, 3):
        seen = ancestors[row, k, t] == slot and t <= position[row]
        assert mask[row, k, t * 3 + slot] == seen


def test_masks_combine_by_and_to_one_mask_a_sentence():
    tokens = jnp.array([[5, 6, PAD], [5, PAD, PAD]])
    mask = masks.padding(tokens) & masks.causal(3)
    np.testing.assert_array_equal(
        mask,
        [
            [[1, 0, 0], [1, 1, 0], [1, 1, 0]],
            [[1, 0, 0], [1, 0, 0], [1, 0, 0]],
        ],
    )
