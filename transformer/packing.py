"""Sentence pairs packed into rows, millions at once."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

OPEN = 16
"""Rows held open while packing."""

LANE = 4096
"""Pairs that one packing lane takes; lanes are packed side by side in NumPy."""


class Rows(NamedTuple):
    """The pairs of each row, end to end: millions of small arrays would be large."""

    pairs: Int[np.ndarray, " n"]
    offsets: Int[np.ndarray, " rows+1"]
    """Where the pairs of each row begin, and the end of the last."""

    @property
    def size(self) -> int:
        return len(self.offsets) - 1

    def then(self, others: "Rows") -> "Rows":
        """These rows and then others."""
        pairs = np.concatenate([self.pairs, others.pairs])
        ends = len(self.pairs) + others.offsets[1:]
        return Rows(pairs, np.concatenate([self.offsets, ends]))

    def of(self, row: int) -> Int[np.ndarray, " m"]:
        """The pairs of one row."""
        return self.pairs[self.offsets[row] : self.offsets[row + 1]]


NONE = Rows(np.zeros(0, np.int32), np.zeros(1, np.int64))


def pack(
    lengths: Int[np.ndarray, "n 2"], room: Int[np.ndarray, " 2"]
) -> Int[np.ndarray, " n"]:
    """A row for each pair so that no row exceeds `room` on either side.

    Best fit among the open rows: a pair goes to the fullest one that takes it; if none
    does, the fullest is closed for a new one.
    """
    lanes = max(1, len(lengths) // LANE)
    items = np.zeros((-(-len(lengths) // lanes) * lanes, 2), np.int32)
    items[: len(lengths)] = lengths
    items = items.reshape(-1, lanes, 2)
    lane = np.arange(lanes)
    rows = np.zeros(items.shape[:2], np.int32)
    number = np.arange(lanes * OPEN, dtype=np.int32).reshape(lanes, OPEN)
    free = np.broadcast_to(room, (lanes, OPEN, 2)).copy()
    for item, row in zip(items, rows, strict=True):
        fits = (free >= item[:, None]).all(axis=-1)
        left = free.sum(axis=-1)
        full = fits.sum(axis=-1) == 0
        fits |= full[:, None]
        choice = np.where(fits, left, room.sum() + 1).argmin(axis=-1)
        fresh, slot = lane[full], choice[full]
        free[fresh, slot] = room
        number[fresh, slot] = number.max() + 1 + np.arange(len(fresh))
        free[lane, choice] -= item
        row[:] = number[lane, choice]
    return rows.reshape(-1)[: len(lengths)]


def rows(pairs: Int[np.ndarray, " n"], rows: Int[np.ndarray, " n"]) -> Rows:
    """The pairs of each row."""
    order = np.argsort(rows, kind="stable")
    begins = np.flatnonzero(np.diff(rows[order], prepend=-1))
    return Rows(pairs[order], np.append(begins, len(pairs)))
