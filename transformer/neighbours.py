"""Which words mean alike, as far as the embeddings know: neighbours and a map of them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from transformer.tokenizer import Tokenizer

_WORD = re.compile(r"▁[^\W\d_][\w’'\-]+")
"""Pieces that are whole words of two letters or more."""


class Neighbour(NamedTuple):
    """A piece of the vocabulary that is a word, and how near it is."""

    text: str
    id: int
    cosine: float


def whole_words(tokenizer: Tokenizer) -> Bool[np.ndarray, " V"]:
    """Which pieces are words, and not parts of one, bytes or signs."""
    pieces = map(tokenizer.piece, range(tokenizer.size))
    return np.array([bool(_WORD.fullmatch(piece)) for piece in pieces])


def mean(
    table: Float[np.ndarray, "V D"], ids: Sequence[int]
) -> Float[np.ndarray, " D"]:
    """The vector of a word that is written in one piece or several."""
    return table[list(ids)].mean(axis=0)


def nearest(
    table: Float[np.ndarray, "V D"],
    vector: Float[np.ndarray, " D"],
    allowed: Bool[np.ndarray, " V"],
    count: int,
) -> Int[np.ndarray, " count"]:
    """Ids of those whose direction is most like that of `vector`, nearest first."""
    near = np.where(allowed, cosines(table, vector), -np.inf)
    order = np.argsort(-near, kind="stable")[: min(count, int(allowed.sum()))]
    return order


def cosines(
    table: Float[np.ndarray, "*V D"], vector: Float[np.ndarray, "*#V D"]
) -> Float[np.ndarray, " *V"]:
    """Cosines of the angles between vectors, from -1 to 1."""
    norms = np.linalg.norm(table, axis=-1) * np.linalg.norm(vector, axis=-1)
    return (table * vector).sum(axis=-1) / np.maximum(norms, 1e-12)


def plane(vectors: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n 2"]:
    """The two directions in which the vectors differ most, as a map of them.

    Principal components; the largest entry of each direction is positive, so that the
    map does not flip from one machine to another.
    """
    centred = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    chosen = np.zeros((2, vectors.shape[1]))
    chosen[: len(directions)] = directions[:2]
    largest = np.abs(chosen).argmax(axis=1)[:, None]
    signs = np.where(np.take_along_axis(chosen, largest, axis=1) < 0, -1.0, 1.0)
    return centred @ (signs * chosen).T
