"""Tokenizers for training corpora: what they learn from, and where they are kept."""

from collections.abc import Collection, Sequence
from functools import partial
from itertools import chain, compress, cycle, islice

import numpy as np
from jaxtyping import Bool

from transformer import corpora, mixture, selection, store, tokenizer
from transformer.cleaning import Pair
from transformer.config import Config, DataConfig
from transformer.corpora import Corpus
from transformer.text import normalize
from transformer.tokenizer import Tokenizers

FORMAT = 1
"""Raised when other tokenizers are learnt from the same text."""


def learn(
    cfg: Config,
    train: Sequence[Corpus],
    kept: Sequence[Bool[np.ndarray, " _"]],
    marks: Sequence[str],
) -> Tokenizers:
    """Tokenizers for the kept pairs, or those that were learnt from them before.

    Args:
        marks: of each corpus, what stands for its kept pairs.
    """
    data, model = cfg.data, cfg.model
    told = [(one.source, one.target, one.tag, one.weight) for one in train]
    sizes = model.vocab_size, model.source_vocab_size, data.tokenizer_sentences
    settings = [data.tokenizer, data.temperature, *sizes]
    key = selection.key([FORMAT, told, list(marks), settings])
    path = store.cache() / "tokenizers" / key
    return store.kept(
        path,
        lambda: store.make(path, _learn(cfg, train, kept).save),
        lambda: tokenizer.load_both(path),
    )


def _learn(
    cfg: Config, train: Sequence[Corpus], kept: Sequence[np.ndarray]
) -> Tokenizers:
    pairs = mixed(cfg.data, train, kept)
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
    return [*map(tokenizer.of_language, needed), *map(tokenizer.of_corpus, own)]


def mixed(
    cfg: DataConfig, train: Sequence[Corpus], kept: Sequence[Bool[np.ndarray, " _"]]
) -> list[Pair]:
    """Pairs of all corpora in their shares, some several times if theirs is large."""
    sizes = [int(clean.sum()) for clean in kept]
    count = min(cfg.tokenizer_sentences, sum(sizes))
    weights = [corpus.weight for corpus in train]
    shares = mixture.shares(weights, sizes, cfg.temperature).tolist()
    pairs: list[Pair] = []
    for corpus, clean, share in zip(train, kept, shares, strict=True):
        wanted = round(share * count)
        pairs += islice(cycle(sample(corpus, clean, wanted)), wanted)
    return pairs


def sample(corpus: Corpus, kept: Bool[np.ndarray, " n"], count: int) -> list[Pair]:
    """At most `count` of the kept pairs, normalised; each with the same chance."""
    places = np.flatnonzero(kept)
    if len(places) > count:
        places = np.random.default_rng(0).choice(places, count, replace=False)
    chosen = np.zeros(len(kept), bool)
    chosen[places] = True
    found = compress(corpora.pairs(corpus), chosen)
    return [(normalize(source), normalize(target)) for source, target in found]
