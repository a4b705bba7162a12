"""Which words mean alike, as far as embeddings know: neighbours, and a map of them."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from transformer.tokenizer import Tokenizer

_INSIDE = "’'-\u200c\u200d"
"""Between the letters of a word."""


class Neighbour(NamedTuple):
    """A piece of the vocabulary that is a word, and how near it is."""

    text: str
    id: int
    cosine: float


class Place(NamedTuple):
    """A word of the source or a neighbour, on a map of the embeddings."""

    text: str
    x: float
    y: float
    neighbours: tuple[Neighbour, ...] | None
    """The words nearest to it; None for one that is here as a neighbour."""


class Lexicon:
    """The words of a vocabulary, as their embeddings have them.

    Args:
        table: one row a piece.
    """

    def __init__(self, tokenizer: Tokenizer, table: Float[np.ndarray, "V D"]) -> None:
        self.tokenizer, self.table = tokenizer, table
        pieces = map(tokenizer.piece, range(tokenizer.size))
        self.words = np.array([_word(piece) for piece in pieces])
        """Which pieces are words, and not parts of one, bytes or signs."""

    def vector(self, ids: Sequence[int]) -> Float[np.ndarray, " D"]:
        """Of a word that is written in one piece or several: their mean."""
        return self.table[list(ids)].mean(axis=0)

    def nearest(
        self, ids: Sequence[int], count: int, allowed: Bool[np.ndarray, " V"]
    ) -> tuple[Neighbour, ...]:
        """The words in the directions most like that of a word, nearest first.

        Args:
            ids: the pieces of the word, which is not named itself.
            allowed: the pieces that may be named.
        """
        near = cosines(self.table, self.vector(ids)[None])
        allowed = allowed & self.words
        allowed[list(ids)] = False
        order = np.argsort(np.where(allowed, -near, np.inf), kind="stable")
        found = order[: min(count, int(allowed.sum()))].tolist()
        piece = self.tokenizer.piece
        return tuple(Neighbour(piece(id)[1:], id, float(near[id])) for id in found)

    def scripts(self) -> dict[str, Bool[np.ndarray, " V"]]:
        """Which words are in which script, by its Unicode name: "LATIN"."""
        names = [
            script(self.tokenizer.piece(id)[1:]) if word else ""
            for id, word in enumerate(self.words.tolist())
        ]
        each = np.array(names)
        return {name: each == name for name in dict.fromkeys(names) if name}


def _word(piece: str) -> bool:
    """Whether it is a word of two characters or more, signs of vowels included."""
    begins, *inside = piece.removeprefix("▁") or " "
    kinds = [unicodedata.category(one)[0] in "LM" or one in _INSIDE for one in inside]
    return piece.startswith("▁") and begins.isalpha() and bool(kinds) and all(kinds)


def script(text: str) -> str:
    """The script of the first letter of a text; empty if it has none."""
    letter = next(filter(str.isalpha, text), "")
    return unicodedata.name(letter, "").partition(" ")[0]


def around(
    lexicon: Lexicon, words: Sequence[tuple[str, Sequence[int]]], count: int
) -> tuple[Place, ...]:
    """Words, each with its pieces, then their neighbours, all on one map."""
    everywhere = np.ones(len(lexicon.words), bool)
    own = {text: ids for text, ids in words}
    near = {text: lexicon.nearest(ids, count, everywhere) for text, ids in own.items()}
    others = {n.text: [n.id] for found in near.values() for n in found}
    others = {text: ids for text, ids in others.items() if text not in own}
    every = own | others
    if not every:
        return ()
    places = plane(np.stack([lexicon.vector(ids) for ids in every.values()]))
    return tuple(
        Place(text, x, y, near.get(text))
        for text, (x, y) in zip(every, places.tolist(), strict=True)
    )


def cosines(
    some: Float[np.ndarray, "*#n D"], others: Float[np.ndarray, "*#n D"]
) -> Float[np.ndarray, " *n"]:
    """Cosines of the angles between vectors, from -1 to 1."""
    norms = np.linalg.norm(some, axis=-1) * np.linalg.norm(others, axis=-1)
    return np.clip((some * others).sum(axis=-1) / np.maximum(norms, 1e-12), -1, 1)


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
