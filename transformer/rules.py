"""What the next token cannot be: rules, each a function of one hypothesis.

    rule(log_probs "V", tokens "T", position "") -> log_probs "V"

`tokens[:position]` is written and PAD follows. A rule makes tokens IMPOSSIBLE and never
possible, so their order does not matter. Its arrays are the data of one sentence; a
search stacks those of its sentences. P is the length of a prefix, C the number of
phrases (runs of tokens that must or must not occur) and L the length of the longest.

Rules can contradict each other or the sentence's limit. Then nothing is possible, all
continuations of the hypothesis sum to IMPOSSIBLE, and its place in the beam is empty
from then on; a sentence without any other ends without a translation.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from transformer.errors import InputError
from transformer.search import IMPOSSIBLE
from transformer.symbols import BOS, EOS, PAD

Data = Array | np.ndarray
"""Rules are made of NumPy arrays, one sentence a rule, and called inside programs."""

FEWEST, SHORTEST = 4, 8
"""Phrases and tokens of the smallest padded data; the next have twice as many, so that
programs are few."""


class Prefix(NamedTuple):
    """A hypothesis begins with `tokens`, and goes on as it likes where they are PAD."""

    tokens: Int[Data, " P"]

    @classmethod
    def of(cls, tokens: Sequence[int]) -> "Prefix":
        return cls(padded([tokens])[0])

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]:
        del tokens
        forced = jnp.take(self.tokens, position, mode="fill", fill_value=PAD)
        free = (forced == PAD) | (jnp.arange(log_probs.shape[0]) == forced)
        return jnp.where(free, log_probs, IMPOSSIBLE)


class Fewest(NamedTuple):
    """A translation has at least `length` tokens, EOS included."""

    length: Int[Data, ""]

    @classmethod
    def of(cls, length: int) -> "Fewest":
        return cls(np.asarray(length, np.int32))

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]:
        del tokens
        early = (jnp.arange(log_probs.shape[0]) == EOS) & (position + 1 < self.length)
        return jnp.where(early, IMPOSSIBLE, log_probs)


@struct.dataclass
class NoRepeat:
    """No `n` tokens in a row occur twice (Paulus et al. 2018, section 2.5)."""

    n: int = struct.field(pytree_node=False)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(
                f"Repeats of {self.n} tokens cannot be forbidden; give 1 or more."
            )

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]:
        if self.n > tokens.size:
            return log_probs
        newest = last(tokens, position, self.n - 1)
        padded = jnp.pad(tokens, (0, self.n - 1), constant_values=PAD)
        repeats = jnp.ones(tokens.shape, bool)
        for offset, token in enumerate(newest):
            repeats &= padded[offset : offset + tokens.size] == token
        return forbid(log_probs, jnp.where(repeats, padded[self.n - 1 :], PAD))


class Banned(NamedTuple):
    """None of the `phrases`, each followed by PAD, occurs."""

    phrases: Int[Data, "C L"]

    @classmethod
    def of(cls, phrases: Sequence[Sequence[int]]) -> "Banned":
        return cls(padded(phrases))

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]:
        phrases = jnp.asarray(self.phrases)
        after = jnp.pad(phrases[:, 1:], ((0, 0), (0, 1)), constant_values=PAD)
        completes = begun(phrases, tokens, position) & (after == PAD)
        return forbid(log_probs, jnp.where(completes, phrases, PAD).max(axis=1))


class Vocabulary(NamedTuple):
    """Only `allowed` tokens occur, and EOS."""

    allowed: Bool[Data, " V"]

    @classmethod
    def of(cls, allowed: Iterable[int], size: int) -> "Vocabulary":
        """Of a vocabulary of `size` tokens."""
        mask = np.zeros(size, bool)
        mask[list(allowed)] = True
        return cls(mask)

    def __call__(
        self,
        log_probs: Float[Array, " V"],
        tokens: Int[Array, " T"],
        position: Int[Array, ""],
    ) -> Float[Array, " V"]:
        del tokens, position
        allowed = self.allowed | (jnp.arange(log_probs.shape[0]) == EOS)
        return jnp.where(allowed, log_probs, IMPOSSIBLE)


def padded(phrases: Sequence[Sequence[int]]) -> Int[np.ndarray, "C L"]:
    """A phrase a row, followed by PAD; both sizes follow from `phrases` alone."""
    count, longest = len(phrases), max(map(len, phrases), default=0)
    rows = np.full((_padded(count, FEWEST), _padded(longest, SHORTEST)), PAD, np.int32)
    for row, phrase in zip(rows, phrases, strict=False):
        row[: len(phrase)] = phrase
    return rows


def _padded(size: int, least: int) -> int:
    return max(least, 1 << (size - 1).bit_length())


def last(
    tokens: Int[Array, " T"], position: Int[Array, ""], count: int
) -> Int[Array, " L"]:
    """The `count` tokens before `position`; BOS for those before the first."""
    started = jnp.concatenate([jnp.full(count, BOS, tokens.dtype), tokens])
    return jax.lax.dynamic_slice_in_dim(started, position, count)


def begun(
    phrases: Int[Array, "C L"], tokens: Int[Array, " T"], position: Int[Array, ""]
) -> Bool[Array, "C L"]:
    """Whether the last j tokens are the first j of a phrase, for j from 0 to L - 1.

    Where that is so, `phrases[:, j]` is the token that goes on with the phrase.
    """
    longest = phrases.shape[1]
    newest = last(tokens, position, longest - 1)
    first, place = np.indices((longest, longest))
    inside = place < first  # row j: the last j tokens, then anything
    written = newest[np.where(inside, longest - 1 - first + place, 0)]
    return ((phrases[:, None] == written[None]) | ~inside[None]).all(axis=-1)


def forbid(
    log_probs: Float[Array, " V"], tokens: Int[Array, " L"]
) -> Float[Array, " V"]:
    """Makes some tokens impossible; PAD, which always is, stands for none."""
    return log_probs.at[tokens].set(IMPOSSIBLE)
