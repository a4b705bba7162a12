"""From corpora to what training reads: cleaned, tokenised, stored, and reported on."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, compress
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from transformer import batches, cleaning, corpora, store, tokenizer
from transformer.cleaning import Pair
from transformer.config import Config, DataConfig
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.reports import DataReport
from transformer.store import Store
from transformer.text import normalize
from transformer.tokenizer import Tokenizers

FORMAT = 1
"""Raised when what a store holds changes, so that older ones are not read."""


class Dataset(NamedTuple):
    """All that training needs of the data."""

    tokenizers: Tokenizers
    store: Store
    fitting: Bool[np.ndarray, " n"]
    """Which pairs of the store are short enough, in every segmentation."""
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

    Deterministic. The store is reused if the data and the tokenizers are the same.

    Raises:
        InputError: if a corpus cannot be read, or nothing of it is left.
    """
    train = corpus(cfg.data, cfg.data.train)
    valid = evaluation_pairs(corpus(cfg.data, cfg.data.valid))
    report = DataReport()
    kept = _select(train, valid, report)
    tokenizers = known or _train_tokenizers(cfg, train, kept)
    fingerprint = corpora.fingerprint(train)
    path = store.cache() / "stores" / _key(cfg.data, fingerprint, tokenizers)
    if not path.exists():
        store.write(path, _encoded(cfg.data, train, kept, tokenizers))
    tokens = store.read(path)
    fitting = _drop_long(tokens, tokenizers, cfg.data, report)
    if not fitting.any():
        raise InputError(
            f"Every pair of the corpus {train} has more than "
            f"data.max_length={cfg.data.max_length} tokens on a side. Raise it."
        )
    first = np.arange(tokens.size) < kept.sum()
    report.describe(tokens, fitting & first, tokenizers, valid)
    return Dataset(tokenizers, tokens, fitting, valid, fingerprint, report)


def _select(train: Corpus, valid: list[Pair], report: DataReport) -> np.ndarray:
    """Whether each training pair is clean; counts overlap with validation as well."""
    held_out = {cleaning.digest(source) for source, _ in valid}
    report.validation = len(valid)

    def watched() -> Iterator[Pair]:
        for pair in normalized(train):
            if cleaning.digest(pair[0]) in held_out:
                report.overlaps(pair)
            yield pair

    kept = np.fromiter(cleaning.keep(watched(), report.cleaning), bool)
    if not kept.any():
        raise InputError(
            f"No pair is left of the corpus {train}: {report.cleaning.read} read, "
            f"dropped as {dict(report.cleaning.dropped)}."
        )
    return kept


def _train_tokenizers(cfg: Config, train: Corpus, kept: np.ndarray) -> Tokenizers:
    pairs = _sample(compress(normalized(train), kept), cfg.data.tokenizer_sentences)
    learn = partial(tokenizer.train, kind=cfg.data.tokenizer)
    size, source_size = cfg.model.vocab_size, cfg.model.source_vocab_size
    if source_size is None:
        joint = learn(chain.from_iterable(pairs), vocab_size=size)
        return Tokenizers(joint, joint)
    return Tokenizers(
        learn((source for source, _ in pairs), vocab_size=source_size),
        learn((target for _, target in pairs), vocab_size=size),
    )


def _sample(pairs: Iterable[Pair], count: int) -> list[Pair]:
    """At most `count` pairs, each with the same chance (Vitter 1985, algorithm R)."""
    chance = random.Random(0)
    sample: list[Pair] = []
    for seen, pair in enumerate(pairs):
        if seen < count:
            sample.append(pair)
        elif (place := chance.randrange(seen + 1)) < count:
            sample[place] = pair
    return sample


def _encoded(
    cfg: DataConfig, train: Corpus, kept: np.ndarray, tokenizers: Tokenizers
) -> Iterator[tuple[list[int], list[int]]]:
    """The ids of every kept pair: all of the corpus, then all otherwise segmented."""
    copies = (compress(normalized(train), kept) for _ in range(cfg.segmentations))
    pairs = chain.from_iterable(copies)
    if not cfg.subword_dropout:
        return map(tokenizers.encode, pairs)
    return _sampled(pairs, cfg.subword_dropout, tokenizers)


def _sampled(
    pairs: Iterable[Pair], dropout: float, tokenizers: Tokenizers
) -> Iterator[tuple[list[int], list[int]]]:
    for number, pair in enumerate(pairs):  # each has a chance of its own
        chance = random.Random(number)
        yield tokenizers.sample(pair, dropout, chance)


def _key(cfg: DataConfig, fingerprint: dict[str, str], tokenizers: Tokenizers) -> str:
    """Names a store by all that its contents follow from."""
    marks = list(fingerprint.values())
    models = [hashlib.sha256(side.model).hexdigest() for side in tokenizers]
    sampling = [cfg.segmentations, cfg.subword_dropout]
    text = json.dumps([FORMAT, cfg.source, cfg.target, marks, models, *sampling])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _drop_long(
    store: Store, tokenizers: Tokenizers, cfg: DataConfig, report: DataReport
) -> np.ndarray:
    """The pairs that fit, however they are segmented; counts those that do not."""
    long = batches.lengths(store).max(axis=1) > cfg.max_length
    long = long.reshape(cfg.segmentations, -1).any(axis=0)
    rule = f"over {cfg.max_length} tokens"
    for index in np.flatnonzero(long).tolist():
        report.cleaning.drop(rule, _text(store, tokenizers, index))
    return np.tile(~long, cfg.segmentations)


def _text(store: Store, tokenizers: Tokenizers, index: int) -> Pair:
    source, target = store.source[index], store.target[index]
    return (
        tokenizers.source.decode(source.tolist()),
        tokenizers.target.decode(target.tolist()),
    )
