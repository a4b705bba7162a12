"""The same word, each time in other pieces, so that a network sees how words are made.

This acts like more data where there is little. Provilkov et al. 2020, "BPE-Dropout":
a merge that is due is left out by chance. Kudo 2018, "Subword Regularization": the
pieces of a unigram vocabulary are drawn by their probabilities. SentencePiece can do
both, but draws from one generator for all sentences; here the caller gives one, and
what comes out depends on it and on the text alone.
"""

import random
from bisect import bisect
from collections.abc import Iterator, Mapping
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import accumulate
from math import exp, log, log1p
from typing import NamedTuple

SPACE = "\u2581"
"""Begins a word, as SentencePiece writes it; no piece has one further on."""

WORDS = 1 << 17
"""Words whose usual pieces are remembered."""

LATTICES = 1 << 14
"""Words whose possible pieces are remembered, a kilobyte or two each."""

SHORT = 20
"""Characters of a word that may come again; text without blanks hardly does."""

PENALTY = 10.0
"""How much worse than the worst piece SentencePiece rates an unknown character."""


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

    def __reduce__(self) -> tuple[type, tuple[Mapping[str, float]]]:
        """For another process, which remembers words of its own."""
        return BytePairs, (self._ranks,)

    def sample(
        self, text: str, dropout: float, chance: random.Random
    ) -> Iterator[tuple[str, ...]]:
        """The pieces of each word of a normalised text.

        A piece that is not in the vocabulary is a single character.

        Args:
            dropout: the probability that a merge is left out, in [0, 1).
        """
        for word in _words(text):
            yield self._word(word, dropout, chance)

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


class Way(NamedTuple):
    """Where the pieces begin that may end at a place of a word, and their shares.

    The shares divide [0, 1) in that order; `bounds` are where one meets the next.
    """

    starts: tuple[int, ...]
    bounds: tuple[float, ...]


class Unigrams:
    """The pieces of a vocabulary that stand side by side by chance alone.

    Args:
        scores: each piece of text, and the logarithm of its probability.
    """

    def __init__(self, scores: Mapping[str, float]) -> None:
        self._scores = scores
        self._longest = max(map(len, scores))
        self._unknown = min(scores.values()) - PENALTY
        self._ways = lru_cache(LATTICES)(self._filtered)

    def __reduce__(self) -> tuple[type, tuple[Mapping[str, float]]]:
        """For another process, which remembers words of its own."""
        return Unigrams, (self._scores,)

    def sample(
        self, text: str, alpha: float, chance: random.Random
    ) -> Iterator[tuple[str, ...]]:
        """The pieces of each word of a normalised text.

        Every way to write the word has a chance, in proportion to its probability to
        the power of `alpha`. No piece goes beyond a word, so that words are drawn one
        by one. A piece that is not in the vocabulary is a single character.

        Args:
            alpha: above 0. The nearer to it the more alike all ways are; far above 1
                only the likeliest remains, which is the usual one.
        """
        for word in _words(text):
            yield self._word(word, alpha, chance)

    def _word(self, word: str, alpha: float, chance: random.Random) -> tuple[str, ...]:
        """Backward sampling: the last piece first, then what is before it."""
        ways = (self._ways if len(word) <= SHORT else self._filtered)(word, alpha)
        end, pieces = len(word), []
        while end:
            starts, bounds = ways[end - 1]
            start = starts[bisect(bounds, chance.random())]
            pieces.append(word[start:end])
            end = start
        return tuple(reversed(pieces))

    def _filtered(self, word: str, alpha: float) -> tuple[Way, ...]:
        """Forward filtering: how likely each piece is the last one before each place.

        The ways to each place are weighed against the best of them, whose score is
        kept apart, so that no alpha is too large or too small for a float.
        """
        best, total = [0.0], [0.0]  # of all ways to each place, the latter a logarithm
        ways = []
        for end in range(1, len(word) + 1):
            starts, scores = self._ending(word, end)
            reached = [best[i] + score for i, score in zip(starts, scores, strict=True)]
            most = max(reached)
            weights = [
                alpha * (score - most) + total[start]
                for start, score in zip(starts, reached, strict=True)
            ]
            top = max(weights)
            shares = list(accumulate([exp(weight - top) for weight in weights]))
            best.append(most)
            total.append(top + log(shares[-1]))
            bounds = [share / shares[-1] for share in shares[:-1]]
            ways.append(Way(tuple(starts), tuple(bounds)))
        return tuple(ways)

    def _ending(self, word: str, end: int) -> tuple[list[int], list[float]]:
        """Where the pieces that end at a place of a word begin, and their scores."""
        starts, scores = [], []
        for start in range(max(0, end - self._longest), end):
            score = self._scores.get(word[start:end])
            if score is None and start == end - 1:
                score = self._unknown
            if score is not None:
                starts.append(start)
                scores.append(score)
        return starts, scores


def _words(text: str) -> Iterator[str]:
    """Each with the mark that it begins with."""
    marked = SPACE + text.replace(" ", SPACE) if text else ""
    return (SPACE + word for word in marked.split(SPACE)[1:])


def _kept(dropout: float, chance: random.Random) -> float:
    """Merges made before the first that is left out; part of one counts as none."""
    return log1p(-chance.random()) / log1p(-dropout)


def _dropped(kept: float, dropout: float, chance: random.Random) -> Iterator[bool]:
    """Whether each merge is left out; the first `kept` are not, and then one is."""
    yield from (False for _ in range(int(kept)))
    yield True
    while True:
        yield chance.random() < dropout
