"""Tokens as vectors, and vectors back as scores over tokens: one table for both."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from transformer.products import multiply_rows


class Embedding(nn.Module):
    """A table of token vectors, tied to the projection onto the vocabulary.

    The rows start with variance 1/D, so that they have length about 1 as rows of the
    projection and, after the factor √D of section 3.4, entries of variance 1 as input.
    """

    vocab_size: int
    dim: int
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        scale = nn.initializers.normal(stddev=self.dim**-0.5)
        self.table = self.param("table", scale, (self.vocab_size, self.dim))

    def __call__(self, tokens: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        """The rows of `tokens`, scaled by √D."""
        return self.table[tokens].astype(self.dtype) * math.sqrt(self.dim)

    def logits(self, x: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
        """Scores of every token, in float32: small differences matter here."""
        table = self.table.astype(self.dtype)
        return multiply_rows(x, table, jnp.float32)
