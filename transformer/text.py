"""Text before tokens: one normal form, and long text in pieces that fit the model."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2581\s]+")
"""Controls, every kind of white space, and the mark SentencePiece uses for a space."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")

_SENTENCE_END = re.compile(r"(?<=[.!?।॥…])\s+|(?<=[。！？])\s*")

_WORD = re.compile(r"\S+\s*|\s+")

_UNSPACED = re.compile(
    "[\u3000-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff00-\uff9f\U00020000-\U0003ffff]"
)
"""Chinese and Japanese: characters between which no space is written."""


def normalize(text: str) -> str:
    """NFC, one space between words, none around them, no control characters.

    What tokenizers are trained on and fed with; `decode(encode(text))` returns it.
    Half a surrogate pair, which no file can hold, becomes U+FFFD.
    """
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return unicodedata.normalize("NFC", _BLANK.sub(" ", text).strip())


def split(text: str, limit: int, size: Callable[[str], int]) -> list[str]:
    """Cuts `text` into parts of at most `limit` in `size`, and loses nothing.

    Cuts between sentences if that is enough, else between words, else within one.
    A single character that exceeds the limit stays whole. Blanks stay at the end of
    the part before them, so that the parts end to end are `text`.
    """
    return list(_pack(text, limit, size, (_sentences, _WORD.findall, list)))


def rejoin(parts: Sequence[str], translations: Sequence[str]) -> str:
    """The translation of a text from those of the parts it was `split` into.

    Between two of them is what was between the parts. Only where a language written
    with spaces meets one without, what stood there says nothing: then it is what the
    language of the translations demands.
    """
    joined, before = "", ""
    for part, translation in zip(parts, translations, strict=True):
        if joined and translation:
            joined += _glue(before, part, joined, translation)
        joined, before = joined + translation, part
    return joined


def _glue(before: str, after: str, left: str, right: str) -> str:
    blank = " " if before[-1:].isspace() else ""
    unspaced = _unspaced(left, right)
    if unspaced == _unspaced(before.rstrip(), after):
        return blank
    return "" if unspaced else " "


def _unspaced(left: str, right: str) -> bool:
    """Whether no space is written between two texts."""
    return _UNSPACED.search(left[-1:] + right[:1]) is not None


Cutter = Callable[[str], list[str]]


def _sentences(text: str) -> list[str]:
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    cuts = zip([0, *ends], [*ends, len(text)], strict=True)
    return [text[begin:end] for begin, end in cuts if begin < end]


def _pack(
    text: str, limit: int, size: Callable[[str], int], cutters: tuple[Cutter, ...]
) -> Iterator[str]:
    """Joins as many of the first cutter's parts as fit; cuts finer what does not."""
    if not cutters or size(text) <= limit:
        yield text
        return
    fitting: list[str] = []
    used = 0
    for part in cutters[0](text):
        cost = size(part)
        if fitting and used + cost > limit:
            yield "".join(fitting)
            fitting, used = [], 0
        if cost > limit:
            yield from _pack(part, limit, size, cutters[1:])
        else:
            fitting.append(part)
            used += cost
    if fitting:
        yield "".join(fitting)
