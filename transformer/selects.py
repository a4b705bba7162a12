"""Selects: which continuations of a sentence's K hypotheses are kept.

    select(sums "K V", log_probs "K V", tokens "K T", position "", key) ->
        (sums "K", parents "K", tokens "K")

At position 0 there is one hypothesis, of no tokens, in place 0. A place whose
hypothesis has ended stays empty: the beam narrows.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int, Key

from transformer.errors import InputError
from transformer.largest import largest
from transformer.rules import Data
from transformer.search import IMPOSSIBLE, Continuations
from transformer.symbols import EOS, PAD


def narrowed(continuations: Continuations, tokens: Int[Array, "K T"]) -> Continuations:
    """The first continuations, as many as there are hypotheses that have not ended.

    The last places keep those that have; so a beam, or a part of one, narrows by what
    it has finished itself. A place that nothing is left for repeats none of them.
    """
    sums, parents, new = continuations
    ended = (tokens == EOS).any(axis=1)
    others_first = jnp.argsort(ended, stable=True)
    going_on = jnp.arange(ended.size) < (~ended).sum()
    real = going_on & (sums > IMPOSSIBLE)
    instead = jnp.where(going_on, others_first[0], others_first)
    return (
        jnp.where(real, sums, IMPOSSIBLE),
        jnp.where(real, parents, instead),
        jnp.where(real, new, PAD),
    )


@struct.dataclass
class Diverse:
    """Diverse beam search with Hamming diversity (Vijayakumar et al. 2018).

    Each of the `groups` is a beam of its own. One after the other takes its
    continuations; each time an earlier group took a token at this step, the token costs
    a later one `strength`. That decides what is kept, but is not part of its sum.
    """

    groups: int = struct.field(pytree_node=False)
    strength: float = struct.field(pytree_node=False)

    def __post_init__(self) -> None:
        if self.groups < 1 or not 0 <= self.strength < np.inf:
            raise InputError(
                f"Diverse beams need at least 1 group (here {self.groups}) and a "
                f"strength of 0 or above ({self.strength})."
            )

    def __call__(
        self,
        sums: Float[Array, "K V"],
        log_probs: Float[Array, "K V"],
        tokens: Int[Array, "K T"],
        position: Int[Array, ""],
        key: Key[Array, ""] | None,
    ) -> Continuations:
        del log_probs, key
        width, size = sums.shape
        each = self.share(width)
        taken = jnp.zeros(size)
        found: list[Continuations] = []
        for first in range(0, width, each):
            start = jnp.where(position == 0, 0, first)
            own, history = (
                jax.lax.dynamic_slice_in_dim(array, start, each)
                for array in (sums, tokens)
            )
            chosen = self._group(own, taken)
            chosen = narrowed(chosen, history)
            scores, parents, new = chosen
            taken = taken.at[new].add(scores > IMPOSSIBLE)
            found.append((scores, start + parents, new))
        scores, parents, new = map(jnp.concatenate, zip(*found, strict=True))
        return scores, parents, new

    def share(self, width: int) -> int:
        """Hypotheses of each group. Raises `InputError` if not all have as many."""
        if width % self.groups:
            raise InputError(
                f"A beam of {width} cannot be shared by {self.groups} groups. Take a "
                f"width that is a multiple of {self.groups}."
            )
        return width // self.groups

    def _group(
        self, sums: Float[Array, "K V"], taken: Float[Array, " V"]
    ) -> Continuations:
        """The continuations of one group, after those of earlier ones."""
        width, size = sums.shape
        discounted = sums - self.strength * taken[None]
        _, places = largest(discounted, width)
        parents, new = jnp.divmod(places, size)
        return sums[parents, new], parents, new


class Branch(NamedTuple):
    """Alternatives at one position: the likeliest tokens there, each gone on with.

    Before it, and after it for each of the K hypotheses alone, the search is greedy.
    """

    position: Int[Data, ""]

    @classmethod
    def of(cls, position: int) -> "Branch":
        return cls(np.asarray(position, np.int32))

    def __call__(
        self,
        sums: Float[Array, "K V"],
        log_probs: Float[Array, "K V"],
        tokens: Int[Array, "K T"],
        position: Int[Array, ""],
        key: Key[Array, ""] | None,
    ) -> Continuations:
        del log_probs, tokens, key
        lanes = jnp.arange(sums.shape[0])
        greedy = jax.vmap(partial(largest, count=1))(sums)
        alone = jax.tree.map(lambda leaf: leaf[:, 0], greedy)
        best = largest(sums[0], sums.shape[0])
        here = position == self.position
        scores, new = jax.tree.map(partial(jnp.where, here), best, alone)
        return scores, jnp.where(here, 0, lanes), new
