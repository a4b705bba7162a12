"""One table makes vectors of tokens, and scores over tokens of vectors."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.embeddings import Embedding

TOKENS = np.array([[4, 0, 58], [4, 4, 1]])


@lru_cache
def make(dim=32, dtype: Any = jnp.float32):
    """The module as a function, and its parameters."""
    module = Embedding(vocab_size=59, dim=dim, dtype=dtype)
    variables = jax.jit(module.init)(jax.random.key(0), TOKENS)
    return jax.jit(module.apply, static_argnames="method"), variables


def table_of(variables):
    (table,) = jax.tree.leaves(variables)
    return np.array(table)


def test_there_is_one_table_in_float32_whatever_the_computing_type():
    table = table_of(make(dtype=jnp.bfloat16)[1])
    assert table.shape == (59, 32)
    assert table.dtype == np.float32


@pytest.mark.parametrize("dim", [8, 32])
def test_a_token_is_its_row_times_the_root_of_the_width(dim):
    apply, variables = make(dim)
    expected = table_of(variables)[TOKENS] * dim**0.5
    np.testing.assert_allclose(apply(variables, TOKENS), expected, rtol=1e-6)


@pytest.mark.parametrize("dim", [8, 64])
def test_inputs_begin_with_variance_one_and_rows_with_length_one(dim):
    apply, variables = make(dim)
    vectors = np.array(apply(variables, np.arange(59)[None]))
    assert vectors.var() == pytest.approx(1, abs=0.15)
    lengths = np.linalg.norm(table_of(variables), axis=-1)
    assert lengths.mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("axes", [(), (2,), (2, 3)])
def test_a_score_is_the_product_with_the_tokens_row(axes):
    apply, variables = make()
    x = np.random.default_rng(0).normal(size=(*axes, 32)).astype(np.float32)
    logits = apply(variables, x, method="logits")
    expected = x.astype(np.float64) @ table_of(variables).T
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_in_bfloat16_vectors_are_bfloat16_and_scores_are_summed_in_float32():
    apply, variables = make(dtype=jnp.bfloat16)
    assert apply(variables, TOKENS).dtype == jnp.bfloat16
    x = np.random.default_rng(0).normal(size=(5, 32)).astype(jnp.bfloat16)
    logits = apply(variables, x, method="logits")
    assert logits.dtype == jnp.float32
    table = table_of(variables).astype(jnp.bfloat16).astype(np.float64)
    np.testing.assert_allclose(logits, x.astype(np.float64) @ table.T, atol=1e-5)
