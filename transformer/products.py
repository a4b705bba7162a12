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


FEW = 4
"""Rows from which XLA:CPU multiplies bfloat16 by its fast kernels."""


def multiply(
    x: Float[Array, "M L"], y: Float[Array, "L N"], dtype: DTypeLike | None = None
) -> Float[Array, "M N"]:
    """x @ y, by default in the type of `x`.

    With bfloat16, XLA:CPU is fast only if it may write float32, and of a single row
    slower than of four.
    """
    dtype = dtype or x.dtype
    if x.dtype != jnp.bfloat16 or jax.default_backend() != "cpu":
        return jnp.matmul(x, y, preferred_element_type=dtype)
    rows = x.shape[0]
    x = jnp.pad(x, ((0, max(0, FEW - rows)), (0, 0)))
    product = jnp.matmul(x, y, preferred_element_type=jnp.float32)
    return product[:rows].astype(dtype)
