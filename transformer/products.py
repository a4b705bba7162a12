"""The matrix product of a layer, in the form that compilers do best with.

device, type     rows of x        form
CPU, bfloat16    1                one float32 loop over the matrix: `multiply_rows`
                 2, 3             filled up to `FEW` rows
                 4 and more       as it stands, the result in float32
CPU, float32     2 to `SWAPPED`   the factors swapped: `multiply_rows`
all others       any              as it stands
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from transformer import backend

SWAPPED = 128
"""Rows up to which swapped factors are faster (benchmarks/RESULTS.md)."""

FEW = 4
"""Rows from which XLA:CPU multiplies bfloat16 by its fast kernels."""

BLOCK = 64
"""The sides of the blocks that a matrix is transposed by."""


def multiply(
    x: Float[Array, "*M L"], y: Float[Array, "L N"], dtype: DTypeLike | None = None
) -> Float[Array, "*M N"]:
    """x @ y, by default in the type of `x`."""
    dtype = dtype or x.dtype
    if bfloat16_on_cpu(x.dtype):
        return _product_of_bfloat16(x, y).astype(dtype)
    return _filled_up("ML,LN->MN", x, y, dtype)


def multiply_rows(
    x: Float[Array, "*M L"], rows: Float[Array, "N L"], dtype: DTypeLike | None = None
) -> Float[Array, "*M N"]:
    """x @ rowsᵀ, by default in the type of `x`.

    XLA:CPU would multiply by a transposed matrix of bfloat16 in float32.
    """
    dtype, count = dtype or x.dtype, x.size // x.shape[-1]
    if bfloat16_on_cpu(x.dtype):
        if count == 1:
            return _of_one_row(x, rows).astype(dtype)
        return _filled_up("ML,NL->MN", x, rows, jnp.float32).astype(dtype)
    if backend.on_cpu() and 1 < count <= SWAPPED:
        return _swapped(x, rows, dtype)
    return _filled_up("ML,NL->MN", x, rows, dtype)


def outer_sum(
    x: Float[Array, "*M L"], y: Float[Array, "*M N"], dtype: DTypeLike | None = None
) -> Float[Array, "L N"]:
    """xᵀ @ y, by default in the type of `x`."""
    dtype = dtype or x.dtype
    if bfloat16_on_cpu(x.dtype):
        return _product_of_bfloat16(_turned(x), _flat(y)).astype(dtype)
    return jnp.einsum("ML,MN->LN", _flat(x), _flat(y), preferred_element_type=dtype)


def row_sums(
    x: Float[Array, "*M N"], weights: Float[Array, " N"]
) -> Float[Array, "*M"]:
    """The weighted sum of each row; on a CPU as a product.

    XLA:CPU's sums would write out all that is broadcast to the size of `x`.
    """
    if not backend.on_cpu():
        return (x * jnp.broadcast_to(weights, x.shape)).sum(axis=-1)
    return (_flat(x) @ weights).reshape(x.shape[:-1])


def column_sums(
    x: Float[Array, "*M N"], dtype: DTypeLike | None = None
) -> Float[Array, " N"]:
    """The sum of all rows, by default in the type of `x`; on a CPU as a product."""
    flat, dtype = _flat(x), dtype or x.dtype
    if not backend.on_cpu():
        return flat.sum(axis=0, dtype=dtype)
    return multiply(jnp.ones((1, len(flat)), flat.dtype), flat, dtype)[0]


def _filled_up(
    product: str, x: Float[Array, "*M L"], y: Float[Array, "..."], dtype: DTypeLike
) -> Float[Array, "*M N"]:
    """The product of all rows of `x`, filled up if too few to be multiplied fast."""
    flat = _flat(x)
    few = max(0, FEW - len(flat)) if bfloat16_on_cpu(x.dtype) else 0
    filled = jnp.pad(flat, ((0, few), (0, 0))) if few else flat
    found = jnp.einsum(product, filled, y, preferred_element_type=dtype)
    return found[: len(flat)].reshape(*x.shape[:-1], found.shape[-1])


def _swapped(
    x: Float[Array, "*M L"], rows: Float[Array, "N L"], dtype: DTypeLike
) -> Float[Array, "*M N"]:
    """The product of few rows of `x`, as rows xᵀ, transposed.

    XLA:CPU copies the second factor into an order of its own before it multiplies,
    which only many rows of the first are worth: here that factor is `x`. The barrier
    keeps it from undoing this.
    """
    product = jnp.einsum("NL,ML->NM", rows, _flat(x), preferred_element_type=dtype)
    return jax.lax.optimization_barrier(product).T.reshape(*x.shape[:-1], -1)


def _of_one_row(
    x: Float[Array, "*M L"], rows: Float[Array, "N L"]
) -> Float[Array, "*M N"]:
    """A single row times the transposed matrix, in float32.

    Written so, XLA:CPU converts and multiplies in one loop over the rows, which all
    cores share. The barriers keep it from converting the matrix ahead of a search, and
    from transposing it where a bias is added.
    """
    shape = x.shape[:-1]
    x, rows = jax.lax.optimization_barrier((_flat(x), rows))
    product = x.astype(jnp.float32) @ rows.astype(jnp.float32).T
    return jax.lax.optimization_barrier(product).reshape(*shape, -1)


def _flat(x: Float[Array, "*M L"]) -> Float[Array, "M L"]:
    return x.reshape(-1, x.shape[-1])


def bfloat16_on_cpu(dtype: DTypeLike) -> bool:
    """Whether products of this type must be written in float32 to be fast."""
    return dtype == jnp.bfloat16 and backend.on_cpu()


@jax.custom_vjp
def _product_of_bfloat16(
    x: Float[Array, "*M L"], y: Float[Array, "L N"]
) -> Float[Array, "*M N"]:
    """x @ y of bfloat16 written in float32: XLA:CPU is fast at nothing else.

    Its gradients are such products, too.
    """
    return _filled_up("ML,LN->MN", x, y, jnp.float32)


def _forward(x, y):
    return _product_of_bfloat16(x, y), (x, y)


def _backward(factors, gradient):
    x, y = factors
    gradient = gradient.astype(x.dtype)
    return multiply_rows(gradient, y), outer_sum(x, gradient)


_product_of_bfloat16.defvjp(_forward, _backward)


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
