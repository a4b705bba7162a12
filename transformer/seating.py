"""Who is decoded where: requests wait in a queue for a free row of a program."""

import math
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int

from transformer.search import Rule, Select
from transformer.strategies import Strategy
from transformer.symbols import PAD

SHORTEST = 16
"""Positions of the smallest room; each further one has twice as many."""

STEPS = 16
"""Limits that are lower than usual are rounded up to a multiple of these."""

RATIO, EXTRA = 2.0, 10
"""A translation has at most RATIO × the source's tokens + EXTRA, EOS included."""


class Sizes(NamedTuple):
    """How much is decoded together."""

    rows: int
    """Sentences of a program, at most."""
    hypotheses: int = sys.maxsize
    """Of a program, at most, where its rows may not follow from who else is there: so
    many are computed for a sentence that comes alone."""
    lanes: int = 1
    """Programs side by side."""


class Request(NamedTuple):
    """One sentence to translate, and how."""

    ids: Sequence[int]
    """With EOS."""
    strategy: Strategy
    limit: int
    """Most tokens of the translation, EOS included."""
    place: tuple[int, int] = (0, 0)
    """Two numbers that decide, with the seed, what is drawn for it."""
    rules: tuple[Rule, ...] = ()
    select: Select | None = None
    """Instead of the strategy's."""

    @property
    def room(self) -> int:
        """Of the source, and of a translation at its longest."""
        fewest = math.ceil((self.limit - EXTRA) / RATIO)
        return room(max(len(self.ids), fewest))

    @property
    def lengths(self) -> tuple[int, int]:
        """Steps to try with, and steps that are enough for every limit."""
        few = self.room + self.room // 4 + 4
        if self.limit < most(len(self.ids)):
            few = min(few, -(-self.limit // STEPS) * STEPS)
        return few, most(self.room)


def room(tokens: int) -> int:
    """The smallest source shape that holds so many."""
    return max(SHORTEST, 1 << (tokens - 1).bit_length())


def most(tokens: int, ratio: float = RATIO) -> int:
    """Most tokens of the translation of so many, EOS included on both sides."""
    return int(ratio * tokens) + EXTRA


class Asked(NamedTuple):
    """What is asked for each row."""

    limits: Int[Array | np.ndarray, " B"]
    places: Int[Array | np.ndarray, "B 2"]
    rules: tuple[Rule, ...]
    select: Select | None


class Queue:
    """Requests that wait, in their order; as many are encoded as there are rows."""

    def __init__(self, requests: dict[int, Request], rows: int) -> None:
        self._requests, self._rows = requests, rows
        self._waiting = list(requests)[::-1]
        self._ready: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._ready)

    def source(self) -> Int[np.ndarray, "B S"] | None:
        """What to encode next, if nobody is ready."""
        if self._ready or not self._waiting:
            return None
        size = min(self._rows, len(self._waiting))
        batch = [self._waiting.pop() for _ in range(size)]
        self._ready = list(enumerate(batch))[::-1]
        room = self._requests[batch[0]].room
        source = np.full((self._rows, room), PAD, np.int32)
        for row, number in enumerate(batch):
            ids = self._requests[number].ids
            source[row, : len(ids)] = ids
        return source

    def seat(self, seats: list[int | None]) -> Int[np.ndarray, " B"]:
        """Gives free seats to who is ready: whose row goes where, or -1."""
        taken = np.full(len(seats), -1, np.int32)
        for row, number in enumerate(seats):
            if number is None and self._ready:
                taken[row], seats[row] = self._ready.pop()
        return taken


def kind(request: Request) -> tuple[Any, ...]:
    """Equal for requests that can be rows of one program."""
    leaves, structure = jax.tree.flatten((request.rules, request.select))
    shapes = tuple((np.shape(leaf), np.result_type(leaf)) for leaf in leaves)
    return request.room, request.strategy, request.lengths, structure, shapes


def asked(requests: dict[int, Request], seats: list[int | None]) -> Asked:
    """What is asked for each seat; empty ones ask for what any other does."""
    anyone = next(number for number in seats if number is not None)
    rows = [requests[anyone if number is None else number] for number in seats]
    stack = lambda *leaves: np.stack(leaves)  # noqa: E731
    return Asked(
        limits=np.array([row.limit for row in rows], np.int32),
        places=np.array([row.place for row in rows], np.int32),
        rules=jax.tree.map(stack, *(row.rules for row in rows)),
        select=jax.tree.map(stack, *(row.select for row in rows)),
    )
