"""From corpora to what training reads: cleaned, tokenised, stored, and reported on."""

import hashlib
from collections.abc import Iterator
from functools import partial
from itertools import chain, compress
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from transformer import (
    batches,
    cleaning,
    corpora,
    encoding,
    selection,
    store,
    tokenizer,
)
from transformer.cleaning import Pair
from transformer.config import Config, DataConfig
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.marks import Marks
from transformer.reports import DataReport
from transformer.store import Ids, Store
from transformer.text import normalize
from transformer.tokenizer import Tokenizers

FORMAT = 2
"""Raised when what a store holds changes, so that older ones are not read."""


class Dataset(NamedTuple):
    """All that training needs of the data."""

    tokenizers: Tokenizers
    store: Store
    fitting: Bool[np.ndarray, " n"]
    """Which pairs of the store are short enough."""
    valid: list[Pair]
    fingerprint: dict[str, str]
    report: DataReport


def corpus(cfg: DataConfig, name: str) -> Corpus:
    return Corpus(name, cfg.source, cfg.target)


def normalized(corpus: Corpus) -> Iterator[Pair]:
    for source, target in corpora.pairs(corpus):
        yield normalize(source), normalize(target)


def evaluation_pairs(corpus: Corpus) -> list[Pair]:
    """The pairs that have text on both sides, or an `InputError` if none has."""
    found = [pair for pair in normalized(corpus) if all(pair)]
    if not found:
        raise InputError(f"The corpus {corpus} is empty.")
    return found


def prepare(cfg: Config, known: Tokenizers | None = None) -> Dataset:
    """Reads, cleans, tokenises and stores; trains tokenizers unless some are `known`.

    Deterministic. What was worked out before from the same data is read again.

    Raises:
        InputError: if a corpus cannot be read, or nothing of it is left.
    """
    rules = cleaning.dropping(cfg.data.keep, cfg.data.drop)
    train = corpus(cfg.data, cfg.data.train)
    valid = evaluation_pairs(corpus(cfg.data, cfg.data.valid))
    fingerprint = corpora.fingerprint(train)
    [(kept, counts)] = selection.select(
        [train], fingerprint, _held_out(cfg.data, valid), rules
    )
    tokenizers = known or _tokenizers(cfg, train, fingerprint, kept)
    path = store.cache() / "stores" / _key(train, fingerprint, tokenizers, kept)
    if not path.exists():
        store.write(path, encoding.parts(train, kept, partial(_encode, tokenizers)))
    tokens = store.read(path)
    report = DataReport(counts)
    fitting = _drop_long(tokens, tokenizers, cfg.data.max_length, report)
    if not fitting.any():
        raise InputError(
            f"Every pair of the corpus {train} has more than "
            f"data.max_length={cfg.data.max_length} tokens on a side. Raise it."
        )
    report.describe(tokens, fitting, tokenizers, valid)
    return Dataset(tokenizers, tokens, fitting, valid, fingerprint, report)


def _encode(tokenizers: Tokenizers, number: int, pair: Pair) -> tuple[Ids, Ids]:
    del number
    return tokenizers.encode(pair)


def _held_out(cfg: DataConfig, valid: list[Pair]) -> Marks:
    """Of the sentences that are validated and tested with."""
    test = [] if cfg.test is None else evaluation_pairs(corpus(cfg, cfg.test))
    return cleaning.held_out([*valid, *test], cfg.source)


def _tokenizers(
    cfg: Config, train: Corpus, fingerprint: dict[str, str], kept: np.ndarray
) -> Tokenizers:
    """Those trained before on the same pairs, or new ones."""
    sizes = cfg.model.vocab_size, cfg.model.source_vocab_size
    learnt = cfg.data.tokenizer, cfg.data.tokenizer_sentences, *sizes
    follows = [FORMAT, *_text_marks(train, fingerprint, kept), *learnt]
    path = store.cache() / "tokenizers" / selection.key(follows)
    if not path.exists():
        store.make(path, _train_tokenizers(cfg, train, kept).save)
    return tokenizer.load_both(path)


def _train_tokenizers(cfg: Config, train: Corpus, kept: np.ndarray) -> Tokenizers:
    pairs = _sample(train, kept, cfg.data.tokenizer_sentences)
    learn = partial(tokenizer.train, kind=cfg.data.tokenizer)
    size, source_size = cfg.model.vocab_size, cfg.model.source_vocab_size
    if source_size is None:
        joint = learn(chain.from_iterable(pairs), vocab_size=size)
        return Tokenizers(joint, joint)
    return Tokenizers(
        learn((source for source, _ in pairs), vocab_size=source_size),
        learn((target for _, target in pairs), vocab_size=size),
    )


def _sample(corpus: Corpus, kept: np.ndarray, count: int) -> list[Pair]:
    """At most `count` of the kept pairs, each with the same chance."""
    places = np.flatnonzero(kept)
    if len(places) > count:
        places = np.random.default_rng(0).choice(places, count, replace=False)
    chosen = np.zeros(len(kept), bool)
    chosen[places] = True
    sample = compress(corpora.pairs(corpus), chosen)
    return [(normalize(source), normalize(target)) for source, target in sample]


def _text_marks(
    train: Corpus, fingerprint: dict[str, str], kept: np.ndarray
) -> list[object]:
    """What stands for the text that training sees."""
    marks = list(fingerprint.values())
    clean = hashlib.sha256(np.packbits(kept).tobytes()).hexdigest()
    return [train.source, train.target, marks, clean]


def _key(
    train: Corpus,
    fingerprint: dict[str, str],
    tokenizers: Tokenizers,
    kept: np.ndarray,
) -> str:
    """Names a store by all that its contents follow from."""
    models = [hashlib.sha256(side.model).hexdigest() for side in tokenizers]
    return selection.key([FORMAT, *_text_marks(train, fingerprint, kept), models])


def _drop_long(
    store: Store, tokenizers: Tokenizers, limit: int, report: DataReport
) -> np.ndarray:
    """The pairs that fit; counts those that do not."""
    long = batches.lengths(store).max(axis=1) > limit
    if long.any():
        example = _text(store, tokenizers, int(long.argmax()))
        report.cleaning.drop(f"over {limit} tokens", example, int(long.sum()))
    return ~long


def _text(store: Store, tokenizers: Tokenizers, index: int) -> Pair:
    source, target = store.source[index], store.target[index]
    return (
        tokenizers.source.decode(source.tolist()),
        tokenizers.target.decode(target.tolist()),
    )
