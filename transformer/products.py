"""The matrix product of a layer, in the form that compilers do best with."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Contraction = tuple[tuple[tuple[int, ...], tuple[int, ...]], Any]


def flat_product(
    x: Float[Array, "..."],
    kernel: Float[Array, "..."],
    dimension_numbers: Contraction,
    precision: None = None,
) -> Float[Array, "..."]:
    """`lax.dot_general` over the last axes of `x` and the first of `kernel`.

    Sentences and positions become rows of one matrix, heads columns of one. The result
    is the same; but of three axes or more XLA:CPU makes the kernel's gradient by
    transposing whole activations (benchmarks/RESULTS.md).
    """
    del precision  # of Flax's layers, which call this; ours leave it
    ((_, contracted), _) = dimension_numbers
    count = len(contracted)
    width = math.prod(kernel.shape[:count])
    product = multiply(x.reshape(-1, width), kernel.reshape(width, -1))
    return product.reshape(x.shape[: x.ndim - count] + kernel.shape[count:])


def multiply(
    x: Float[Array, "M L"], y: Float[Array, "L N"], dtype: DTypeLike | None = None
) -> Float[Array, "M N"]:
    """x @ y, by default in the type of `x`."""
    dtype = dtype or x.dtype
    if _widening(x):
        return _widened(x, y).astype(dtype)
    return jnp.matmul(x, y, preferred_element_type=dtype)


def outer_sum(
    x: Float[Array, "M L"], y: Float[Array, "M N"], dtype: DTypeLike | None = None
) -> Float[Array, "L N"]:
    """xᵀ @ y, by default in the type of `x`."""
    dtype = dtype or x.dtype
    if _widening(x):
        return _widened(_turned(x), y).astype(dtype)
    return jnp.einsum("ML,MN->LN", x, y, preferred_element_type=dtype)


def _widening(x: Float[Array, "..."]) -> bool:
    """Whether a product must be written in float32 to be fast."""
    return x.dtype == jnp.bfloat16 and jax.default_backend() == "cpu"


FEW = 4
"""Rows from which XLA:CPU multiplies bfloat16 by its fast kernels."""

BLOCK = 64
"""The sides of the blocks that a matrix is transposed by."""


@jax.custom_vjp
def _widened(x: Float[Array, "M L"], y: Float[Array, "L N"]) -> Float[Array, "M N"]:
    """x @ y of bfloat16 written in float32: XLA:CPU is fast at nothing else.

    Its gradients are such products, too. Of a single row it is slower than of four.
    """
    rows = x.shape[0]
    x = jnp.pad(x, ((0, max(0, FEW - rows)), (0, 0)))
    return jnp.matmul(x, y, preferred_element_type=jnp.float32)[:rows]


def _forward(x, y):
    return _widened(x, y), (x, y)


def _backward(factors, gradient):
    x, y = factors
    gradient = gradient.astype(x.dtype)
    x_grad = jnp.einsum("MN,LN->ML", gradient, y, preferred_element_type=jnp.float32)
    return x_grad.astype(x.dtype), outer_sum(x, gradient)


_widened.defvjp(_forward, _backward)


def _turned(x: Float[Array, "M L"]) -> Float[Array, "L M"]:
    """xᵀ, by blocks, which the compiler does not take for a transposition.

    Of one it would make a product that reads `x` as it is, several times slower.
    """
    rows, width = x.shape
    whole = jnp.pad(x, ((0, -rows % BLOCK), (0, -width % BLOCK)))
    blocks = whole.reshape(-1, BLOCK, whole.shape[1] // BLOCK, BLOCK)
    turned = blocks.transpose(2, 3, 0, 1).reshape(whole.shape[::-1])
    return turned[:width, :rows]
