"""Text before tokens: one normal form, its layout, and parts that fit the model."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, takewhile
from typing import NamedTuple

from transformer.sentences import sentences

_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2581\s]++")
"""Controls, every kind of white space, and the mark SentencePiece uses for a space."""

_BREAK = re.compile(r"[\t-\r\x1c-\x1e\x85\u2028\u2029]")
"""Ends of lines and tabs."""

_COLUMN = 3
"""So many blanks, and more, set columns apart."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")

_CLAUSE = re.compile(r"[.!?…;:,،؛—–][\"'’”»)\]]*+\s++|[、，；：。！？।॥]\s*+")
"""Behind these a sentence that is too long is cut best."""

UNSPACED = (
    "\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff00-\uff9f\U00020000-\U0003ffff"
)
"""Chinese and Japanese, as ranges of a pattern: no space is written between them."""

_NO_SPACE = re.compile(f"[{UNSPACED}]")

_FILL = 0.9
"""Of the limit is aimed at, so that hardly a part has to be divided once more."""

_JOINER = "\u200d"
_CONTINUING = _JOINER + "".join(map(chr, range(0x1F3FB, 0x1F400)))
"""What makes one emoji of several: zero-width joiner, colours of skin."""

_LONGEST = 32
"""Characters and marks that are read as one; who writes more is not served."""


def normalize(text: str) -> str:
    """NFC, one space between words, none around them, no control characters.

    What tokenizers are trained on and fed with; `decode(encode(text))` returns it.
    Half a surrogate pair, which no file can hold, becomes U+FFFD.
    """
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return unicodedata.normalize("NFC", _BLANK.sub(" ", text).strip())


class Layout(NamedTuple):
    """A text as what is translated and what stays as it is, by turns."""

    gaps: tuple[str, ...]
    """Before the first text, between each two, and behind the last."""
    texts: tuple[str, ...]

    def filled(self, texts: Sequence[str]) -> str:
        """The whole with other texts; with its own it is what it was made from."""
        pairs = zip(self.gaps, [*texts, ""], strict=True)
        return "".join(chain.from_iterable(pairs))


def layout(raw: str) -> Layout:
    """Separates the texts to translate from the blanks that are kept as they are.

    Kept are ends of lines, tabs, columns of blanks, what stands before and behind all,
    and whatever sets sentences apart unless that is a single space. Other blanks belong
    to the text around them, which translation may reorder.
    """
    gaps, texts, begin = [""], [], 0
    for start, end in _gaps(raw):
        if begin < start:
            texts.append(raw[begin:start])
            gaps.append(raw[start:end])
        else:
            gaps[-1] += raw[start:end]
        begin = end
    if begin < len(raw):
        texts.append(raw[begin:])
        gaps.append("")
    return Layout(tuple(gaps), tuple(texts))


def _gaps(raw: str) -> Iterator[tuple[int, int]]:
    """Where blanks stand that are kept, from left to right."""
    line = 0
    for found in _BLANK.finditer(raw):
        start, end = found.span()
        if start == 0:
            yield start, end
            line = end
        elif end == len(raw) or end - start >= _COLUMN or _BREAK.search(found[0]):
            yield from _between_sentences(raw, line, start)
            yield start, end
            line = end
    yield from _between_sentences(raw, line, len(raw))


def _between_sentences(raw: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    for sentence in sentences(raw[begin:end]):
        begin += len(sentence)
        start = begin - len(sentence) + len(sentence.rstrip())
        if start < begin < end and raw[start:begin] != " ":
            yield start, begin


def split(text: str, limit: int, size: Callable[[str], int]) -> list[str]:
    """Cuts `text` into sentences, and those above `limit` in `size` further.

    A sentence is cut into parts of like size: behind a clause if one ends in the right
    place, else between words, and within a word if that alone is too long. A single
    character that exceeds the limit stays whole. Blanks stay at the end of the part
    before them, so that the parts end to end are `text`.
    """
    return [part for one in sentences(text) for part in _fitting(one, limit, size)]


def _fitting(text: str, limit: int, size: Callable[[str], int]) -> Iterator[str]:
    used = size(text)
    if used <= limit or len(text.rstrip()) < 2:
        yield text
        return
    count = max(2, math.ceil(used / max(limit, 1) / _FILL))
    for part in _divided(text, count, within_words=not _spaced(text)):
        yield from _fitting(part, limit, size)


def _divided(text: str, count: int, *, within_words: bool) -> Iterator[str]:
    """So many parts of like size, or fewer if the text has not that many."""
    divisible = len(text.rstrip()) > 1 if within_words else _spaced(text)
    if count < 2 or not divisible:
        yield text
        return
    cut = _cut(text, len(text) * (count // 2) // count)
    yield from _divided(text[:cut], count // 2, within_words=within_words)
    yield from _divided(text[cut:], count - count // 2, within_words=within_words)


def _spaced(text: str) -> bool:
    return re.search(r"\s\S", text) is not None


def _cut(text: str, target: int) -> int:
    """The best place to cut a text of two characters or more, near `target` if so."""
    last = len(text.rstrip()) - 1  # behind it would be nothing but blanks
    target = min(max(target, 1), last)
    clauses = takewhile(
        lambda match: match.start() < target + target // 2,
        _CLAUSE.finditer(text, target - target // 2),
    )
    for found in clauses, re.finditer(r"\s++", text):
        ends = [match.end() for match in found if match.end() <= last]
        if ends:
            return min(ends, key=lambda end: abs(end - target))
    steps = ((target - step, target + step) for step in range(_LONGEST))
    near = (at for at in chain.from_iterable(steps) if 0 < at <= last)
    return next((at for at in near if not _inside(text, at)), target)


def _inside(text: str, at: int) -> bool:
    """Whether what is read as one character goes on at a place."""
    mark = unicodedata.category(text[at])[0] == "M" or text[at] in _CONTINUING
    return mark or text[at - 1] == _JOINER


def rejoin(parts: Sequence[str], translations: Sequence[str]) -> str:
    """The translation of a text from those of the parts it was `split` into.

    Between two of them is what was between the parts. Only where a language written
    with spaces meets one without, what stood there says nothing: then it is what the
    language of the translations demands.
    """
    glue = _glues(parts, translations)
    return "".join(chain.from_iterable(zip(glue, translations, strict=True)))


def _glues(parts: Sequence[str], translations: Sequence[str]) -> list[str]:
    """What comes before each translation."""
    glues, before, left = [], "", ""
    for part, translation in zip(parts, translations, strict=True):
        between = left and translation
        glues.append(_glue(before, part, left, translation) if between else "")
        left, before = translation or left, part
    return glues


def _glue(before: str, after: str, left: str, right: str) -> str:
    blank = " " if before[-1:].isspace() else ""
    unspaced = _unspaced(left, right)
    if unspaced == _unspaced(before.rstrip(), after):
        return blank
    return "" if unspaced else " "


def _unspaced(left: str, right: str) -> bool:
    """Whether no space is written between two texts."""
    return _NO_SPACE.search(left[-1:] + right[:1]) is not None
