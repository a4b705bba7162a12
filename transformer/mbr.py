"""Minimum Bayes risk: of many translations, the one that most resembles the others.

Eikema & Aziz 2020; resemblance is chrF (Popović 2015), as sacreBLEU scores a sentence.
N is the number of candidates, J that of characters of all of them, F that of n-grams.
"""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

LONGEST = 6
"""Characters of the longest n-grams."""

RECALL = 2
"""How many times more recall weighs than precision."""


def choose(candidates: Sequence[str]) -> list[int]:
    """Candidates by their expected utility, best first; of equals the earlier.

    The others are taken for references, all alike; what was drawn twice counts twice.
    """
    utility = utilities(candidates)
    gain = utility.sum(axis=1) - utility.diagonal()
    return np.argsort(-gain, kind="stable").tolist()


def utilities(candidates: Sequence[str]) -> Float[np.ndarray, "N N"]:
    """chrF from 0 to 100 of each candidate, a row, against each as its reference."""
    texts = ["".join(candidate.split()) for candidate in candidates]
    sizes = np.array([len(text) for text in texts])
    precision = np.zeros((len(texts), len(texts)))
    orders = np.zeros(precision.shape)
    for n, matches in enumerate(_matches(texts), start=1):
        counts = np.maximum(sizes - n + 1, 0)
        precision += matches / np.maximum(counts, 1)[:, None]
        orders += np.minimum(counts[:, None], counts) > 0
    precision /= np.maximum(orders, 1)
    recall = precision.T  # what one has of the other's, the other has of the one's
    weighed = RECALL**2 * precision + recall
    product = (1 + RECALL**2) * precision * recall
    return 100 * product / np.where(weighed > 0, weighed, 1)


def _matches(texts: Sequence[str]) -> Iterator[Float[np.ndarray, "N N"]]:
    """How many n-grams each two texts share, for n from 1 on."""
    joined = "".join(texts).encode("utf-32-le", "surrogatepass")
    characters = np.frombuffer(joined, np.uint32).astype(np.int64)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    grams = np.zeros_like(characters)
    for n in range(1, LONGEST + 1):
        ends = characters[n - 1 :]
        longer = grams[: ends.size] * (sys.maxunicode + 1) + ends
        _, grams = np.unique(longer, return_inverse=True)
        inside = owners[: ends.size] == owners[n - 1 :]  # of one text
        yield _shared(owners[: ends.size][inside], grams[inside], len(texts))


def _shared(
    owners: Int[np.ndarray, " J"], grams: Int[np.ndarray, " J"], count: int
) -> Float[np.ndarray, "N N"]:
    """Sizes of the intersections of the owners' multisets of n-grams.

    They are sets once the second, third, … time that a text has an n-gram is another
    element than the first; and intersections of sets are products of 0 and 1.
    """
    order = np.lexsort((grams, owners))
    owners, grams = owners[order], grams[order]
    again = (np.diff(owners, prepend=-1) == 0) & (np.diff(grams, prepend=-1) == 0)
    places = np.arange(grams.size)
    times = places - np.maximum.accumulate(np.where(again, 0, places))
    elements, columns = np.unique(grams * owners.size + times, return_inverse=True)
    member = np.zeros((count, elements.size), np.float32)
    member[owners, columns] = 1
    return (member @ member.T).astype(np.float64)
