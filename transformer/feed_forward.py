"""The position-wise feed-forward layer, section 3.3 of the paper."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer.dropout import Dropout
from transformer.linear import Linear

Activation = Callable[[Float[Array, "*B F"]], Float[Array, "*B F"]]


class FeedForward(nn.Module):
    """W₂ activation(W₁ x + b₁) + b₂; `jax.nn.relu` makes it equation 2 of the paper.

    Args:
        rate: the share of the F inner values that dropout zeroes in training.
    """

    dim: int
    hidden_dim: int
    activation: Activation = jax.nn.relu
    rate: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"], *, train: bool) -> Float[Array, "*B D"]:
        linear = partial(Linear, dtype=self.dtype)
        hidden = self.activation(linear(self.hidden_dim, name="hidden")(x))
        hidden = Dropout(self.rate)(hidden, train=train)
        return linear(self.dim, name="output")(hidden)


class GatedFeedForward(nn.Module):
    """W₂ (activation(W₁ x) ∘ W₃ x), no biases; with `jax.nn.silu` this is SwiGLU.

    Shazeer 2020, "GLU Variants Improve Transformer", equation 6.
    """

    dim: int
    hidden_dim: int
    activation: Activation = jax.nn.silu
    rate: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"], *, train: bool) -> Float[Array, "*B D"]:
        linear = partial(Linear, use_bias=False, dtype=self.dtype)
        gate = self.activation(linear(self.hidden_dim, name="gate")(x))
        hidden = gate * linear(self.hidden_dim, name="hidden")(x)
        hidden = Dropout(self.rate)(hidden, train=train)
        return linear(self.dim, name="output")(hidden)
