"""Preparing ten million pairs: time, memory, and what a second start takes.

    python -m benchmarks.large --folder large

Writes a corpus once: fillings of the phrasebook's patterns, in written and in plain
form by turns. Prepares it in a process of its own, in a cache beside it, and says what
that took; again, it finds what was worked out before.
"""

import itertools
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import tyro

from transformer import batches, dataset, experiments, phrasebook
from transformer.batches import Plan
from transformer.config import Config
from transformer.phrasebook import grammar

VALID = 1000


def fillings() -> Iterator[tuple[str, str]]:
    """Every second filling of every pattern; what two patterns say comes twice."""
    for pattern in grammar.patterns():
        for parts in itertools.islice(phrasebook.every_way(pattern), 0, None, 2):
            english = grammar.fill(pattern.english, parts, "en")
            hindi = grammar.fill(pattern.hindi, parts, "hi")
            yield phrasebook.styled(english, hindi, pattern.sentence)


def generate(folder: Path, pairs: int) -> None:
    """Writes valid.en, valid.hi, train.en and train.hi."""
    folder.mkdir(parents=True)
    found = fillings()
    for name, count in (("valid", VALID), ("train", pairs)):
        english, hindi = (folder / f"{name}.{side}" for side in ("en", "hi"))
        with (
            english.open("w", encoding="utf-8") as one,
            hindi.open("w", encoding="utf-8") as other,
        ):
            for source, target in itertools.islice(found, count):
                one.write(source + "\n")
                other.write(target + "\n")


def settings(folder: Path, tokens: int) -> Config:
    """The base experiment on this corpus."""
    cfg = experiments.base()
    train, valid = (str(folder / name) for name in ("train", "valid"))
    data = replace(cfg.data, train=(train,), valid=(valid,), target="hi")
    return replace(cfg, data=replace(data, tokens=tokens))


def peak() -> tuple[float, float]:
    """GB that this process had in memory at most, and the largest of its workers."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return own / 1e6, worker / 1e6


def main(folder: Path, pairs: int = 10_000_000, tokens: int = 8192) -> None:
    """Prepares, plans, and says what it took.

    Args:
        folder: of the corpus, and of the cache.
        pairs: to write if there is no corpus yet.
        tokens: of a batch; another number than before makes no difference.
    """
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    if not folder.exists():
        generate(folder, pairs)
    start = time.perf_counter()
    data = dataset.prepare(settings(folder, tokens))
    prepared = time.perf_counter()
    lengths = batches.lengths(data.store)
    shapes = batches.shapes(lengths[data.fitting], tokens)
    plan = Plan(lengths, data.rates, shapes, 1, 0)
    planned = time.perf_counter()
    plan.batch(plan.per_epoch)
    shuffled = time.perf_counter()
    print(data.report.cleaning)
    print(
        f"prepared {prepared - start:.1f} s, planned {planned - prepared:.1f} s, "
        f"next epoch {shuffled - planned:.1f} s, {plan.per_epoch} batches, "
        f"padding {plan.padding():.3f}, peak {peak()} GB"
    )


if __name__ == "__main__":
    tyro.cli(main)
