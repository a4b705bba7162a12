"""A line of text as the parts that are translated, and back.

raw → layout: what is translated, and blanks that stay as they are
    → markup: without tags, which come back by word alignment
    → parts: sentences, or less where one is too long for the model
"""

import math
import re
from bisect import bisect, bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import NamedTuple

from transformer import alignments, checks, links, markup, placing, spans, text
from transformer.alignments import Alignment
from transformer.parts import Outcome
from transformer.placing import Marked
from transformer.spans import Span
from transformer.tasks import Found
from transformer.text import Layout

_MASK = "\uf8ff"
"""Of private use; where a text has it, its spans are not hidden."""


class Translation(NamedTuple):
    """One translation of one text."""

    text: str
    score: float
    """Log-probability, divided as the search says; the mean over parts of long text."""
    tokens: tuple[str, ...]
    """As the model wrote them, each part of a text with EOS, `</s>`, at its end; none
    where there was nothing to translate."""
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
        """The geometric mean of the tokens' probabilities; 0 if there was no way."""
        if checks.IMPOSSIBLE in self.warnings:
            return 0.0
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


class Part(NamedTuple):
    """What was made of a part."""

    outcome: Outcome
    links: Sequence[Alignment | None]
    """Which words belong together, for as many of the translations as it is known."""

    def found(self, rank: int) -> Found:
        """The translation of this rank, or the last there is."""
        return self.outcome.best[min(rank, len(self.outcome.best) - 1)]

    def linked(self, rank: int) -> Alignment | None:
        rank = min(rank, len(self.outcome.best) - 1)
        return self.links[rank] if rank < len(self.links) else None


class Version(NamedTuple):
    """One translation of a segment, without tags."""

    segment: Segment
    plain: str
    pairs: Alignment

    @property
    def text(self) -> str:
        """With the tags of the source."""
        marked = self.segment.marked
        if not marked.marks:
            return self.plain
        places = links.by_words(marked.plain, self.plain, self.pairs)
        source, (plain, hidden) = _masked(marked.plain)[0], _masked(self.plain)
        restored = placing.restore(plain, marked._replace(plain=source), places)
        letters = iter(hidden)
        return re.sub(_MASK, lambda _: next(letters), restored) if hidden else restored


def _masked(plain: str) -> tuple[str, str]:
    """A text with its spans hidden, that no tag may come into them, and what is hidden.

    It stays as long as it was.
    """
    hidden = () if _MASK in plain else spans.find(plain)
    letters = list(plain)
    for span in hidden:
        letters[span.begin : span.end] = _MASK * len(span.text)
    return "".join(letters), "".join(span.text for span in hidden)


def parse(raw: str, limit: int, size: Callable[[str], int]) -> Line:
    """Cuts a text into parts of at most `limit` in `size`, but for spans above it."""
    layout = _outside_tags(raw, text.layout(raw))
    return Line(layout, tuple(_segment(raw, limit, size) for raw in layout.texts))


def _outside_tags(raw: str, layout: Layout) -> Layout:
    """Without the blanks that stand inside tags."""
    inside = [(tag.begin, tag.end) for tag in markup.find(raw)]
    if not inside:
        return layout
    gaps, texts, at = [layout.gaps[0]], [], len(layout.gaps[0])
    for part, gap in zip(layout.texts, layout.gaps[1:], strict=True):
        tag = bisect(inside, (at,)) - 1
        if texts and tag >= 0 and at < inside[tag][1]:
            texts[-1] += gaps.pop() + part
        else:
            texts.append(part)
        gaps.append(gap)
        at += len(part) + len(gap)
    return Layout(tuple(gaps), tuple(texts))


def _segment(raw: str, limit: int, size: Callable[[str], int]) -> Segment:
    marked = markup.strip(raw) if "<" in raw else Marked(text.normalize(raw), ())
    return Segment(raw, marked, tuple(_split(marked.plain, limit, size)))


def _split(plain: str, limit: int, size: Callable[[str], int]) -> list[str]:
    """Parts as of `text.split`, but spans that it would cut are parts of their own."""
    if not plain:
        return []
    parts = text.split(plain, limit, size)
    cuts = list(accumulate(map(len, parts)))[:-1]
    cut = [span for span in spans.find(plain) if _within(cuts, span)] if cuts else []
    if not cut:
        return parts
    parts, last = [], 0
    for span in cut:
        end = span.end + len(plain[span.end :]) - len(plain[span.end :].lstrip())
        parts += [
            *_split(plain[last : span.begin], limit, size),
            plain[span.begin : end],
        ]
        last = end
    return parts + _split(plain[last:], limit, size)


def _within(cuts: list[int], span: Span) -> bool:
    return bisect(cuts, span.begin) < bisect_left(cuts, span.end)


def translation(line: Line, parts: Sequence[Part]) -> Translation:
    """The translation of a text from those of its parts."""
    count = max((len(part.outcome.best) for part in parts), default=1)
    versions = [list(_versions(line, parts, rank)) for rank in range(count)]
    texts = [[version.text for version in of_rank] for of_rank in versions]
    best, *others = (_ranked(line, parts, rank, texts[rank]) for rank in range(count))
    warnings = [warning for part in parts for warning in part.outcome.warnings]
    raw = [segment.raw for segment in line.segments]
    if not all(map(markup.kept, raw, texts[0])):
        warnings.append(checks.TAG)
    return best._replace(
        alternatives=tuple(others),
        warnings=tuple(dict.fromkeys(warnings)),
        alignment=_alignment(versions[0]),
    )


def _versions(line: Line, parts: Sequence[Part], rank: int) -> Iterator[Version]:
    """The translations of the segments."""
    left = iter(parts)
    for segment in line.segments:
        own = list(islice(left, len(segment.parts)))
        texts = [part.found(rank).text for part in own]
        pairs = alignments.joined(
            segment.parts, texts, [part.linked(rank) for part in own]
        )
        yield Version(segment, text.rejoin(segment.parts, texts), pairs)


def _ranked(
    line: Line, parts: Sequence[Part], rank: int, texts: Sequence[str]
) -> Translation:
    found = [part.found(rank) for part in parts]
    return Translation(
        text=line.layout.filled(texts),
        score=sum(one.score for one in found) / max(1, len(found)),
        tokens=tuple(chain.from_iterable(one.tokens for one in found)),
        log_probs=tuple(chain.from_iterable(one.log_probs for one in found)),
    )


def _alignment(versions: Sequence[Version]) -> Alignment:
    """Between the words of the whole text, without tags."""
    found: Alignment = []
    i = j = 0
    for segment, plain, pairs in versions:
        found += [(i + a, j + b) for a, b in pairs]
        i, j = i + len(segment.marked.plain.split()), j + len(plain.split())
    return found
