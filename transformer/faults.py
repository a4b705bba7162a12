"""What may be wrong with a sentence pair by itself, a question each."""

import re
from collections import Counter
from collections.abc import Sequence
from html.entities import html5
from typing import NamedTuple

import numpy as np
from ftfy.badness import is_bad

from transformer import marks
from transformer.alphabets import foreign
from transformer.cleaning import ALONE, Findings, Pair, loose_mark
from transformer.text import normalize

MAX_RATIO = 9
"""Translations differ in length, but not by more than this many times."""

FREE_CHARACTERS = 20
"""Ratios of short sentences say nothing."""

_LOST = re.compile("[\ufffd\ud800-\udfff]")
"""What stands for letters that are gone: U+FFFD, and halves of surrogate pairs."""

_MISREAD = re.compile("[\x80-\u052f\u2000-\u27ff\ufb00-\uffff]")
"""What one-byte encodings make of others; most scripts have nothing of it."""

_ENTITY = re.compile(r"&(#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)")
_ELEMENT = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:[\s/][^<>]*)?>|<!--")
_GROUPED = re.compile(
    r"(?<![\d.,])(?:\d{1,3}(?:[.,'’٬ ]\d{3})+|\d{1,2}(?:,\d{2})+,\d{3})(?!\d)"
)
_NUMBER = re.compile(r"\d{1,18}")


class Candidate(NamedTuple):
    """A sentence pair as it was read, and as normalised; and its languages."""

    raw: Pair
    texts: Pair
    languages: Pair


def empty(pair: Candidate) -> bool:
    """A side has no text."""
    return not all(pair.texts)


def identical(pair: Candidate) -> bool:
    """Both sides are the same."""
    source, target = pair.texts
    return source == target


def ratio(pair: Candidate) -> bool:
    """A side has many times the characters of the other."""
    short, long = sorted(map(len, pair.texts))
    return long > FREE_CHARACTERS and long > MAX_RATIO * short


def encoding(pair: Candidate) -> bool:
    """Letters were lost (U+FFFD), or read in a wrong encoding, as in “fÃ¼r”.

    Asked of the raw text, as some of what wrong encodings leave is no text.
    """
    return any(map(_garbled, pair.raw))


def _garbled(text: str) -> bool:
    if text.isascii():
        return False
    if _LOST.search(text):
        return True
    return bool(_MISREAD.search(text)) and is_bad(text)


def script(pair: Candidate) -> bool:
    """Most letters of a side are of no script of its language."""
    return any(map(foreign, pair.texts, pair.languages))


def markup(pair: Candidate) -> bool:
    """There are HTML entities or elements."""
    return any(map(_marked, pair.texts))


def _marked(text: str) -> bool:
    if "<" in text and _ELEMENT.search(text):
        return True
    return "&" in text and any(
        name[0] == "#" or name in html5 for name in _ENTITY.findall(text)
    )


def numbers(pair: Candidate) -> bool:
    """The sides do not have the same numbers in digits, of whatever script."""
    if not any(map(_NUMBER.search, pair.texts)):
        return False
    source, target = map(_numbers, pair.texts)
    return source != target


def _numbers(text: str) -> Counter[int]:
    """1,00,000 and 100.000 and १००००० are one number; 2.5 and 2,5 are two."""
    text = _GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    return Counter(map(int, _NUMBER.findall(text)))


RULES = {
    "empty": empty,
    "identical": identical,
    "ratio": ratio,
    "encoding": encoding,
    "script": script,
    "markup": markup,
    "numbers": numbers,
}
"""The rules of `cleaning.ALONE`."""


def inspect(chunk: Sequence[Pair], languages: Pair) -> Findings:
    """What raw pairs tell by themselves."""
    rows = [_findings(raw, languages) for raw in chunk]
    broken, exact, source, target = zip(*rows, strict=True)
    sides = (np.array(column, np.uint64) for column in (exact, source, target))
    return Findings(np.array(broken, np.uint16), *sides)


def _findings(raw: Pair, languages: Pair) -> tuple[int, int, int, int]:
    source, target = texts = normalize(raw[0]), normalize(raw[1])
    pair = Candidate(raw, texts, languages)
    broken = sum(1 << bit for bit, rule in enumerate(ALONE) if RULES[rule](pair))
    one, other = map(loose_mark, texts, languages)
    return broken, marks.mark("\t".join((*languages, source, target))), one, other
