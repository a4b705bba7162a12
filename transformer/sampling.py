"""Hypotheses that go their own ways: each draws its next token after filters.

A filter maps logits "V" to logits; filters compose, so temperature, top-k and nucleus
are functions and not options.
"""

from collections.abc import Callable
from functools import reduce

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key

from transformer.largest import largest
from transformer.search import IMPOSSIBLE, Continuations

Filter = Callable[[Float[Array, " V"]], Float[Array, " V"]]

Choice = Callable[[Float[Array, " V"], Key[Array, ""]], Int[Array, ""]]


def temperature(t: float) -> Filter:
    """Below 1 the likely gets likelier; above 1 all become more alike."""
    return lambda logits: logits / t


def top_k(k: int) -> Filter:
    """Only the k likeliest tokens (Fan et al. 2018)."""

    def keep(logits: Float[Array, " V"]) -> Float[Array, " V"]:
        least = largest(logits, min(k, logits.shape[-1]))[0][-1]
        return jnp.where(logits >= least, logits, IMPOSSIBLE)

    return keep


def nucleus(p: float) -> Filter:
    """Only the fewest tokens of joint probability p (Holtzman et al. 2020)."""
    if p >= 1:  # sums of many tokens reach 1 by rounding before the last of them
        return lambda logits: logits

    def keep(logits: Float[Array, " V"]) -> Float[Array, " V"]:
        falling = jnp.sort(logits, descending=True)
        probabilities = jax.nn.softmax(falling)
        before = jnp.cumsum(probabilities) - probabilities
        least = jnp.where(before < p, falling, jnp.inf).min()
        return jnp.where(logits >= least, logits, IMPOSSIBLE)

    return keep


def epsilon(e: float) -> Filter:
    """Only tokens of probability e or more, and the likeliest (Hewitt et al. 2022)."""

    def keep(logits: Float[Array, " V"]) -> Float[Array, " V"]:
        stays = (jax.nn.softmax(logits) >= e) | (logits == logits.max())
        return jnp.where(stays, logits, IMPOSSIBLE)

    return keep


def drawn(*filters: Filter) -> Choice:
    """A choice by chance, with the probabilities that the filters leave."""

    def choose(logits: Float[Array, " V"], key: Key[Array, ""]) -> Int[Array, ""]:
        logits = reduce(lambda scores, keep: keep(scores), filters, logits)
        return jax.random.categorical(key, logits)

    return choose


@struct.dataclass
class Lanes:
    """Every hypothesis chooses for itself; all begin with the one of no tokens.

    What is drawn depends on the sentence's key alone. Sums are log-probabilities under
    the model, whatever filters were used.
    """

    choose: Choice = struct.field(pytree_node=False)

    def __call__(
        self,
        sums: Float[Array, "K V"],
        log_probs: Float[Array, "K V"],
        tokens: Int[Array, "K T"],
        position: Int[Array, ""],
        key: Key[Array, ""] | None,
    ) -> Continuations:
        del tokens
        assert key is not None, "what is drawn needs a key for each sentence"
        lanes = jnp.arange(sums.shape[0])
        parents = jnp.where(position == 0, 0, lanes)
        keys = jax.random.split(key, sums.shape[0])
        keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, position)
        chosen = jax.vmap(self.choose)(log_probs[parents], keys)
        return sums[parents, chosen], parents, chosen
