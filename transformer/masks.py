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


def descent(
    ancestors: Int[Array, "B K T"], position: Int[Array, " B"]
) -> Bool[Array, "B K S"]:
    """Each of K hypotheses sees what it descends from, up to its `position`.

    Slot t K + k holds what hypothesis k wrote at step t, and ancestors[k, t] is which
    of them hypothesis k goes back to. Of two, the second having left the first's path:

    ancestors  0 0    sees  1 0  1 0
               0 1          1 0  0 1
    """
    *_, count, length = ancestors.shape
    own = ancestors[..., None] == jnp.arange(count)[None, None, None]
    past = jnp.arange(length)[None] <= position[:, None]
    seen = own & past[:, None, :, None]
    return seen.reshape(*ancestors.shape[:2], length * count)
