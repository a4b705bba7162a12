"""Search over a step function: beam search, which knows no model, and its parts.

    step(tokens, position, cache) -> (logits, cache)

scores what follows the K hypotheses of each sentence, whose last tokens "B K" stand at
`position` "B". The search is made of parts, each a pure function of one sentence:

    rule      (log_probs "V", tokens "T", position) -> log_probs     what may follow
    select    (sums "K V", …) -> K continuations                     which of it is kept
    penalty   length -> divisor of a finished hypothesis' log-probability

A hypothesis ends with EOS; at its length limit nothing but EOS is allowed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, Key

from transformer.largest import largest
from transformer.symbols import BOS, EOS, PAD, UNK

Cache = Any
Step = Callable[
    [Int[Array, "B K"], Int[Array, " B"], Cache], tuple[Float[Array, "B K V"], Cache]
]
Reorder = Callable[[Cache, Int[Array, "B K"]], Cache]
"""The cache when each hypothesis goes on from that of its parent."""
Penalty = Callable[[Float[Array, "*B"]], Float[Array, "*B"]]
"""Divides the log-probability of a hypothesis of so many tokens, EOS included."""
Worth = Callable[[Cache], Float[Array, "B K"]]
"""Added to the score of what ends; never above 0."""

Continuations = tuple[Float[Array, " K"], Int[Array, " K"], Int[Array, " K"]]
"""Sums of log-probabilities, which hypotheses go on, and with which tokens."""

IMPOSSIBLE = jnp.finfo(jnp.float32).min / 2
"""The score of no hypothesis: finite, so that sums and products of it stay finite."""


class Hypotheses(NamedTuple):
    """K translations a sentence, best first. Tokens end with EOS, then PAD."""

    tokens: Int[Array, "B K T"]
    scores: Float[Array, "B K"]
    """Of the finished: log-probability divided by the length penalty, and what `Worth`
    adds. Of those under way: plain sums of log-probabilities."""
    log_probs: Float[Array, "B K T"]
    """Of each token."""


@runtime_checkable
class Rule(Protocol):
    """What may follow a hypothesis, `tokens[:position]`. A pytree, for sentences may
    differ in its data: a plain function becomes one by `jax.tree_util.Partial`."""

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]: ...


@runtime_checkable
class Select(Protocol):
    """K of all continuations of one sentence: sums, parents, tokens.

    sums[k, v] is the log-probability of hypothesis k and token v, or IMPOSSIBLE.
    """

    def __call__(
        self,
        sums: Float[Array, "K V"],
        log_probs: Float[Array, "K V"],
        tokens: Int[Array, "K T"],
        position: Int[Array, ""],
        key: Key[Array, ""] | None,
    ) -> Continuations: ...


def gnmt(alpha: float) -> Penalty:
    """((5 + length) / 6)^α; Wu et al. 2016, equation 14. α = 0 is no penalty."""
    return lambda length: ((5 + length) / 6) ** alpha


@struct.dataclass
class Likeliest:
    """The K largest sums of all: plain beam search; greedy where K is 1."""

    def __call__(
        self,
        sums: Float[Array, "K V"],
        log_probs: Float[Array, "K V"],
        tokens: Int[Array, "K T"],
        position: Int[Array, ""],
        key: Key[Array, ""] | None,
    ) -> Continuations:
        del log_probs, tokens, position, key
        best, places = largest(sums, sums.shape[0])
        return best, *jnp.divmod(places, sums.shape[1])


class Ask(NamedTuple):
    """What is looked for, sentence by sentence; all arrays are "B …"."""

    limits: Int[Array, " B"]
    """Most tokens of each translation, EOS included."""
    keys: Key[Array, " B"] | None = None
    """Of each sentence, for what is drawn by chance."""
    rules: tuple[Rule, ...] = ()
    select: Select = Likeliest()


class State(NamedTuple):
    """Searches under way, one a sentence, each at its own position."""

    position: Int[Array, " B"]
    alive: Hypotheses
    """Not ended."""
    cache: Cache
    """Of the alive hypotheses."""
    finished: Hypotheses
    ended: Int[Array, " B"]
    """How many hypotheses have, the worse ones included."""


def beam(
    step: Step,
    cache: Cache,
    ask: Ask,
    *,
    length: int,
    width: int,
    best: int,
    penalty: Penalty,
    reorder: Reorder | None = None,
) -> Hypotheses:
    """The `best` of the translations that a beam of `width` hypotheses finds.

    The beam keeps the likeliest continuations; one that ends with EOS moves to the
    finished ones, and the beam narrows by its place. The search stops when none is
    left, or when no alive hypothesis can still become one of the `best`, for any
    penalty that does not fall with the length: so that never changes the result.

    Args:
        cache: of `width` hypotheses a sentence, as `step` wants it.
        length: T, at least every limit.
        reorder: by default `gather`, for a cache of leaves "B K …".
    """
    advance = partial(advanced, step, reorder or gather, penalty, ask)
    state = start(cache, ask.limits.shape[0], length=length, width=width, best=best)
    return jax.lax.while_loop(lambda s: alive(s).any(), advance, state).finished


def start(cache: Cache, batch: int, *, length: int, width: int, best: int) -> State:
    """Before the first step: one hypothesis a sentence, of no tokens."""
    state = idle(cache, batch, length=length, width=width, best=best)
    scores = state.alive.scores.at[:, 0].set(0)
    return state._replace(alive=state.alive._replace(scores=scores))


def idle(cache: Cache, batch: int, *, length: int, width: int, best: int) -> State:
    """Nothing is searched for."""
    none, found = (nothing(batch, count, length) for count in (width, best))
    zero = jnp.zeros(batch, jnp.int32)
    return State(zero, none, cache, found, zero)


def alive(state: State) -> Bool[Array, " B"]:
    """Which searches are not over."""
    return (state.alive.scores > IMPOSSIBLE).any(axis=1)


def advanced(
    step: Step,
    reorder: Reorder,
    penalty: Penalty,
    ask: Ask,
    state: State,
    worth: Worth | None = None,
) -> State:
    """Lengthens every alive hypothesis by one token; what is over stays as it is."""
    position, before = state.position, state.alive
    log_probs, cache = expand(step, ask, position, before, state.cache)
    sums = jnp.maximum(before.scores[..., None] + log_probs, IMPOSSIBLE)
    sums, parents, tokens = jax.vmap(lambda select, *args: select(*args))(
        ask.select, sums, log_probs, before.tokens, position, ask.keys
    )
    places = sums.shape[1] - state.ended[:, None]
    sums = jnp.where(_rank(sums) < places, sums, IMPOSSIBLE)
    grown = _grown(before, position, log_probs, sums, parents, tokens)
    ended = (tokens == EOS) & (sums > IMPOSSIBLE)
    cache = reorder(cache, parents)
    scores = sums / penalty((position + 1).astype(jnp.float32))[:, None]
    scores = scores if worth is None else scores + worth(cache)
    finished = _best(state.finished, scored(grown, scores, ended))
    going = scored(grown, sums, ~ended)
    promising = _promising(ask.limits, penalty, going, finished)
    going = scored(going, going.scores, promising)
    count = state.ended + ended.sum(axis=1)
    return State(position + alive(state), going, cache, finished, count)


def expand(
    step: Step,
    ask: Ask,
    position: Int[Array, " B"],
    hypotheses: Hypotheses,
    cache: Cache,
) -> tuple[Float[Array, "B K V"], Cache]:
    """Log-probabilities of every token after every hypothesis, and the new cache."""
    logits, cache = step(newest(hypotheses, position), position, cache)
    tokens = jnp.arange(logits.shape[-1])[None, None]
    never = (tokens == PAD) | (tokens == BOS) | (tokens == UNK)
    at_limit = (position + 1 >= ask.limits)[:, None, None]
    allowed = jnp.where(at_limit, tokens == EOS, ~never)
    log_probs = jnp.where(allowed, jax.nn.log_softmax(logits), IMPOSSIBLE)
    one = jax.vmap(lambda rule, *args: rule(*args), in_axes=(None, 0, 0, None))
    for rule in ask.rules:
        log_probs = jax.vmap(one)(rule, log_probs, hypotheses.tokens, position)
    return log_probs, cache


def newest(hypotheses: Hypotheses, position: Int[Array, " B"]) -> Int[Array, "B K"]:
    """The token before `position`; BOS before the first."""
    pick = jax.vmap(lambda tokens, place: tokens[:, place])
    token = pick(hypotheses.tokens, jnp.maximum(position - 1, 0))
    return jnp.where(position[:, None] == 0, BOS, token)


def _rank(sums: Float[Array, "B K"]) -> Int[Array, "B K"]:
    """How many hypotheses of the sentence are better; the earlier wins a tie."""
    other, own = sums[:, None, :], sums[:, :, None]
    earlier = jnp.tri(sums.shape[1], k=-1, dtype=bool)[None]
    return ((other > own) | ((other == own) & earlier)).sum(axis=2)


def _grown(
    before: Hypotheses,
    position: Int[Array, " B"],
    log_probs: Float[Array, "B K V"],
    sums: Float[Array, "B K"],
    parents: Int[Array, "B K"],
    tokens: Int[Array, "B K"],
) -> Hypotheses:
    """The chosen continuations."""
    chosen = gather(before, parents)
    gained = jax.vmap(lambda scores, *place: scores[place])(log_probs, parents, tokens)
    now = jnp.arange(before.tokens.shape[-1])[None, None] == position[:, None, None]
    return Hypotheses(
        tokens=jnp.where(now, tokens[..., None], chosen.tokens),
        scores=sums,
        log_probs=jnp.where(now, gained[..., None], chosen.log_probs),
    )


def scored(
    hypotheses: Hypotheses, scores: Float[Array, "B K"], where: Bool[Array, "B #K"]
) -> Hypotheses:
    """The hypotheses with these scores; elsewhere there is none."""
    return hypotheses._replace(scores=jnp.where(where, scores, IMPOSSIBLE))


def _best(finished: Hypotheses, new: Hypotheses) -> Hypotheses:
    """As many of both as were finished before; the earlier wins a tie."""
    both = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), finished, new)
    _, places = jax.lax.top_k(both.scores, finished.scores.shape[1])
    return gather(both, places)


def _promising(
    limits: Int[Array, " B"],
    penalty: Penalty,
    alive: Hypotheses,
    finished: Hypotheses,
) -> Bool[Array, "B 1"]:
    """Whether an alive hypothesis can still enter the finished ones.

    Scores only fall and the penalty only rises, so none can exceed its present sum
    under the penalty of the longest translation.
    """
    bound = alive.scores.max(axis=1) / penalty(limits.astype(jnp.float32))
    return (bound > finished.scores[:, -1])[:, None]


def gather(tree: Any, index: Int[Array, "B J"]) -> Any:
    """Reorders the K axis of every leaf "B K …"."""
    pick = jax.vmap(lambda leaf, places: leaf[places])
    return jax.tree.map(lambda leaf: pick(leaf, index), tree)


def nothing(batch: int, width: int, length: int) -> Hypotheses:
    shape = batch, width, length
    scores = jnp.full(shape[:2], IMPOSSIBLE)
    return Hypotheses(jnp.full(shape, PAD), scores, jnp.zeros(shape))
