"""Text before tokens: one normal form, and long text in pieces that fit the model."""

import re
import unicodedata
from collections.abc import Callable, Iterator

_BLANK = re.compile(r"[\x00-\x1f\x7f-\x9f\u2581\s]+")
"""Controls, every kind of white space, and the mark SentencePiece uses for a space."""

_SURROGATE = re.compile(r"[\ud800-\udfff]")

_SENTENCE_END = re.compile(r"(?<=[.!?।॥…])\s+|(?<=[。！？])\s*")


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
    A single character that exceeds the limit stays whole.
    """
    return list(_pack(text, limit, size, (_sentences, str.split, list)))


Cutter = Callable[[str], list[str]]


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text) if part]


def _pack(
    text: str, limit: int, size: Callable[[str], int], cutters: tuple[Cutter, ...]
) -> Iterator[str]:
    """Joins as many of the first cutter's parts as fit; cuts finer what does not."""
    if not cutters or size(text) <= limit:
        yield text
        return
    glue = "" if cutters[0] is list else " "
    fitting: list[str] = []
    used = 0
    for part in cutters[0](text):
        cost = size(part)
        if fitting and used + cost > limit:
            yield glue.join(fitting)
            fitting, used = [], 0
        if cost > limit:
            yield from _pack(part, limit, size, cutters[1:])
        else:
            fitting.append(part)
            used += cost
    if fitting:
        yield glue.join(fitting)
