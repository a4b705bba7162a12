"""From corpora to what training reads: cleaned, tokenised, stored, and reported on."""

import hashlib
import json
import random
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, compress, cycle, islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from transformer import batches, cleaning, corpora, mixture, store, tokenizer
from transformer.cleaning import Pair
from transformer.config import Config, DataConfig
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.reports import DataReport, Part
from transformer.store import Store
from transformer.text import normalize
from transformer.tokenizer import Tokenizers

FORMAT = 2
"""Raised when what a store holds changes, so that older ones are not read."""


class Held(NamedTuple):
    """Sentence pairs that training does not see, to evaluate with."""

    corpus: Corpus
    pairs: list[Pair]


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


def training(cfg: DataConfig) -> list[Corpus]:
    """The corpora to learn from."""
    return [corpora.parse(name, cfg.source, cfg.target) for name in cfg.train]


def held(cfg: DataConfig, names: Sequence[str]) -> list[Held]:
    """The pairs of each corpus that have text on both sides.

    Raises:
        InputError: if a corpus has none, or a tag or weight, which mean nothing here.
    """
    return [_held(corpora.parse(name, cfg.source, cfg.target)) for name in names]


def check(several: Sequence[Held], targets: Collection[str]) -> None:
    """Raises `InputError` for pairs in a language that the model does not learn."""
    for corpus, _ in several:
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
    found = [pair for pair in normalized(corpus) if all(pair)]
    if not found:
        raise InputError(f"The corpus {corpus} is empty.")
    return Held(corpus, found)


def normalized(corpus: Corpus) -> Iterator[Pair]:
    for source, target in corpora.pairs(corpus):
        yield normalize(source), normalize(target)


def prepare(cfg: Config, known: Tokenizers | None = None) -> Dataset:
    """Reads, cleans, tokenises and stores; trains tokenizers unless some are `known`.

    Deterministic. The store is reused if the data and the tokenizers are the same.

    Raises:
        InputError: if a corpus cannot be read, or nothing of it is left.
    """
    train, valid = training(cfg.data), held(cfg.data, cfg.data.valid)
    check(valid, targets(train, known))
    report = DataReport()
    kept = _select(train, valid, report)
    tokenizers = known or _train_tokenizers(cfg, train, kept)
    marks = [corpora.fingerprint(corpus) for corpus in train]
    path = store.cache() / "stores" / _key(train, marks, tokenizers)
    if not path.exists():
        store.write(path, _encoded(train, kept, tokenizers))
    tokens = store.read(path)
    fitting = _drop_long(tokens, tokenizers, cfg.data.max_length, report)
    rates = _rates(cfg.data, train, kept, fitting, report)
    pairs = [pair for one in valid for pair in one.pairs]
    report.describe(tokens, fitting, tokenizers, pairs)
    return Dataset(tokenizers, tokens, rates, valid, corpora.together(marks), report)


def targets(train: Sequence[Corpus], known: Tokenizers | None = None) -> list[str]:
    """The languages that can be translated into, by these corpora or tokenizers."""
    told = tokenizer.targets(known.source) if known else []
    return list(dict.fromkeys([*(corpus.target for corpus in train), *told]))


def _select(
    train: list[Corpus], valid: list[Held], report: DataReport
) -> list[np.ndarray]:
    """Whether each pair of each corpus is clean; counts overlap with validation."""
    held_out = {cleaning.digest(source) for one in valid for source, _ in one.pairs}
    read = []

    def watched() -> Iterator[Pair]:
        for corpus in train:
            before = report.cleaning.read
            for pair in normalized(corpus):
                if cleaning.digest(pair[0]) in held_out:
                    report.overlaps(pair)
                yield pair
            read.append(report.cleaning.read - before)

    every = np.fromiter(cleaning.keep(watched(), report.cleaning), bool)
    kept = np.split(every, np.cumsum(read)[:-1])
    for corpus, count, clean in zip(train, read, kept, strict=True):
        if not clean.any():
            raise InputError(
                f"No pair is left of the corpus {corpus}: {count} read, "
                f"dropped as {dict(report.cleaning.dropped)}."
            )
    return kept


def _train_tokenizers(
    cfg: Config, train: list[Corpus], kept: list[np.ndarray]
) -> Tokenizers:
    pairs = _mixed(cfg.data, train, kept)
    learn = partial(tokenizer.train, kind=cfg.data.tokenizer)
    size, source_size = cfg.model.vocab_size, cfg.model.source_vocab_size
    if source_size is None:
        text = chain.from_iterable(pairs)
        joint = learn(text, vocab_size=size, tags=tags(train))
        return Tokenizers(joint, joint)
    source = (source for source, _ in pairs)
    return Tokenizers(
        learn(source, vocab_size=source_size, tags=tags(train)),
        learn((target for _, target in pairs), vocab_size=size),
    )


def tags(train: Sequence[Corpus], told: Collection[str] = ()) -> list[str]:
    """Those that sources begin with.

    Args:
        told: languages that there are tags for already. Without any, the only target
            of the corpora needs none.
    """
    languages = dict.fromkeys(corpus.target for corpus in train)
    needed = languages if told or len(languages) > 1 else ()
    own = dict.fromkeys(corpus.tag for corpus in train if corpus.tag)
    return [
        *map(tokenizer.of_language, needed),
        *map(tokenizer.of_corpus, own),
    ]


def sample(cfg: DataConfig, train: Sequence[Corpus]) -> list[Pair]:
    """Pairs of all corpora, as they come, to learn new pieces from."""
    pairs = chain.from_iterable(map(normalized, train))
    return _sample(pairs, cfg.tokenizer_sentences)


def _mixed(cfg: DataConfig, train: list[Corpus], kept: list[np.ndarray]) -> list[Pair]:
    """Pairs of all corpora in their shares, some several times if theirs is large."""
    sizes = [int(clean.sum()) for clean in kept]
    count = min(cfg.tokenizer_sentences, sum(sizes))
    mixed: list[Pair] = []
    shares = _shares(cfg, train, sizes).tolist()
    for corpus, clean, share in zip(train, kept, shares, strict=True):
        pairs, wanted = compress(normalized(corpus), clean), round(share * count)
        sample = _sample(pairs, wanted)
        mixed += islice(cycle(sample), wanted)
    return mixed


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


def _shares(
    cfg: DataConfig, train: list[Corpus], sizes: list[int]
) -> Float[np.ndarray, " corpora"]:
    weights = [corpus.weight for corpus in train]
    return mixture.shares(weights, sizes, cfg.temperature)


def _rates(
    cfg: DataConfig,
    train: list[Corpus],
    kept: list[np.ndarray],
    fitting: np.ndarray,
    report: DataReport,
) -> Float[np.ndarray, " n"]:
    """How often each stored pair comes in an epoch, which is as long as all of them.

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
    shares = _shares(cfg, train, sizes)
    rates = mixture.rates(shares, sizes)
    counts = zip(train, kept, sizes, shares.tolist(), strict=True)
    report.corpora = [
        Part(str(corpus), len(clean), size, share)
        for corpus, clean, size, share in counts
    ]
    return np.repeat(rates, stored) * fitting


def _encoded(
    train: list[Corpus], kept: list[np.ndarray], tokenizers: Tokenizers
) -> Iterator[tuple[list[int], list[int]]]:
    """The ids of the kept pairs of one corpus after the other."""
    for corpus, clean in zip(train, kept, strict=True):
        told = tokenizers.toward(corpus.target, corpus.tag)
        yield from map(told.encode, compress(normalized(corpus), clean))


def _key(
    train: list[Corpus], marks: list[dict[str, str]], tokenizers: Tokenizers
) -> str:
    """Names a store by all that its contents follow from."""
    read = [
        (corpus.source, corpus.target, corpus.tag, list(mark.values()))
        for corpus, mark in zip(train, marks, strict=True)
    ]
    models = [hashlib.sha256(side.model).hexdigest() for side in tokenizers]
    text = json.dumps([FORMAT, read, models])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _drop_long(
    store: Store, tokenizers: Tokenizers, limit: int, report: DataReport
) -> np.ndarray:
    """The pairs that fit; counts those that do not."""
    long = batches.lengths(store).max(axis=1) > limit
    rule = f"over {limit} tokens"
    for index in np.flatnonzero(long).tolist():
        report.cleaning.drop(rule, _text(store, tokenizers, index))
    return ~long


def _text(store: Store, tokenizers: Tokenizers, index: int) -> Pair:
    source, target = store.source[index], store.target[index]
    return (
        tokenizers.source.decode(source.tolist()),
        tokenizers.target.decode(target.tolist()),
    )
