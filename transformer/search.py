"""Search over a step function: beam search, which knows no model, and its parts.

    step(tokens, position, cache) -> (logits, cache)

scores what follows `tokens` "B" at `position`. The K hypotheses of a sentence are one
more axis: `step` is mapped over it, so what it closes over (parameters, source) exists
once. A hypothesis ends with EOS; at its length limit nothing but EOS is allowed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from transformer.symbols import BOS, EOS, PAD, UNK

Cache = Any
Step = Callable[
    [Int[Array, " B"], Int[Array, ""], Cache], tuple[Float[Array, "B V"], Cache]
]
Penalty = Callable[[Float[Array, "*B"]], Float[Array, "*B"]]
"""Divides the log-probability of a hypothesis of so many tokens, EOS included."""

IMPOSSIBLE = jnp.finfo(jnp.float32).min / 2
"""The score of no hypothesis: finite, so that sums and products of it stay finite."""


class Hypotheses(NamedTuple):
    """K translations a sentence, best first. Tokens end with EOS, then PAD."""

    tokens: Int[Array, "B K T"]
    scores: Float[Array, "B K"]
    """Log-probability divided by the length penalty."""
    log_probs: Float[Array, "B K T"]
    """Of each token."""


def gnmt(alpha: float) -> Penalty:
    """((5 + length) / 6)^α; Wu et al. 2016, equation 14. α = 0 is no penalty."""
    return lambda length: ((5 + length) / 6) ** alpha


class State(NamedTuple):
    """A search under way."""

    position: Int[Array, ""]
    alive: Hypotheses
    """Not ended; their scores are plain sums of log-probabilities."""
    cache: Cache
    """Of the alive hypotheses, "B K …"."""
    finished: Hypotheses


def beam(
    step: Step,
    cache: Cache,
    limits: Int[Array, " B"],
    *,
    length: int,
    width: int,
    best: int,
    penalty: Penalty,
) -> Hypotheses:
    """The `best` of the translations that a beam of `width` hypotheses finds.

    The beam keeps the likeliest continuations; one that ends with EOS moves to the
    finished ones and leaves its place empty. The search stops when no alive hypothesis
    can still become one of the `best`, for any penalty that does not fall with the
    length; so stopping early never changes the result.

    Args:
        cache: empty, "B …"; every hypothesis gets a copy.
        limits: most tokens of each sentence's translation, EOS included.
        length: T, at least every limit.
    """
    cache = jax.tree.map(partial(repeat, times=width), cache)
    alive = nothing(limits.shape[0], width, length)
    alive = alive._replace(scores=alive.scores.at[:, 0].set(0))
    finished = nothing(limits.shape[0], best, length)
    state = State(jnp.zeros((), jnp.int32), alive, cache, finished)
    advance = partial(_advance, step, limits, penalty)
    return jax.lax.while_loop(partial(_going, limits, penalty), advance, state).finished


def _advance(
    step: Step, limits: Int[Array, " B"], penalty: Penalty, state: State
) -> State:
    """Lengthens every alive hypothesis by one token."""
    log_probs, cache = expand(step, limits, state.position, state.alive, state.cache)
    alive, parents = _select(state.position, state.alive, log_probs)
    ended = newest(alive, state.position + 1) == EOS
    ended &= alive.scores > IMPOSSIBLE  # an empty place of the beam ends nothing
    lengths = (state.position + 1).astype(jnp.float32)
    scores = jnp.where(ended, alive.scores / penalty(lengths), IMPOSSIBLE)
    finished = _best(state.finished, alive._replace(scores=scores))
    alive = alive._replace(scores=jnp.where(ended, IMPOSSIBLE, alive.scores))
    return State(state.position + 1, alive, gather(cache, parents), finished)


def expand(
    step: Step,
    limits: Int[Array, " B"],
    position: Int[Array, ""],
    alive: Hypotheses,
    cache: Cache,
) -> tuple[Float[Array, "B K V"], Cache]:
    """Log-probabilities of every token after every hypothesis, and the new cache."""
    every_hypothesis = jax.vmap(step, in_axes=(1, None, 1), out_axes=1)
    logits, cache = every_hypothesis(newest(alive, position), position, cache)
    tokens = jnp.arange(logits.shape[-1])
    never = (tokens == PAD) | (tokens == BOS) | (tokens == UNK)
    at_limit = (position + 1 >= limits)[:, None, None]
    allowed = jnp.where(at_limit, tokens == EOS, ~never)
    return jnp.where(allowed, jax.nn.log_softmax(logits), IMPOSSIBLE), cache


def newest(alive: Hypotheses, position: Int[Array, ""]) -> Int[Array, "B K"]:
    """The token before `position`; BOS before the first."""
    token = alive.tokens[:, :, jnp.maximum(position - 1, 0)]
    return jnp.where(position == 0, BOS, token)


def _select(
    position: Int[Array, ""], alive: Hypotheses, log_probs: Float[Array, "B K V"]
) -> tuple[Hypotheses, Int[Array, "B K"]]:
    """The K likeliest continuations of each sentence, and which they continue."""
    width, vocabulary = log_probs.shape[1:]
    sums = jnp.maximum(alive.scores[:, :, None] + log_probs, IMPOSSIBLE)
    flat = sums.reshape(-1, width * vocabulary)  # hypotheses compete with each other
    scores, places = jax.lax.top_k(flat, width)
    parents, tokens = jnp.divmod(places, vocabulary)
    chosen = gather(alive, parents)
    gained = scores - chosen.scores
    return (
        Hypotheses(
            tokens=chosen.tokens.at[:, :, position].set(tokens),
            scores=scores,
            log_probs=chosen.log_probs.at[:, :, position].set(gained),
        ),
        parents,
    )


def _best(finished: Hypotheses, new: Hypotheses) -> Hypotheses:
    """As many of both as were finished before; the earlier wins a tie."""
    both = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), finished, new)
    _, places = jax.lax.top_k(both.scores, finished.scores.shape[1])
    return gather(both, places)


def _going(limits: Int[Array, " B"], penalty: Penalty, state: State) -> Bool[Array, ""]:
    """Whether an alive hypothesis of any sentence can still enter the finished ones.

    Scores only fall and the penalty only rises, so none can exceed its present sum
    under the penalty of the longest translation.
    """
    likeliest = state.alive.scores.max(axis=1)
    bound = likeliest / penalty(limits.astype(jnp.float32))
    open_ = (likeliest > IMPOSSIBLE) & (bound > state.finished.scores[:, -1])
    return open_.any() & (state.position < state.alive.tokens.shape[-1])


def gather(tree: Any, index: Int[Array, "B J"]) -> Any:
    """Reorders the K axis of every leaf "B K …"."""
    pick = jax.vmap(lambda leaf, places: leaf[places])
    return jax.tree.map(lambda leaf: pick(leaf, index), tree)


def repeat(leaf: Array, times: int) -> Array:
    return jnp.broadcast_to(leaf[:, None], (leaf.shape[0], times, *leaf.shape[1:]))


def nothing(batch: int, width: int, length: int) -> Hypotheses:
    return Hypotheses(
        tokens=jnp.full((batch, width, length), PAD),
        scores=jnp.full((batch, width), IMPOSSIBLE),
        log_probs=jnp.zeros((batch, width, length)),
    )
