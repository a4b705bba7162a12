"""Phrases that a translation must contain: a rule that sees to it, and a select.

How far a hypothesis has come is a function of its tokens, so a search keeps no state
for it. A phrase is met where all its tokens stand in a row. If it must be `whole`, what
follows must begin a new word; until the next token is known it counts as met.

    phrase   ▁a ▁a ▁b
    tokens   ▁a ▁a ▁a        two tokens reached; the next can be ▁b

`Required` alone guarantees the phrases wherever the limit leaves room for all of them
after what other rules force. But it presses only at the end, where the model has said
what it had to say; `Banked` gives hypotheses that took a phrase up a place in the beam.

C is the number of phrases, L the length of the longest, M the number of candidates.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from transformer.largest import largest
from transformer.rules import Data, begun, padded
from transformer.search import IMPOSSIBLE, Continuations
from transformer.selects import narrowed
from transformer.symbols import EOS, PAD


class Phrases(NamedTuple):
    """What must occur in the translation of one sentence."""

    tokens: Int[Data, "C L"]
    """A phrase a row, followed by PAD; a row of PAD is met by everything."""
    whole: Bool[Data, " C"]
    """Whether a phrase ends where a word does."""
    begins: Bool[Data, " V"]
    """Tokens that do not go on with the word before them; EOS, PAD and the first of
    every phrase are among them."""

    @classmethod
    def of(
        cls,
        phrases: Sequence[Sequence[int]],
        whole: Sequence[bool],
        begins: Bool[np.ndarray, " V"],
    ) -> "Phrases":
        tokens = padded(phrases)
        ends = np.zeros(len(tokens), bool)
        ends[: len(phrases)] = whole
        begins = begins.copy()
        begins[[PAD, EOS, *tokens[:, 0]]] = True
        return cls(tokens, ends, begins)


class Progress(NamedTuple):
    """How far one hypothesis has come."""

    met: Bool[Array, " C"]
    """Occurs, whatever comes next."""
    pending: Bool[Array, " C"]
    """Occurs if a word begins next."""
    begun: Bool[Array, "C L"]
    """Whether the last j tokens are the first j of the phrase."""
    reached: Int[Array, " C"]
    """The most tokens of an unmet phrase that are the last ones, and that can be gone
    on with without losing what is pending."""


def progress(
    phrases: Phrases, tokens: Int[Array, " T"], position: Int[Array, ""]
) -> Progress:
    """Of the hypothesis `tokens[:position]`, which PAD follows."""
    wanted, begins = jnp.asarray(phrases.tokens), jnp.asarray(phrases.begins)
    longest = wanted.shape[1]
    given = jnp.pad(tokens, (0, longest), constant_values=PAD)
    starts, places = np.indices((tokens.size, longest))
    same = given[starts + places][None] == wanted[:, None]
    occurs = (same | (wanted == PAD)[:, None]).all(axis=-1)
    ends = starts[None, :, 0] + _lengths(wanted)[:, None]
    partial_ = ~jnp.asarray(phrases.whole)[:, None]  # what follows does not matter
    met = (occurs & (partial_ | begins[given][ends] & (ends < position))).any(axis=1)
    pending = (occurs & (ends == position)).any(axis=1) & ~met
    started = begun(wanted, tokens, position)
    going_on = started & (begins[wanted] | ~pending.any())
    reached = (going_on * places[None, 0]).max(axis=1)
    return Progress(met, pending, started, jnp.where(met | pending, 0, reached))


def _lengths(wanted: Int[Array, "C L"]) -> Int[Array, " C"]:
    return (wanted != PAD).sum(axis=1)


class Required(NamedTuple):
    """The phrases occur: EOS comes after them, and they come while there is room.

    Where any token could leave too little room, only those are possible that go on
    with the phrase of which most is there. Each of them lowers by at least one what is
    needed, the tokens of unmet phrases without those reached of one of them.
    """

    phrases: Phrases
    limit: Int[Data, ""]
    """Most tokens of the translation, EOS included."""

    @classmethod
    def of(cls, phrases: Phrases, limit: int) -> "Required":
        return cls(phrases, np.asarray(limit, np.int32))

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]:
        wanted = jnp.asarray(self.phrases.tokens)
        now = progress(self.phrases, tokens, position)
        unmet = ~(now.met | now.pending)
        at_stake = jnp.where(now.met, 0, _lengths(wanted)).sum()
        pressing = (at_stake > self.limit - position - 2) & ~now.met.all()
        foremost = unmet & (now.reached == now.reached.max())
        next_ = jnp.take_along_axis(wanted, now.reached[:, None], axis=1)[:, 0]
        next_ = jnp.where(foremost, next_, PAD)  # which is never possible
        right = jnp.zeros(log_probs.shape, bool).at[next_].set(True)
        right = jnp.where(unmet.any(), right, self.phrases.begins)
        early = (jnp.arange(log_probs.size) == EOS) & unmet.any()
        return jnp.where(early | (pressing & ~right), IMPOSSIBLE, log_probs)


class Banked(NamedTuple):
    """Dynamic beam allocation (Post & Vilar 2018).

    The candidates are the likeliest of all, the likeliest of each hypothesis, and
    what goes on with an unmet phrase. Those with equally many tokens of the phrases
    form a bank. The first place goes to the likeliest of all, the next to the best of
    each bank, then to the second of each, and so on; where places are fewer than banks,
    those with more tokens come first: nothing else brings a phrase to its end. Without
    phrases there is one bank, and the likeliest of all are taken.
    """

    phrases: Phrases

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
        each = jax.vmap(partial(progress, self.phrases), (0, None))(tokens, position)
        places = _candidates(jnp.asarray(self.phrases.tokens), sums, each)
        parents, nexts = jnp.divmod(places, size)
        of_parents = jax.tree.map(lambda leaf: leaf[parents], each)
        banks = jax.vmap(partial(bank, self.phrases))(of_parents, nexts)
        scores = sums[parents, nexts]
        chosen = _allocated(places, scores, banks, width)
        return narrowed((scores[chosen], parents[chosen], nexts[chosen]), tokens)


def _candidates(
    wanted: Int[Array, "C L"], sums: Float[Array, "K V"], each: Progress
) -> Int[Array, " M"]:
    """Places in the flat `sums`; some are there twice."""
    width, size = sums.shape
    _, best = largest(sums, width)
    first = jnp.arange(width) * size
    is_best = sums == sums.max(axis=1, keepdims=True)
    best_of_each = first + jnp.where(is_best, jnp.arange(size)[None], size).min(axis=1)
    going_on = jax.vmap(lambda row, place: row[place], (0, 1), 1)(wanted, each.reached)
    unmet = ~(each.met | each.pending)
    advancing = jnp.where(unmet, first[:, None] + going_on, best_of_each[:, None])
    return jnp.concatenate([best, best_of_each, advancing.reshape(-1)])


def bank(phrases: Phrases, now: Progress, token: Int[Array, ""]) -> Int[Array, ""]:
    """Tokens of phrases that a hypothesis has after one more token.

    All of those that are met, and of the others the most that one has reached.
    """
    wanted = jnp.asarray(phrases.tokens)
    lengths = _lengths(wanted)
    counts = jnp.arange(wanted.shape[1]) + 1
    reached = (counts[None] * (now.begun & (wanted == token))).max(axis=1)
    kept = now.pending & jnp.asarray(phrases.begins)[token]
    met = now.met | kept | (reached == lengths)
    return jnp.where(met, lengths, 0).sum() + jnp.where(met, 0, reached).max()


def _allocated(
    places: Int[Array, " M"],
    scores: Float[Array, " M"],
    banks: Int[Array, " M"],
    count: int,
) -> Int[Array, " K"]:
    """The candidates that get the first `count` places, in that order."""
    same = places[:, None] == places[None]
    twice = (same & jnp.tri(places.size, k=-1, dtype=bool)).any(axis=1)
    scores = jnp.where(twice, -jnp.inf, scores)
    # row i, column j: whether j is before i
    better = _above(scores, places[None] < places[:, None])
    rank = (better & (banks[None] == banks[:, None])).sum(axis=1)
    order = _above(-rank, _above(banks, better))
    order = _above(~better.any(axis=1), order)  # the likeliest of all
    order = _above(scores > IMPOSSIBLE, order).sum(axis=1)
    numbers = jnp.arange(places.size)
    return jnp.zeros(count, int).at[order].set(numbers, mode="drop")


def _above(values: Shaped[Array, " M"], tie: Bool[Array, "M M"]) -> Bool[Array, "M M"]:
    """Whether j has the larger value than i, or an equal one and the tie."""
    other, own = values[None], values[:, None]
    return (other > own) | ((other == own) & tie)
