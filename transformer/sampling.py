"""One token after another: greedy, or drawn at random after filters on the scores.

A filter maps logits "V" to logits; filters compose, so temperature, top-k and nucleus
are functions and not options.
"""

from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from transformer.search import (
    IMPOSSIBLE,
    Cache,
    Hypotheses,
    Step,
    expand,
    gather,
    nothing,
    repeat,
)
from transformer.symbols import EOS, PAD

Filter = Callable[[Float[Array, " V"]], Float[Array, " V"]]

Choice = Callable[[Float[Array, " V"], Key[Array, ""]], Int[Array, ""]]


def temperature(t: float) -> Filter:
    """Below 1 the likely gets likelier; above 1 all become more alike."""
    return lambda logits: logits / t


def top_k(k: int) -> Filter:
    """Only the k likeliest tokens (Fan et al. 2018)."""

    def keep(logits: Float[Array, " V"]) -> Float[Array, " V"]:
        least = jax.lax.top_k(logits, min(k, logits.shape[-1]))[0][-1]
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


def likeliest(logits: Float[Array, " V"], key: Key[Array, ""]) -> Int[Array, ""]:
    """Greedy choice."""
    del key
    return logits.argmax()


def drawn(*filters: Filter) -> Choice:
    """A choice by chance, with the probabilities that the filters leave."""

    def choose(logits: Float[Array, " V"], key: Key[Array, ""]) -> Int[Array, ""]:
        logits = reduce(lambda scores, keep: keep(scores), filters, logits)
        return jax.random.categorical(key, logits)

    return choose


class State(NamedTuple):
    """Translations under way."""

    position: Int[Array, ""]
    hypotheses: Hypotheses
    ended: Bool[Array, "B K"]
    cache: Cache


def rollout(
    step: Step,
    cache: Cache,
    limits: Int[Array, " B"],
    keys: Key[Array, " B"],
    *,
    length: int,
    count: int,
    choose: Choice,
) -> Hypotheses:
    """`count` translations a sentence, token by token; the likeliest comes first.

    What is drawn depends on the sentence's key alone. Scores are log-probabilities
    under the model, whatever filters were used.

    Args:
        cache: empty, "B …".
        limits: most tokens of each sentence's translation, EOS included.
        length: T, at least every limit.
    """
    cache = jax.tree.map(partial(repeat, times=count), cache)
    start = nothing(limits.shape[0], count, length)
    start = start._replace(scores=jnp.zeros_like(start.scores))
    ended = jnp.zeros(start.scores.shape, bool)
    sample_keys = jax.vmap(lambda key: jax.random.split(key, count))(keys)
    choose_all = jax.vmap(jax.vmap(choose))

    def advance(state: State) -> State:
        position, hypotheses, ended, cache = state
        log_probs, cache = expand(step, limits, position, hypotheses, cache)
        fold = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, position)))
        tokens = choose_all(log_probs, fold(sample_keys))
        tokens = jnp.where(ended, PAD, tokens)
        gained = jnp.take_along_axis(log_probs, tokens[:, :, None], axis=-1)[..., 0]
        gained = jnp.where(ended, 0, gained)
        grown = Hypotheses(
            tokens=hypotheses.tokens.at[:, :, position].set(tokens),
            scores=hypotheses.scores + gained,
            log_probs=hypotheses.log_probs.at[:, :, position].set(gained),
        )
        return State(position + 1, grown, ended | (tokens == EOS), cache)

    def going(state: State) -> Bool[Array, ""]:
        return ~state.ended.all() & (state.position < length)

    state = State(jnp.zeros((), jnp.int32), start, ended, cache)
    hypotheses = jax.lax.while_loop(going, advance, state).hypotheses
    return gather(hypotheses, jnp.argsort(-hypotheses.scores, axis=1))
