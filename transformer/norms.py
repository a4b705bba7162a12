"""Layer normalisation, whose gradient keeps no more than its input."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer.products import column_sums, row_sums

EPSILON = 1e-6
"""Added to variances."""


class LayerNorm(nn.Module):
    """(x - mean) / deviation · scale + bias over the last axis, in float32.

    Ba et al. 2016, "Layer Normalization", equation 4; as `nn.LayerNorm`, whose
    parameters it has.

    Args:
        dtype: of the result; parameters are float32.
    """

    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
        return normalised(x, jnp.asarray(scale), jnp.asarray(bias)).astype(self.dtype)


def by_definition(
    x: Float[Array, "*B D"], scale: Float[Array, " D"], bias: Float[Array, " D"]
) -> Float[Array, "*B D"]:
    """What `normalised` computes."""
    return _applied(x, *_statistics(x), scale, bias)


@jax.custom_vjp
def normalised(
    x: Float[Array, "*B D"], scale: Float[Array, " D"], bias: Float[Array, " D"]
) -> Float[Array, "*B D"]:
    """In float32, whatever the type of `x`.

    The gradient keeps `x`, and a mean and a deviation of each row; JAX's own would keep
    four arrays as large as `x`.
    """
    return by_definition(x, scale, bias)


def _statistics(x: Float[Array, "*B D"]) -> tuple[Any, Any]:
    """The mean and the inverse of the deviation of each row."""
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=-1, keepdims=True)
    square = (wide * wide).mean(axis=-1, keepdims=True)
    return mean, jax.lax.rsqrt(jnp.maximum(square - mean * mean, 0) + EPSILON)


def _applied(
    x: Float[Array, "*B D"],
    mean: Any,
    inverse: Any,
    scale: Float[Array, " D"],
    bias: Float[Array, " D"],
) -> Float[Array, "*B D"]:
    centred = x.astype(jnp.float32) - mean
    return centred * (inverse * _along(scale, x)) + _along(bias, x)


def _along(values: Float[Array, " D"], x: Float[Array, "*B D"]) -> Any:
    return jnp.broadcast_to(values, x.shape)


def _forward(x, scale, bias):
    statistics = _statistics(x)
    return _applied(x, *statistics, scale, bias), (x, *statistics, scale)


def _backward(kept, gradient):
    x, mean, inverse, scale = kept
    unit = x.astype(jnp.float32) * inverse - mean * inverse
    product = gradient * unit
    level = row_sums(gradient, scale)[..., None] / x.shape[-1]
    slope = row_sums(product, scale)[..., None] / x.shape[-1]
    # The difference of two whole arrays comes last: XLA:CPU writes such a result once,
    # and would otherwise compute it again for each of its readers.
    inner = (gradient * _along(scale, x) - level) * inverse - unit * (inverse * slope)
    return inner.astype(x.dtype), column_sums(product), column_sums(gradient)


normalised.defvjp(_forward, _backward)
