"""x W + b over the last axes: what attention and feed-forward layers are made of."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer.axes import Params
from transformer.products import bfloat16_on_cpu, column_sums, multiply, multiply_rows


class Linear(nn.Module):
    """x W + b, as `nn.DenseGeneral`, whose parameters it has, or those `by_rows`.

    Sentences and positions become rows of one matrix, heads columns of one. The result
    is the same; but of three axes or more XLA:CPU makes the kernel's gradient by
    transposing whole activations (benchmarks/RESULTS.md).

    Args:
        features: the sizes of the last axes of the result.
        axes: how many of the last axes of `x` are summed over.
        dtype: the type of the products; parameters are float32.
        result: the type of the result, by default that of the products.
    """

    features: int | tuple[int, ...]
    axes: int = 1
    use_bias: bool = True
    dtype: DTypeLike = jnp.float32
    result: DTypeLike | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        return self.features if isinstance(self.features, tuple) else (self.features,)

    @nn.compact
    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        outer, inner = x.shape[: x.ndim - self.axes], x.shape[x.ndim - self.axes :]
        features = self.sizes
        x = jnp.asarray(x.reshape(*outer, math.prod(inner)), self.dtype)
        if self.has_variable("params", "rows"):
            rows = jnp.asarray(self.get_variable("params", "rows"), self.dtype)
            y = multiply_rows(x, rows, self.result)
        else:
            kernel = self.param("kernel", _scaled, inner, features)
            matrix = jnp.asarray(kernel, self.dtype).reshape(x.shape[-1], -1)
            y = multiply(x, matrix, self.result)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, features)
            y: Any = _shifted(y, jnp.asarray(bias).reshape(-1), self.dtype)
        return y.reshape(*outer, *features)


def at_once(
    layers: Sequence[Linear], x: Float[Array, "*B D"]
) -> list[Float[Array, "..."]]:
    """What each of several layers of one size, without biases, makes of the same `x`.

    A single row meets their kernels as one, which is read faster than one after the
    other; more rows gain nothing. What joins kernels leaves the loop of a search.
    """
    params = [layer.variables.get("params", {}) for layer in layers]
    form = "rows" if "rows" in params[0] else "kernel"
    if x.size > x.shape[-1] or not all(form in own for own in params):
        return [layer(x) for layer in layers]
    each = [own[form] for own in params]
    joint = jnp.concatenate(each) if form == "rows" else jnp.stack(each, axis=1)
    size = len(layers), *layers[0].sizes
    layer = layers[0].clone(features=size, parent=None, name=None)
    products: Any = layer.apply({"params": {form: joint}}, x)
    return list(jnp.unstack(products, axis=x.ndim - 1))


def by_rows(params: Params) -> Params:
    """The parameters with kernels transposed, as `rows` "N L", for decoding on CPUs.

    XLA multiplies few rows about twice as fast by them. A sum over heads in bfloat16
    keeps its kernel: there a single row must be one axis (benchmarks/RESULTS.md).
    """
    return _by_rows("", params)


def _by_rows(name: str, tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "kernel" not in tree:
        return {below: _by_rows(below, tree[below]) for below in tree}
    kernel = tree["kernel"]
    over_heads = name == "output" and kernel.ndim == 3
    if over_heads and bfloat16_on_cpu(kernel.dtype):
        return tree
    rest = {below: tree[below] for below in tree if below != "kernel"}
    inner = math.prod(kernel.shape[: 1 + over_heads])
    return rest | {"rows": kernel.reshape(inner, -1).T}


def _scaled(
    key: Array, inner: tuple[int, ...], features: tuple[int, ...]
) -> Float[Array, "..."]:
    """Outputs with the variance of inputs (LeCun et al. 1998)."""
    matrix = math.prod(inner), math.prod(features)
    return nn.initializers.lecun_normal()(key, matrix).reshape(inner + features)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _shifted(
    x: Float[Array, "*B F"], bias: Float[Array, " F"], dtype: DTypeLike
) -> Float[Array, "*B F"]:
    """x + bias, whose gradient is of type `dtype`, summed in the bias's own type.

    In bfloat16 XLA:CPU would sum it window by window (benchmarks/RESULTS.md).
    """
    return x + jnp.broadcast_to(bias.astype(x.dtype), x.shape)


def _forward(x, bias, dtype):
    return _shifted(x, bias, dtype), bias


def _backward(dtype, bias, gradient):
    rounded = gradient.astype(dtype)
    return rounded.astype(gradient.dtype), column_sums(rounded, bias.dtype)


_shifted.defvjp(_forward, _backward)
