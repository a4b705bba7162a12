"""A line of text as the parts that are translated, and back.

raw → layout: what is translated, and blanks that stay as they are
    → markup: without tags, which come back by word alignment
    → parts: sentences, or less where one is too long for the model
"""

import math
import re
from bisect import bisect, bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, islice
from typing import NamedTuple

from transformer import alignments, checks, links, markup, placing, spans, text
from transformer.alignments import Alignment
from transformer.parts import Outcome
from transformer.placing import Marked
from transformer.spans import Kinds, Span
from transformer.tasks import Found
from transformer.text import Layout


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
    kinds: Kinds
    """Of the spans that come over unchanged."""


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
        """With the tags of the source, and the blanks inside its spans."""
        return _as_written(self._tagged(), self.segment)

    def _tagged(self) -> str:
        marked, kinds = self.segment.marked, self.segment.kinds
        if not marked.marks:
            return self.plain
        places = links.by_words(marked.plain, self.plain, self.pairs)
        mask = _unused(self.segment.raw + self.plain)
        source, _ = _masked(marked.plain, kinds, mask)
        plain, hidden = _masked(self.plain, kinds, mask)
        restored = placing.restore(plain, marked._replace(plain=source), places)
        letters = iter(hidden)
        return re.sub(mask, lambda _: next(letters), restored)


def _unused(texts: str) -> str:
    """A letter of private use that does not occur."""
    return next(one for one in map(chr, range(0xF8FF, 0, -1)) if one not in texts)


def _masked(plain: str, kinds: Kinds, mask: str) -> tuple[str, str]:
    """A text with its spans hidden, that no tag may come into them, and what is hidden.

    It stays as long as it was.
    """
    hidden = spans.find(plain, kinds)
    letters = list(plain)
    for span in hidden:
        letters[span.begin : span.end] = mask * len(span.text)
    return "".join(letters), "".join(span.text for span in hidden)


def _as_written(translation: str, segment: Segment) -> str:
    """With the blanks inside its spans that they had before the text was normalised."""
    if segment.raw == segment.marked.plain:
        return translation
    raws = defaultdict(list)
    for span in _raw_spans(segment.raw, segment.kinds):
        raws[text.normalize(span.text)].append(span.text)
    if all({*some} == {form} for form, some in raws.items()):
        return translation
    left = {form: iter(some) for form, some in raws.items()}
    forms = sorted(raws, key=lambda form: (-len(form), form))  # the whole before a part
    pattern = "|".join(spans.whole_words(form, re.escape(form)) for form in forms)
    return re.sub(pattern, lambda m: next(left[m[0]], m[0]), translation)


def _raw_spans(raw: str, kinds: Kinds) -> Iterator[Span]:
    """The spans of a text, outside tags, that are some in its normal form too."""
    tags = markup.find(raw) if "<" in raw else ()
    edges = [0, *chain.from_iterable((tag.begin, tag.end) for tag in tags), len(raw)]
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        for span in spans.find(raw[begin:end], kinds):
            form = text.normalize(span.text)
            if form == span.text or spans.find(form, kinds)[:1] == (
                Span(0, len(form), form, span.kind),
            ):
                yield span._replace(begin=begin + span.begin, end=begin + span.end)


def parse(
    raw: str, limit: int, size: Callable[[str], int], kinds: Kinds = spans.KINDS
) -> Line:
    """Cuts a text into parts of at most `limit` in `size`, but for spans above it.

    Args:
        kinds: of the spans that come over unchanged.
    """
    layout = _uncut(raw, text.layout(raw), kinds)
    segments = (_segment(part, limit, size, kinds) for part in layout.texts)
    return Line(layout, tuple(segments))


def _uncut(raw: str, layout: Layout, kinds: Kinds) -> Layout:
    """Without the blanks that stand inside tags and spans."""
    if len(layout.texts) < 2:
        return layout
    whole = chain(markup.find(raw), _raw_spans(raw, kinds))
    inside = sorted((one.begin, one.end) for one in whole)
    if not inside:
        return layout
    gaps, texts, at = [layout.gaps[0]], [], len(layout.gaps[0])
    for part, gap in zip(layout.texts, layout.gaps[1:], strict=True):
        before = bisect(inside, (at,)) - 1
        if texts and before >= 0 and at < inside[before][1]:
            texts[-1] += gaps.pop() + part
        else:
            texts.append(part)
        gaps.append(gap)
        at += len(part) + len(gap)
    return Layout(tuple(gaps), tuple(texts))


def _segment(raw: str, limit: int, size: Callable[[str], int], kinds: Kinds) -> Segment:
    marked = markup.strip(raw) if "<" in raw else Marked(text.normalize(raw), ())
    cut = lambda plain: text.split(plain, limit, size)  # noqa: E731
    return Segment(raw, marked, tuple(_split(marked.plain, cut, kinds)), kinds)


def _split(plain: str, cut: Callable[[str], list[str]], kinds: Kinds) -> list[str]:
    """Parts as of `cut`, but spans that it would cut are parts of their own."""
    if not plain:
        return []
    parts = cut(plain)
    cuts = list(accumulate(map(len, parts)))[:-1]
    found = spans.find(plain, kinds) if cuts else ()
    halved = [span for span in found if _within(cuts, span)]
    if not halved:
        return parts
    parts, last = [], 0
    for span in halved:
        end = span.end + len(plain[span.end :]) - len(plain[span.end :].lstrip())
        parts += [
            *_split(plain[last : span.begin], cut, kinds),
            plain[span.begin : end],
        ]
        last = end
    return parts + _split(plain[last:], cut, kinds)


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
