"""What the user should know of the data before hours are spent on it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from transformer import batches
from transformer.cleaning import Pair, Report
from transformer.store import Store
from transformer.tokenizer import Tokenizer, Tokenizers

STEP = 8
"""Tokens from one line of the length histogram to the next."""

WIDTH = 60
"""Characters of an example, and of the longest bar."""


class Part(NamedTuple):
    """What one of several corpora comes to."""

    corpus: str
    read: int
    kept: int
    share: float
    """Of the pairs of an epoch."""


@dataclass
class DataReport:
    """Counts and examples, filled while the data is prepared."""

    cleaning: Report = field(default_factory=Report)
    corpora: list[Part] = field(default_factory=list)
    overlap: int = 0
    """Training pairs whose source sentence is in the validation set."""
    overlap_example: str = ""
    validation: int = 0
    tokens: tuple[int, int] = (0, 0)
    lengths: Counter[int] = field(default_factory=Counter)
    """Kept pairs by the tokens of their longer side, rounded down to `STEP`s."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Validation characters that the vocabulary can only spell as bytes."""
    vocabulary: tuple[int, int] = (0, 0)

    def overlaps(self, pair: Pair) -> None:
        self.overlap += 1
        self.overlap_example = self.overlap_example or pair[0]

    def describe(
        self,
        store: Store,
        fitting: Bool[np.ndarray, " n"],
        tokenizers: Tokenizers,
        valid: list[Pair],
    ) -> None:
        """Adds what only the tokens tell."""
        lengths = batches.lengths(store)[fitting]
        source, target = lengths.sum(axis=0).tolist()
        self.tokens = source, target
        self.lengths = Counter((lengths.max(axis=1) // STEP * STEP).tolist())
        self.vocabulary = tokenizers.source.size, tokenizers.target.size
        self.validation = len(valid)
        self.unknown = _unknown(tokenizers, valid)

    def render(self) -> RenderableType:
        """For a terminal."""
        parts = _corpora(self), _rules(self), _histogram(self.lengths)
        return Group(*_lines(self), *parts)


def _unknown(tokenizers: Tokenizers, pairs: Iterable[Pair]) -> Counter[str]:
    counts = Counter()
    for side, texts in zip(tokenizers, zip(*pairs, strict=True), strict=True):
        characters = Counter("".join(texts))
        for char in [c for c in characters if not _spelled(side, c)]:
            counts[char] += characters[char]
    return counts


def _spelled(tokenizer: Tokenizer, char: str) -> bool:
    """Whether a character has a piece, so that no bytes are needed."""
    return not any(map(tokenizer.is_byte, tokenizer.encode(char)))


def _lines(report: DataReport) -> list[str]:
    counts = report.cleaning
    source, target = report.tokens
    lines = [
        f"Training pairs: [b]{counts.read:,}[/b] read, [b]{counts.kept:,}[/b] kept "
        f"({source:,} + {target:,} tokens)",
        f"Vocabulary: {report.vocabulary[0]:,} source and {report.vocabulary[1]:,} "
        "target pieces",
        f"Validation pairs: {report.validation:,}",
    ]
    if report.overlap:
        lines.append(
            f"[bold red]{report.overlap:,} training pairs have a source sentence of "
            f"the validation set[/], e.g. “{_short(report.overlap_example)}”: "
            "validation scores will flatter."
        )
    if report.unknown:
        sample = " ".join(char for char, _ in report.unknown.most_common(20))
        lines.append(
            f"Validation characters spelled as bytes: {report.unknown.total():,} "
            f"({escape(sample)})"
        )
    return lines


def _corpora(report: DataReport) -> RenderableType:
    table = Table("corpus", "read", "kept", "share of an epoch", box=None)
    for name, read, kept, share in report.corpora:
        table.add_row(escape(name), f"{read:,}", f"{kept:,}", f"{share:.1%}")
    return table if len(report.corpora) > 1 else ""


def _rules(report: DataReport) -> RenderableType:
    table = Table("dropped because", "pairs", "for example", box=None)
    for rule, count in report.cleaning.dropped.most_common():
        source, target = report.cleaning.examples[rule]
        table.add_row(rule, f"{count:,}", f"“{_short(source)}” – “{_short(target)}”")
    return table if report.cleaning.dropped else ""


def _histogram(lengths: Counter[int]) -> RenderableType:
    table = Table("tokens", "pairs", "", box=None)
    longest = max(lengths.values(), default=1)
    for start, count in sorted(lengths.items()):
        bar = "█" * round(WIDTH * count / longest)
        table.add_row(f"{start}–{start + STEP - 1}", f"{count:,}", bar)
    return table


def _short(text: str) -> str:
    return escape(text if len(text) <= WIDTH else text[: WIDTH - 1] + "…")
