"""The position-wise feed-forward layer, section 3.3 of the paper."""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer.dropout import Dropout
from transformer.products import flat_product, multiply

Activation = Callable[[Float[Array, "*B F"]], Float[Array, "*B F"]]


@jax.custom_vjp
def _shifted(x: Float[Array, "*B F"], bias: Float[Array, " F"]) -> Float[Array, "*B F"]:
    """x + bias, whose gradient is summed in the bias's own type.

    In bfloat16 XLA:CPU would sum it window by window (benchmarks/RESULTS.md).
    """
    return x + jnp.broadcast_to(bias.astype(x.dtype), x.shape)


def _forward(x, bias):
    return _shifted(x, bias), bias


def _backward(bias, gradient):
    rows = gradient.reshape(-1, gradient.shape[-1])
    return gradient, rows.astype(bias.dtype).sum(axis=0)


_shifted.defvjp(_forward, _backward)


class Linear(nn.Module):
    """W x + b, as `nn.Dense`, whose parameters it has."""

    features: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B F"]:
        shape = x.shape[-1], self.features
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, shape[1:])
        x, kernel = (jnp.asarray(factor, self.dtype) for factor in (x, kernel))
        return _shifted(multiply(x, kernel), jnp.asarray(bias))


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
        linear = partial(
            nn.Dense, use_bias=False, dtype=self.dtype, dot_general=flat_product
        )
        gate = self.activation(linear(self.hidden_dim, name="gate")(x))
        hidden = gate * linear(self.hidden_dim, name="hidden")(x)
        hidden = Dropout(self.rate)(hidden, train=train)
        return linear(self.dim, name="output")(hidden)
