"""Which words of a text and of its translation belong together.

Both are seen as atoms: runs of letters or of digits, and single other characters.
"""

import re
from bisect import bisect, bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from transformer.text import UNSPACED

Place = tuple[int, int]
"""A part of a text, from the first to before the second."""

_PUNCTUATION = r"!-/:-@\[-`{-~¡-©«-¬®-±´¶-¸»¿×÷\u2010-\u205e\u0964\u0965،؛؟۔։"
_ATOM = re.compile(rf"[{UNSPACED}]|\d++|[^\s\d{_PUNCTUATION}{UNSPACED}]++|\S")

_SQUARE = 64
"""Pairs of atoms that one link makes at most; a longer one goes along the diagonal."""


class Link(NamedTuple):
    """A place in a text, and the one in its translation that belongs to it."""

    source: Place
    target: Place


class Atoms(NamedTuple):
    """Where the atoms of a text begin and end."""

    begins: list[int]
    ends: list[int]

    def within(self, place: Place) -> range:
        """The numbers of those that have characters in a place."""
        return range(bisect(self.ends, place[0]), bisect_left(self.begins, place[1]))


def atoms(text: str) -> Atoms:
    spans = [found.span() for found in _ATOM.finditer(text)]
    return Atoms([begin for begin, _ in spans], [end for _, end in spans])


def by_words(
    source: str, translation: str, pairs: Iterable[tuple[int, int]]
) -> list[Link]:
    """Links from pairs of words, as in the Pharaoh format: counted from 0.

    A word is what stands between blanks. Pairs with a word that is not there are
    ignored.
    """
    texts = source, translation
    of, to = ([found.span() for found in re.finditer(r"\S++", t)] for t in texts)
    return [
        Link(of[i], to[j]) for i, j in pairs if 0 <= i < len(of) and 0 <= j < len(to)
    ]


class Linked(NamedTuple):
    """Two texts as atoms, and for each atom the numbers of those linked to it."""

    source: Atoms
    target: Atoms
    targets: list[list[int]]
    sources: list[list[int]]


def linked(source: str, translation: str, links: Sequence[Link]) -> Linked:
    of, to = atoms(source), atoms(translation)
    targets: list[list[int]] = [[] for _ in of.begins]
    sources: list[list[int]] = [[] for _ in to.begins]
    for link in links:
        ours, theirs = of.within(link.source), to.within(link.target)
        words = [source[of.begins[i] : of.ends[i]] for i in ours]
        others = [translation[to.begins[j] : to.ends[j]] for j in theirs]
        for i, j in _matched(words, others):
            targets[ours[i]].append(theirs[j])
            sources[theirs[j]].append(ours[i])
    return Linked(of, to, targets, sources)


def _matched(words: list[str], others: list[str]) -> list[tuple[int, int]]:
    """Which atoms of two linked places belong together.

    Equal ones do; then words with words, and other characters with each other.
    """
    where = defaultdict(list)
    for j in reversed(range(len(others))):
        where[others[j]].append(j)
    pairs = [(i, where[w].pop()) for i, w in enumerate(words) if where[w]]
    used = {i for i, _ in pairs}, {j for _, j in pairs}
    for kind in True, False:
        rest, left = (
            [i for i, w in enumerate(side) if i not in done and w[0].isalnum() == kind]
            for side, done in zip((words, others), used, strict=True)
        )
        if len(rest) * len(left) <= _SQUARE:
            pairs += [(i, j) for i in rest for j in left]
        else:
            diagonal = (rest[k * len(rest) // len(left)] for k in range(len(left)))
            pairs += zip(diagonal, left, strict=True)
    return pairs
