"""The largest of many numbers, without sorting them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

BLOCK = 128
"""Numbers of which only the largest is looked at first."""


def largest(
    scores: Float[Array, " N"], count: int
) -> tuple[Float[Array, " count"], Int[Array, " count"]]:
    """What `lax.top_k` returns: the largest, and where they stand.

    They lie in as many blocks at most, those with the largest maxima. Of these every
    number is looked at, in the blocks' order, so that of equal numbers the first wins.
    """
    if scores.shape[0] <= BLOCK * count:
        best, places = jax.lax.top_k(scores, count)
        return best, places
    missing = -scores.shape[0] % BLOCK
    blocks = jnp.pad(scores, (0, missing), constant_values=-jnp.inf)
    blocks = blocks.reshape(-1, BLOCK)
    _, chosen = jax.lax.top_k(blocks.max(axis=1), count)
    chosen = chosen.sort()
    best, places = jax.lax.top_k(blocks[chosen].reshape(-1), count)
    return best, chosen[places // BLOCK] * BLOCK + places % BLOCK
