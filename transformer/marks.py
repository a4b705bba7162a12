"""Marks: 64 bits that stand for a text, and sets of them that take 8 bytes each."""

import hashlib
import unicodedata

import numpy as np
from jaxtyping import Bool, UInt64

Marks = UInt64[np.ndarray, " _"]

_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def mark(text: str) -> int:
    """Equal for equal texts. Of ten million others, one in 10¹² is like a given one."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def both(one: Marks, other: Marks) -> Marks:
    """Marks of pairs, from the marks of their sides."""
    return one * _FACTOR + other


class _Loose(dict[int, str | None]):
    """For `str.translate`: drops punctuation, symbols, spaces and controls."""

    def __missing__(self, code: int) -> str | None:
        kept = unicodedata.category(chr(code))[0] in "LMN"
        self[code] = chr(code) if kept else None
        return self[code]


_LOOSE = _Loose()


def loose(text: str) -> str:
    """The text without case, punctuation and spaces, unless it is made of these."""
    return text.casefold().translate(_LOOSE) or text


def found(among: Marks, marks: Marks) -> Bool[np.ndarray, " n"]:
    """Which of the marks are in a sorted array."""
    if not len(among):
        return np.zeros(len(marks), bool)
    places = np.minimum(among.searchsorted(marks), len(among) - 1)
    return among[places] == marks


class Seen:
    """The marks that came so far, in sorted runs, each longer than all behind it."""

    def __init__(self) -> None:
        self._runs: list[Marks] = []

    def add(self, marks: Marks) -> Bool[np.ndarray, " n"]:
        """Which of the marks came before, here or in earlier calls."""
        fresh, first = np.unique(marks, return_index=True)
        known = np.zeros(len(fresh), bool)
        for run in self._runs:
            known |= found(run, fresh)
        repeated = np.ones(len(marks), bool)
        repeated[first] = known
        self._keep(fresh[~known])
        return repeated

    def _keep(self, fresh: Marks) -> None:
        while self._runs and len(self._runs[-1]) <= len(fresh):
            fresh = np.sort(np.concatenate([self._runs.pop(), fresh]), kind="stable")
        self._runs.append(fresh)
