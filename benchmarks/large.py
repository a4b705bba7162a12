"""Preparing ten million pairs: time, memory, and what a second start takes.

    python -m benchmarks.large generate /tmp/large          train.en, train.hi, valid.…
    python -m benchmarks.large prepare /tmp/large           reads, cleans, … plans

The pairs are fillings of the phrasebook's patterns, in written and in plain form by
turns. Run `prepare` twice: the second start finds what the first one worked out.
"""

import itertools
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from transformer import batches, dataset, experiments, phrasebook
from transformer.batches import Plan
from transformer.config import Config
from transformer.phrasebook import grammar

PAIRS = 10_000_000
VALID = 1000


def fillings() -> Iterator[tuple[str, str]]:
    """Every second filling of every pattern."""
    for pattern in grammar.patterns():
        for parts in itertools.islice(phrasebook.every_way(pattern), 0, None, 2):
            english = grammar.fill(pattern.english, parts, "en")
            hindi = grammar.fill(pattern.hindi, parts, "hi")
            yield phrasebook.styled(english, hindi, pattern.sentence)


def generate(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pairs = fillings()
    for name, count in (("valid", VALID), ("train", PAIRS)):
        english, hindi = (folder / f"{name}.{side}" for side in ("en", "hi"))
        with english.open("w", encoding="utf-8") as one:
            with hindi.open("w", encoding="utf-8") as other:
                for source, target in itertools.islice(pairs, count):
                    one.write(source + "\n")
                    other.write(target + "\n")


def settings(folder: Path) -> Config:
    return experiments.parse("multi30k", folder)
