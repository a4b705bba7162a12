"""From corpora to what training reads: cleaned, tokenised, stored, and reported on."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from transformer import (
    batches,
    cleaning,
    corpora,
    encoding,
    mixture,
    pieces,
    selection,
    tokenizer,
)
from transformer.batches import Plan
from transformer.cleaning import Pair, Report
from transformer.config import Config, DataConfig
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.marks import Marks
from transformer.reports import DataReport, Part
from transformer.store import Store
from transformer.text import normalize
from transformer.tokenizer import Tokenizers

KEPT = "which pairs are kept"
"""The name of what is not the mark of a file, but follows from validation and test."""


class Held(NamedTuple):
    """Sentence pairs that training does not see, to evaluate with."""

    corpus: Corpus
    pairs: list[Pair]
    left_out: int
    """Pairs without text on one side."""


class Dataset(NamedTuple):
    """All that training needs of the data."""

    tokenizers: Tokenizers
    store: Store
    rates: Float[np.ndarray, " n"]
    """How often each pair of the store comes in an epoch; never, if it is too long."""
    valid: list[Held]
    fingerprint: dict[str, str]
    report: DataReport

    @property
    def fitting(self) -> Bool[np.ndarray, " n"]:
        """Which pairs of the store are short enough."""
        return self.rates > 0

    def plan(self, cfg: Config) -> Plan:
        """Which pairs make which batch."""
        lengths = batches.lengths(self.store)
        shapes = batches.shapes(lengths[self.fitting], cfg.data.budget)
        accumulate, seed = cfg.data.accumulate, cfg.training.seed
        return Plan(lengths, self.rates, shapes, accumulate, seed)


def training(cfg: DataConfig) -> list[Corpus]:
    """The corpora to learn from."""
    return [corpora.parse(name, cfg.source, cfg.target) for name in cfg.train]


def held(cfg: DataConfig, names: Sequence[str]) -> list[Held]:
    """The pairs of each corpus that have text on both sides.

    Raises:
        InputError: if a corpus has none, or a tag or weight, which mean nothing here;
            or if one is named twice.
    """
    found = [corpora.parse(name, cfg.source, cfg.target) for name in names]
    for corpus in found:
        if found.count(corpus) > 1:
            raise InputError(f"The corpus {corpus} is named twice to evaluate with.")
    return [_held(corpus) for corpus in found]


def check(several: Sequence[Held], targets: Collection[str]) -> None:
    """Raises `InputError` for pairs in a language that the model does not learn."""
    for corpus in (one.corpus for one in several):
        if corpus.target not in targets:
            raise InputError(
                f"The corpus {corpus} is to evaluate with, but the model learns to "
                f"translate into {', '.join(targets)} only. Give its languages, as in "
                f"{corpus.name}:en-de."
            )


def _held(corpus: Corpus) -> Held:
    if corpus.tag or corpus.weight != 1:
        raise InputError(
            f"The corpus {corpus} is to evaluate with; only training corpora have tags "
            "and weights. Leave them out."
        )
    read = list(normalized(corpus))
    found = [pair for pair in read if all(pair)]
    if not found:
        raise InputError(f"The corpus {corpus} is empty.")
    return Held(corpus, found, len(read) - len(found))


def normalized(corpus: Corpus) -> Iterator[Pair]:
    for source, target in corpora.pairs(corpus):
        yield normalize(source), normalize(target)


def prepare(cfg: Config, known: Tokenizers | None = None) -> Dataset:
    """Reads, cleans, tokenises and stores; trains tokenizers unless some are `known`.

    Deterministic. What was worked out before from the same data is read again.

    Raises:
        InputError: if a corpus cannot be read, or nothing of it is left.
    """
    train, valid = training(cfg.data), held(cfg.data, cfg.data.valid)
    check(valid, targets(train, known))
    marks = [corpora.fingerprint(corpus) for corpus in train]
    kept, counts = _selected(cfg.data, train, marks, valid)
    text = selection.marks(marks, kept)
    tokenizers = known or pieces.learn(cfg, train, kept, text)
    tokens = encoding.stored(cfg.data, train, kept, text, tokenizers)
    report = DataReport(cleaning.together(counts))
    fitting = _drop_long(tokens, tokenizers, cfg.data, report)
    rates = _rates(cfg.data, train, kept, fitting, report)
    pairs = [pair for one in valid for pair in one.pairs]
    once = np.arange(tokens.size) < len(fitting)
    once[: len(fitting)] = fitting
    report.describe(tokens, once, tokenizers, pairs)
    copies = np.tile(rates, cfg.data.segmentations)
    fingerprint = corpora.together([*marks, {KEPT: selection.key(text)}])
    return Dataset(tokenizers, tokens, copies, valid, fingerprint, report)


def _selected(
    cfg: DataConfig,
    train: Sequence[Corpus],
    marks: Sequence[dict[str, str]],
    valid: Sequence[Held],
) -> tuple[list[np.ndarray], list[Report]]:
    """Which pairs of each corpus are kept, and what there is to say of the others."""
    rules = cleaning.dropping(cfg.keep, cfg.drop)
    held_out = _held_out([*valid, *held(cfg, cfg.test)])
    return selection.select(train, marks, held_out, rules)


def _held_out(several: Sequence[Held]) -> Marks:
    """Of the sentences that are validated and tested with."""
    none = np.zeros(0, np.uint64)
    of_each = [cleaning.held_out(one.pairs, one.corpus.source) for one in several]
    return np.unique(np.concatenate([none, *of_each]))


def targets(train: Sequence[Corpus], known: Tokenizers | None = None) -> list[str]:
    """The languages that can be translated into, by these corpora or tokenizers."""
    told = tokenizer.targets(known.source) if known else []
    return list(dict.fromkeys([*(corpus.target for corpus in train), *told]))


def sample(cfg: DataConfig) -> list[Pair]:
    """Clean pairs of all corpora in their shares, to learn new pieces from."""
    train = training(cfg)
    marks = [corpora.fingerprint(corpus) for corpus in train]
    kept, _ = _selected(cfg, train, marks, held(cfg, cfg.valid))
    return pieces.mixed(cfg, train, kept)


def _rates(
    cfg: DataConfig,
    train: list[Corpus],
    kept: list[np.ndarray],
    fitting: np.ndarray,
    report: DataReport,
) -> Float[np.ndarray, " n"]:
    """How often each pair comes in an epoch, which is as long as all of them.

    Raises:
        InputError: if every pair of a corpus is too long.
    """
    stored = [int(clean.sum()) for clean in kept]
    parts = np.split(fitting, np.cumsum(stored)[:-1])
    sizes = [int(part.sum()) for part in parts]
    for corpus, size in zip(train, sizes, strict=True):
        if not size:
            raise InputError(
                f"Every pair of the corpus {corpus} has more than "
                f"data.max_length={cfg.max_length} tokens on a side. Raise it."
            )
    weights = [corpus.weight for corpus in train]
    shares = mixture.shares(weights, sizes, cfg.temperature)
    rates = mixture.rates(shares, sizes)
    counts = zip(train, kept, sizes, shares.tolist(), strict=True)
    report.corpora = [
        Part(str(corpus), len(clean), size, share)
        for corpus, clean, size, share in counts
    ]
    return np.repeat(rates, stored) * fitting


def _drop_long(
    store: Store, tokenizers: Tokenizers, cfg: DataConfig, report: DataReport
) -> np.ndarray:
    """The pairs that fit, however they are segmented; counts those that do not."""
    long = batches.lengths(store).max(axis=1) > cfg.max_length
    long = long.reshape(cfg.segmentations, -1).any(axis=0)
    if long.any():
        example = _text(store, tokenizers, int(long.argmax()))
        report.cleaning.drop(f"over {cfg.max_length} tokens", example, int(long.sum()))
    return ~long


def _text(store: Store, tokenizers: Tokenizers, index: int) -> Pair:
    source, target = store.source[index], store.target[index]
    return (
        tokenizers.source.decode(source.tolist()),
        tokenizers.target.decode(target.tolist()),
    )
