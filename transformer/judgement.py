"""A translated file against its reference, and against another translation of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from transformer import corpora, metrics
from transformer.errors import InputError


class Judge(NamedTuple):
    """What translations are held against, line by line."""

    references: list[str]
    others: list[str] | None
    """What another system made of the same source."""

    def report(self, texts: Sequence[str]) -> list[str]:
        """A line each for BLEU, chrF and TER, with signatures.

        They are what the `sacrebleu` command says of the same files.
        """
        if self.others is None:
            scores = metrics.bleu, metrics.chrf, metrics.ter
            return [str(score(texts, self.references)) for score in scores]
        compared = metrics.compare(texts, self.others, self.references)
        return [str(comparison) for comparison in compared]


def read(source: Path, reference: Path, other: Path | None) -> Judge:
    """Reads what a translation of `source` will be held against, before there is one.

    Raises:
        InputError: if a file cannot be read, has no line, or not as many as `source`.
    """
    size = sum(1 for _ in corpora.lines(source))
    if not size:
        raise InputError(f"{source} has no line, so that there is nothing to score.")
    others = None if other is None else _aligned(other, source, size)
    return Judge(_aligned(reference, source, size), others)


def _aligned(path: Path, source: Path, size: int) -> list[str]:
    found = list(corpora.lines(path))
    if len(found) != size:
        raise InputError(
            f"{path} has {len(found)} lines and {source} has {size}. They must be the "
            "same sentences, line by line."
        )
    return found
