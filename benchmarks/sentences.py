"""What benchmarks/decode.py translates, and with which network."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import exchange, pairs
from benchmarks.rivals.decoding import Ids
from benchmarks.work import SPECIAL
from transformer import metrics
from transformer.config import ModelConfig
from transformer.errors import InputError
from transformer.symbols import EOS

COUNTS = {1: 8, 32: 64, None: 256}
"""Random sentences of a turn by the size of the batch; None is the whole file."""

CAPTIONS = {1: 50, 32: 320, None: 1000}


class Task(NamedTuple):
    """What is translated with which network."""

    title: str
    folder: Path
    """Of the network."""
    sources: list[Ids]
    counts: dict[int | None, int]
    """Sentences of a turn by the size of the batch."""
    forced: int | None
    """Tokens of each translation, if that is fixed."""
    bleu: Callable[[list[Ids]], float] | None = None


def random(cfg: ModelConfig, length: int, folder: Path) -> Task:
    """Sentences of random tokens for a network of random weights.

    Args:
        length: tokens of each source, and of each translation, EOS included.
        folder: where the network is written to.
    """
    exchange.write(folder, exchange.random(cfg))
    shape = (max(COUNTS.values()), length - 1)
    words = np.random.default_rng(0).integers(SPECIAL, cfg.vocab_size, shape)
    sources = [[*ids, EOS] for ids in words.tolist()]
    layers = f"{cfg.encoder_layers} + {cfg.decoder_layers} layers"
    title = f"{layers}, {cfg.dim}/{cfg.hidden_dim}, random weights, {length} tokens"
    return Task(title, folder, sources, COUNTS, length)


def captions(model: Path, folder: Path) -> Task:
    """Multi30k test2016 for a trained network."""
    network, tokenizers = exchange.trained(model)
    exchange.write(folder, network)
    tokenizers.save(folder)
    english, german = (
        _lines(pairs.CORPUS / f"test2016.{side}") for side in ("en", "de")
    )
    sources = [[*tokenizers.source.encode(line), EOS] for line in english]

    def bleu(targets: list[Ids]) -> float:
        texts = [tokenizers.target.decode(ids) for ids in targets]
        return metrics.bleu(texts, german).value

    return Task(f"Multi30k test2016, {model}", folder, sources, CAPTIONS, None, bleu)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Put the corpus there, or leave "
            "--model out."
        ) from error
