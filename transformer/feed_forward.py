"""The position-wise feed-forward layer, section 3.3 of the paper."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer.dropout import dropped
from transformer.linear import Linear
from transformer.remat import cheaper_than_kept, made_again

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
        hidden = linear(self.hidden_dim, name="hidden")(x)
        output = linear(self.dim, name="output")
        return self._put_out(output, self.activation, hidden, train=train)

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
    """W₂ (activation(W₁ x) ∘ W₃ x), no biases; with `jax.nn.silu` this is SwiGLU.

    Shazeer 2020, "GLU Variants Improve Transformer", equation 6.
    """

    activation: Activation = jax.nn.silu

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"], *, train: bool) -> Float[Array, "*B D"]:
        linear = partial(Linear, use_bias=False, dtype=self.dtype)
        gate = linear(self.hidden_dim, name="gate")(x)
        hidden = linear(self.hidden_dim, name="hidden")(x)
        output = linear(self.dim, name="output")
        return self._put_out(output, self._gated, gate, hidden, train=train)

    def _gated(self, gate: Any, hidden: Any) -> Any:
        return self.activation(gate) * hidden
