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
    rows = x.reshape(*x.shape[: x.ndim - count], width)
    product = multiply(rows, kernel.reshape(width, -1))
    return product.reshape(rows.shape[:-1] + kernel.shape[count:])


def multiply(
    x: Float[Array, "*M L"], y: Float[Array, "L N"], dtype: DTypeLike | None = None
) -> Float[Array, "*M N"]:
    """x @ y, by default in the type of `x`."""
    dtype = dtype or x.dtype
    if _widening(x):
        return _widened(x, y).astype(dtype)
    return _of_rows("ML,LN->MN", x, y, dtype)


def multiply_rows(
    x: Float[Array, "*M L"], rows: Float[Array, "N L"], dtype: DTypeLike | None = None
) -> Float[Array, "*M N"]:
    """x @ rowsᵀ, by default in the type of `x`.

    XLA:CPU would multiply by a transposed matrix of bfloat16 in float32.
    """
    dtype = dtype or x.dtype
    written = jnp.float32 if _widening(x) else dtype
    return _of_rows("ML,NL->MN", x, rows, written).astype(dtype)


def outer_sum(
    x: Float[Array, "*M L"], y: Float[Array, "*M N"], dtype: DTypeLike | None = None
) -> Float[Array, "L N"]:
    """xᵀ @ y, by default in the type of `x`."""
    dtype = dtype or x.dtype
    if _widening(x):
        return _widened(_turned(x), _flat(y)).astype(dtype)
    return jnp.einsum("ML,MN->LN", _flat(x), _flat(y), preferred_element_type=dtype)


def _of_rows(
    product: str, x: Float[Array, "*M L"], y: Float[Array, "..."], dtype: DTypeLike
) -> Float[Array, "*M N"]:
    """The product of all rows of `x`, filled up if too few to be multiplied fast."""
    flat = _flat(x)
    few = max(0, FEW - len(flat)) if _widening(x) else 0
    filled = jnp.pad(flat, ((0, few), (0, 0))) if few else flat
    found = jnp.einsum(product, filled, y, preferred_element_type=dtype)
    return found[: len(flat)].reshape(*x.shape[:-1], found.shape[-1])


def _flat(x: Float[Array, "*M L"]) -> Float[Array, "M L"]:
    return x.reshape(-1, x.shape[-1])


def _widening(x: Float[Array, "..."]) -> bool:
    """Whether a product must be written in float32 to be fast."""
    return x.dtype == jnp.bfloat16 and jax.default_backend() == "cpu"


FEW = 4
"""Rows from which XLA:CPU multiplies bfloat16 by its fast kernels."""

BLOCK = 64
"""The sides of the blocks that a matrix is transposed by."""


@jax.custom_vjp
def _widened(x: Float[Array, "*M L"], y: Float[Array, "L N"]) -> Float[Array, "*M N"]:
    """x @ y of bfloat16 written in float32: XLA:CPU is fast at nothing else.

    Its gradients are such products, too.
    """
    return _of_rows("ML,LN->MN", x, y, jnp.float32)


def _forward(x, y):
    return _widened(x, y), (x, y)


def _backward(factors, gradient):
    x, y = factors
    gradient = gradient.astype(x.dtype)
    return multiply_rows(gradient, y), outer_sum(x, gradient)


_widened.defvjp(_forward, _backward)


def _turned(x: Float[Array, "*M L"]) -> Float[Array, "L M"]:
    """xᵀ, in a form that the compiler does not take for the transposition of a matrix.

    Of one it would make a product that reads `x` as it is, several times slower. With
    axes of its own before the last it is none; a matrix is cut into blocks. Blocks that
    do not end where those axes do are several times slower.
    """
    if x.ndim != 2:
        return jnp.moveaxis(x, -1, 0).reshape(x.shape[-1], -1)
    rows, width = x.shape
    whole = jnp.pad(x, ((0, -rows % BLOCK), (0, -width % BLOCK)))
    blocks = whole.reshape(-1, BLOCK, whole.shape[1] // BLOCK, BLOCK)
    turned = blocks.transpose(2, 3, 0, 1).reshape(whole.shape[::-1])
    return turned[:width, :rows]
