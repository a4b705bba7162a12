"""The position-wise feed-forward layer, section 3.3 of the paper."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer import backend
from transformer.dropout import dropped
from transformer.linear import Linear
from transformer.remat import cheaper_than_kept, made_again

Activation = Callable[..., Any]
"""Of inner values "*B F" and the type of its result, which has their shape."""


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def relu(x: Float[Array, "*B F"], dtype: DTypeLike) -> Float[Array, "*B F"]:
    """max(x, 0), whose gradient keeps what the next product keeps anyway."""
    return jnp.maximum(x, 0).astype(dtype)


def _forward(x, dtype):
    found = relu(x, dtype)
    return found, (found, jnp.zeros((), x.dtype))


def _backward(_, kept, gradient):
    found, zero = kept
    return (jnp.where(found > 0, gradient, 0).astype(zero.dtype),)


relu.defvjp(_forward, _backward)


def gelu(x: Float[Array, "*B F"], dtype: DTypeLike) -> Float[Array, "*B F"]:
    """Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", by its tangent."""
    return jax.nn.gelu(x).astype(dtype)


def silu(x: Float[Array, "*B F"], dtype: DTypeLike) -> Float[Array, "*B F"]:
    """x / (1 + exp(-x)), also called Swish."""
    return jax.nn.silu(x).astype(dtype)


class FeedForward(nn.Module):
    """W₂ activation(W₁ x + b₁) + b₂; `relu` makes it equation 2 of the paper.

    Args:
        rate: the share of the F inner values that dropout zeroes in training.
    """

    dim: int
    hidden_dim: int
    activation: Activation = relu
    rate: float = 0.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"], *, train: bool) -> Float[Array, "*B D"]:
        linear = partial(Linear, dtype=self.dtype)
        wide = backend.wide(self.dtype)
        hidden = linear(self.hidden_dim, name="hidden", result=wide)(x)
        output = linear(self.dim, name="output")
        return self._put_out(output, self._activated, hidden, train=train)

    def _activated(self, hidden: Any) -> Any:
        return self.activation(hidden, self.dtype)

    def _put_out(
        self, output: Linear, inner: Callable[..., Any], *hidden: Any, train: bool
    ) -> Any:
        """`output` of what `inner` makes of hidden values, with dropout between."""
        key = self.make_rng("dropout") if train and self.rate else None
        if not train or self.is_initializing() or not cheaper_than_kept(self.dtype):
            return output(dropped(inner(*hidden), key, self.rate))
        layer, variables = output.unbind()

        def apply(kept: Any, hidden: Any) -> Any:
            variables, key = kept
            return layer.apply(variables, dropped(inner(*hidden), key, self.rate))

        return made_again(apply, (variables, key), hidden)


class GatedFeedForward(FeedForward):
    """W₂ (activation(W₁ x) ∘ W₃ x), no biases; with `silu` this is SwiGLU.

    Shazeer 2020, "GLU Variants Improve Transformer", equation 6.
    """

    activation: Activation = silu

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"], *, train: bool) -> Float[Array, "*B D"]:
        linear = partial(Linear, use_bias=False, dtype=self.dtype)
        gate = linear(self.hidden_dim, name="gate")(x)
        hidden = linear(self.hidden_dim, name="hidden")(x)
        output = linear(self.dim, name="output")
        return self._put_out(output, self._gated, gate, hidden, train=train)

    def _gated(self, gate: Any, hidden: Any) -> Any:
        return self._activated(gate) * hidden
