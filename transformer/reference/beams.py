"""Beam search for one sentence, over lists of hypotheses."""

from collections.abc import Callable, Iterator
from math import inf
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from transformer.symbols import BOS, EOS, PAD, UNK

Array = np.ndarray

FORBIDDEN = [PAD, BOS, UNK]
"""What no translation contains."""

Follow = Callable[[tuple[int, ...]], Float[Array, " V"]]
"""Log-probabilities of the token after those written so far."""


class Hypothesis(NamedTuple):
    tokens: tuple[int, ...]
    """As written so far; the last one of a finished hypothesis is EOS."""
    score: float
    """The sum of the log-probabilities; once finished, divided by the penalty."""


class Decision(NamedTuple):
    """How much likelier the last hypothesis kept was than the first one dropped."""

    margin: float
    length: int
    """Tokens of the hypotheses."""


class Found(NamedTuple):
    best: list[Hypothesis]
    """Finished, best first."""
    narrowest: Decision
    """Sums that are off by less than half its margin keep the same hypotheses."""


def penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6)^α; Wu et al. 2016, equation 14."""
    return ((5 + length) / 6) ** alpha


def search(
    follow: Follow, *, width: int, alpha: float, limit: int, best: int = 1
) -> Found:
    """The `best` translations that a beam of `width` hypotheses finds.

    Each hypothesis that finishes narrows the beam by one place. The search ends when
    `width` have finished, or no other can become one of the `best`: its score can be
    at most its present sum under the penalty of the longest translation.

    Args:
        limit: most tokens of a translation, EOS included; the last one can only be EOS.
    """
    alive, finished = [Hypothesis((), 0.0)], []
    narrowest = Decision(inf, 0)
    for length in range(1, limit + 1):
        room = width - len(finished)
        grown = [g for h in alive for g in _continued(h, follow, room + 1, limit)]
        grown.sort(key=lambda h: -h.score)  # a stable sort: of equals the first wins
        if len(grown) > room:
            margin = grown[room - 1].score - grown[room].score
            narrowest = min(narrowest, Decision(margin, length))
        alive = [h for h in grown[:room] if h.tokens[-1] != EOS]
        divisor = penalty(length, alpha)
        finished += [
            Hypothesis(h.tokens, h.score / divisor)
            for h in grown[:room]
            if h.tokens[-1] == EOS
        ]
        finished.sort(key=lambda h: -h.score)
        if len(finished) == width or not alive:
            break
        bound = alive[0].score / penalty(limit, alpha)
        if len(finished) >= best and bound <= finished[best - 1].score:
            break
    return Found(finished[:best], narrowest)


def _continued(
    hypothesis: Hypothesis, follow: Follow, count: int, limit: int
) -> Iterator[Hypothesis]:
    """Its `count` likeliest continuations, best first; of equals the lower id."""
    sums = hypothesis.score + follow(hypothesis.tokens)
    sums[FORBIDDEN] = -inf
    if len(hypothesis.tokens) + 1 == limit:
        sums[np.arange(len(sums)) != EOS] = -inf
    for token in np.argsort(-sums, kind="stable")[:count].tolist():
        if sums[token] > -inf:
            yield Hypothesis((*hypothesis.tokens, token), float(sums[token]))
