"""Dropout whose random bits cost one fused pass over the array.

`jax.random.bernoulli` draws 32 cryptographic bits an element, which on a CPU takes
longer than the matrix products around it (see benchmarks/RESULTS.md). A mask needs only
bits that look independent, so we hash the element's number with one random word.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, UInt


def _mix(x: UInt[Array, "..."]) -> UInt[Array, "..."]:
    """A bijection of 32 bits in which every input bit moves half of the output bits.

    Wellons 2018, "Prospecting for Hash Functions": `lowbias32`.
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def keep_mask(
    key: Key[Array, ""], shape: tuple[int, ...], rate: float
) -> Bool[Array, "..."]:
    """True with probability 1 - `rate`, independently for each element."""
    seed, offset = jax.random.bits(key, (2,))
    counter = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return _mix(_mix(counter ^ seed) + offset) >= jnp.uint32(rate * 2**32)


def dropped(
    x: Float[Array, "*B"], key: Key[Array, ""] | None, rate: float
) -> Float[Array, "*B"]:
    """Zeroes a share `rate` of the elements and scales up the others, if with a key."""
    if key is None:
        return x
    return jnp.where(keep_mask(key, x.shape, rate), x / (1 - rate), 0)


class Dropout(nn.Module):
    """Zeroes a share of the elements in training and scales up the others."""

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "*B"], *, train: bool) -> Float[Array, "*B"]:
        key = self.make_rng("dropout") if train and self.rate else None
        return dropped(x, key, self.rate)
