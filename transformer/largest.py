"""The largest of many numbers, without sorting them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

BLOCK = 128
"""Numbers, about, of which only the largest is looked at first."""


def largest(
    scores: Float[Array, "*K V"], count: int
) -> tuple[Float[Array, " count"], Int[Array, " count"]]:
    """What `lax.top_k` of all that is flattened returns: the largest, and their places.

    They lie in as many blocks at most, those with the largest maxima. Of these every
    number is looked at, in the blocks' order, so that of equal numbers the first wins.
    Blocks end where rows do: XLA:CPU is slow at reading what crosses them. All numbers
    are finite.
    """
    if scores.size <= 2 * BLOCK * count:  # or there may be fewer blocks
        best, places = jax.lax.top_k(scores.reshape(-1), count)
        return best, places
    width = scores.shape[-1]
    size = _block(width)
    each = -(-width // size)
    missing = [(0, 0)] * (scores.ndim - 1) + [(0, each * size - width)]
    blocks = jnp.pad(scores, missing, constant_values=-jnp.inf).reshape(-1, size)
    _, chosen = jax.lax.top_k(blocks.max(axis=1), count)
    chosen = chosen.sort()
    best, places = jax.lax.top_k(blocks[chosen].reshape(-1), count)
    row, block = jnp.divmod(chosen[places // size], each)
    return best, row * width + block * size + places % size


def _block(width: int) -> int:
    """Of the sizes that fit into a row without a rest the nearest to `BLOCK`, if any.

    A rest would be filled up, which XLA:CPU does one number after the other.
    """
    fitting = [n for n in range(BLOCK // 2, 2 * BLOCK) if width % n == 0]
    return min(fitting, key=lambda n: abs(n - BLOCK), default=BLOCK)
