"""Byte-pair encoding with dropout: the same word, each time in other pieces.

Provilkov et al. 2020, "BPE-Dropout": a merge that is due is left out by chance, so that
a network sees how words are made, which acts like more data where there is little.
SentencePiece can do the same, but draws from one generator for all sentences; here the
caller gives one, and what comes out depends on it and on the text alone.
"""

import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush
from math import log1p
from typing import NamedTuple

SPACE = "\u2581"
"""Begins a word, as SentencePiece writes it."""

WORDS = 1 << 17
"""Words whose usual pieces are remembered."""


class Merge(NamedTuple):
    """Two neighbours that make a piece; the best score comes first, then the left."""

    rank: float
    left: int
    right: int
    joined: str


class BytePairs:
    """The merges of a vocabulary.

    Args:
        ranks: each piece of text, and the order in which it is made; lowest first.
    """

    def __init__(self, ranks: Mapping[str, float]) -> None:
        self._ranks = ranks
        self._usual = lru_cache(WORDS)(lambda word: self._merge(word, iter(())))

    def sample(
        self, text: str, dropout: float, chance: random.Random
    ) -> Iterator[tuple[str, ...]]:
        """The pieces of each word of a normalised text.

        A piece that is not in the vocabulary is a single character.

        Args:
            dropout: the probability that a merge is left out, in [0, 1).
        """
        marked = SPACE + text.replace(" ", SPACE) if text else ""
        for word in marked.split(SPACE)[1:]:
            yield self._word(SPACE + word, dropout, chance)

    def _word(
        self, word: str, dropout: float, chance: random.Random
    ) -> tuple[str, ...]:
        usual = self._usual(word)
        if not dropout:
            return usual
        # Most words lose no merge: how many are kept before is known in one draw.
        kept = _kept(dropout, chance)
        if kept >= len(word) - len(usual):
            return usual
        return self._merge(word, _dropped(kept, dropout, chance))

    def _merge(self, word: str, dropped: Iterator[bool]) -> tuple[str, ...]:
        """Merges the best neighbours until there are none, or all are left out at once.

        Algorithm 1 of the paper: what is left out has its next chance one merge later.
        """
        parts = list(word)
        ends = len(parts)
        before, after = list(range(-1, ends - 1)), list(range(1, ends + 1))
        due = [self._neighbours(parts, i, i + 1) for i in range(ends - 1)]
        due = [merge for merge in due if merge is not None]
        heapify(due)
        aside: list[Merge] = []
        while due:
            merge = heappop(due)
            _, left, right, joined = merge
            if parts[left] + parts[right] != joined or after[left] != right:
                continue  # one of them is part of another piece by now
            if next(dropped, False):
                aside.append(merge)
                continue
            while aside:
                heappush(due, aside.pop())
            parts[left], parts[right] = joined, ""
            after[left] = after[right]
            if after[left] < ends:
                before[after[left]] = left
            for one, other in (before[left], left), (left, after[left]):
                if one >= 0 and other < ends:
                    merge = self._neighbours(parts, one, other)
                    if merge is not None:
                        heappush(due, merge)
        return tuple(filter(None, parts))

    def _neighbours(self, parts: list[str], left: int, right: int) -> Merge | None:
        joined = parts[left] + parts[right]
        rank = self._ranks.get(joined)
        return None if rank is None else Merge(rank, left, right, joined)


def _kept(dropout: float, chance: random.Random) -> float:
    """Merges made before the first that is left out; part of one counts as none."""
    return log1p(-chance.random()) / log1p(-dropout)


def _dropped(kept: float, dropout: float, chance: random.Random) -> Iterator[bool]:
    """Whether each merge is left out; the first `kept` are not, and then one is."""
    yield from (False for _ in range(int(kept)))
    yield True
    while True:
        yield chance.random() < dropout
