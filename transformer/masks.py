"""Boolean attention masks: True means "may look". Built once, at the top of the model.

Masks broadcast over queries and sentences and combine with `&`.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from transformer.symbols import PAD


def padding(tokens: Int[Array, "B S"]) -> Bool[Array, "B 1 S"]:
    """True where a key position holds a real token."""
    return (tokens != PAD)[:, None, :]


def causal(length: int) -> Bool[Array, "1 T T"]:
    """Position t sees positions ≤ t.

    1 0 0
    1 1 0
    1 1 1
    """
    return jnp.tri(length, dtype=bool)[None]


def segments(query: Int[Array, "B T"], key: Int[Array, "B S"]) -> Bool[Array, "B T S"]:
    """Packed sentences see only themselves: True where segment numbers agree.

    Segments 1 1 2 against 1 1 2:

    1 1 0
    1 1 0
    0 0 1
    """
    return query[:, :, None] == key[:, None, :]


def written(length: int, position: Int[Array, ""]) -> Bool[Array, "1 1 S"]:
    """A decoding step at `position` sees the cache up to and including itself."""
    return (jnp.arange(length) <= position)[None, None]
