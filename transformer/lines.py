"""A line of text as the parts that are translated, and back.

raw → layout: what is translated, and blanks that stay as they are
    → markup: without tags, which come back by word alignment
    → parts: sentences, or less where one is too long for the model
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from transformer import alignments, checks, links, markup, text
from transformer.alignments import Alignment
from transformer.markup import Marked
from transformer.parts import Outcome
from transformer.text import Layout


class Translation(NamedTuple):
    """One translation of one text."""

    text: str
    score: float
    """Log-probability, divided as the search says; the mean over parts of long text."""
    tokens: tuple[str, ...]
    """As the model wrote them: each part of a text ends with EOS, `</s>`."""
    log_probs: tuple[float, ...]
    """Of each of the tokens."""
    alternatives: tuple["Translation", ...] = ()
    """The next best ones, if several were asked for."""
    warnings: tuple[str, ...] = ()
    """Why not to trust it: see `checks` for their names."""
    alignment: Alignment | None = None
    """Which words of source and translation, counted from 0, belong together; without
    tags on either side."""

    @property
    def confidence(self) -> float:
        """The geometric mean of the tokens' probabilities."""
        return math.exp(sum(self.log_probs) / max(1, len(self.log_probs)))


class Segment(NamedTuple):
    """A run of sentences between blanks that stay."""

    raw: str
    marked: Marked
    parts: tuple[str, ...]
    """Together they are `marked.plain`."""


class Line(NamedTuple):
    """One text."""

    layout: Layout
    segments: tuple[Segment, ...]

    @property
    def parts(self) -> list[str]:
        return [part for segment in self.segments for part in segment.parts]

    @property
    def tagged(self) -> bool:
        return any(segment.marked.marks for segment in self.segments)


Part = tuple[Outcome, Alignment | None]
"""What was made of a part, and which of its words belong together, if that is known."""


def parse(raw: str, limit: int, size: Callable[[str], int]) -> Line:
    """Cuts a text into parts of at most `limit` in `size`."""
    layout = text.layout(raw)
    return Line(layout, tuple(_segment(raw, limit, size) for raw in layout.texts))


def _segment(raw: str, limit: int, size: Callable[[str], int]) -> Segment:
    marked = markup.strip(raw) if "<" in raw else Marked(text.normalize(raw), ())
    parts = text.split(marked.plain, limit, size) if marked.plain else []
    return Segment(raw, marked, tuple(parts))


def translation(line: Line, parts: Sequence[Part]) -> Translation:
    """The translation of a text from those of its parts, each best first."""
    if not parts:
        return Translation(line.layout.filled([""] * len(line.segments)), 0.0, (), ())
    ranks = range(min(len(outcome.best) for outcome, _ in parts))
    best, *others = (_ranked(line, parts, rank) for rank in ranks)
    warnings = [warning for outcome, _ in parts for warning in outcome.warnings]
    written = zip(line.segments, _written(line, parts, 0), strict=True)
    if not all(markup.kept(segment.raw, one) for segment, one in written):
        warnings.append(checks.TAG)
    return best._replace(
        alternatives=tuple(others),
        warnings=tuple(dict.fromkeys(warnings)),
        alignment=_alignment(line, parts),
    )


def _ranked(line: Line, parts: Sequence[Part], rank: int) -> Translation:
    found = [outcome.best[rank] for outcome, _ in parts]
    return Translation(
        text=line.layout.filled(_written(line, parts, rank)),
        score=sum(one.score for one in found) / len(found),
        tokens=sum((one.tokens for one in found), ()),
        log_probs=sum((one.log_probs for one in found), ()),
    )


def _each(
    line: Line, parts: Sequence[Part], rank: int
) -> Iterator[tuple[Segment, str, Alignment]]:
    """The segments, their translations without tags, and how the two are aligned."""
    left = iter(parts)
    for segment in line.segments:
        own = list(islice(left, len(segment.parts)))
        texts = [outcome.best[rank].text for outcome, _ in own]
        pairs = alignments.joined(segment.parts, texts, [links for _, links in own])
        yield segment, text.rejoin(segment.parts, texts), pairs


def _written(line: Line, parts: Sequence[Part], rank: int) -> list[str]:
    """The translation of each segment, with the tags of the source."""
    return [
        _with_tags(segment, plain, pairs)
        for segment, plain, pairs in _each(line, parts, rank)
    ]


def _with_tags(segment: Segment, plain: str, pairs: Alignment) -> str:
    if not segment.marked.marks:
        return plain
    places = links.by_words(segment.marked.plain, plain, pairs)
    return markup.restore(plain, segment.marked, places)


def _alignment(line: Line, parts: Sequence[Part]) -> Alignment:
    """Between the words of the whole text, without tags."""
    found: Alignment = []
    i = j = 0
    for segment, plain, pairs in _each(line, parts, 0):
        found += [(i + a, j + b) for a, b in pairs]
        i, j = i + len(segment.marked.plain.split()), j + len(plain.split())
    return found
