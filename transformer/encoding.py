"""Training corpora as token ids, by several processes, part by part."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import compress

import numpy as np
from jaxtyping import Bool

from transformer import cleaning, corpora, selection, store, workers
from transformer.cleaning import Pair
from transformer.config import DataConfig
from transformer.corpora import Corpus
from transformer.store import Ids, Store
from transformer.tokenizer import Tokenizers

FORMAT = 3
"""Raised when what a store holds changes, so that older ones are not read."""


def stored(
    cfg: DataConfig,
    train: Sequence[Corpus],
    kept: Sequence[Bool[np.ndarray, " _"]],
    marks: Sequence[str],
    tokenizers: Tokenizers,
) -> Store:
    """The ids of every kept pair: all corpora, then all again, otherwise segmented.

    Read if the same was stored before.

    Args:
        marks: of each corpus, what stands for its kept pairs.
    """
    models = [hashlib.sha256(side.model).hexdigest() for side in tokenizers]
    told = [(corpus.source, corpus.target, corpus.tag) for corpus in train]
    segmented = cfg.segmentations, cfg.degree
    key = selection.key([FORMAT, told, list(marks), models, segmented])
    path = store.cache() / "stores" / key
    return store.kept(
        path,
        lambda: store.write(path, _parts(cfg, train, kept, tokenizers)),
        lambda: store.read(path),
    )


def _parts(
    cfg: DataConfig,
    train: Sequence[Corpus],
    kept: Sequence[np.ndarray],
    tokenizers: Tokenizers,
) -> Iterator[Store]:
    first = 0
    for _ in range(cfg.segmentations):
        for corpus, clean in zip(train, kept, strict=True):
            told = tokenizers.toward(corpus.target, corpus.tag)
            encode = partial(_encoded, told, cfg.degree)
            chunks = cleaning.chunks(compress(corpora.pairs(corpus), clean))
            for _, part in workers.ordered(encode, _numbered(chunks, first)):
                yield part
            first += int(clean.sum())


def _numbered(
    chunks: Iterable[list[Pair]], first: int
) -> Iterator[tuple[int, list[Pair]]]:
    for chunk in chunks:
        yield first, chunk
        first += len(chunk)


def _encoded(
    tokenizers: Tokenizers, degree: float, numbered: tuple[int, list[Pair]]
) -> Store:
    """The ids of some pairs, the first of them with that number among all."""
    first, pairs = numbered
    if not degree:
        return store.collect(map(tokenizers.encode, pairs))
    return store.collect(
        _sampled(tokenizers, degree, number, pair)
        for number, pair in enumerate(pairs, first)
    )


def _sampled(
    tokenizers: Tokenizers, degree: float, number: int, pair: Pair
) -> tuple[Ids, Ids]:
    """Each pair has a chance of its own, whoever comes to it and when."""
    return tokenizers.sample(pair, degree, random.Random(number))
