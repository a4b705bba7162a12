"""Corpora as token ids, by several processes, part by part."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import compress

import numpy as np
from jaxtyping import Bool

from transformer import cleaning, corpora, store, workers
from transformer.cleaning import Pair
from transformer.corpora import Corpus
from transformer.store import Ids, Store

Encode = Callable[[int, Pair], tuple[Ids, Ids]]
"""Ids of a raw pair, and of no other pair than that with its number."""


def parts(
    corpus: Corpus, kept: Bool[np.ndarray, " n"], encode: Encode, first: int = 0
) -> Iterator[Store]:
    """The kept pairs of a corpus as ids, in their order; numbered from `first` on."""
    pairs = compress(corpora.pairs(corpus), kept)
    numbered = _numbered(cleaning.chunks(pairs), first)
    for _, part in workers.ordered(partial(_encoded, encode), numbered):
        yield part


def _numbered(
    chunks: Iterable[list[Pair]], first: int
) -> Iterator[tuple[int, list[Pair]]]:
    for chunk in chunks:
        yield first, chunk
        first += len(chunk)


def _encoded(encode: Encode, numbered: tuple[int, list[Pair]]) -> Store:
    first, chunk = numbered
    return store.collect(
        encode(first + place, pair) for place, pair in enumerate(chunk)
    )
