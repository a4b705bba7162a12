"""Phrases in a text and in tokens: words that must or must not stand in a translation.

A phrase stands in a text as it is written, capitals included, and as whole words: not
`Hund` in `Hunde` or `Windhund`, but in `Hund-`. In scripts that write no blanks between
words it stands wherever its characters do.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from transformer.errors import InputError
from transformer.symbols import BOS, EOS, PAD
from transformer.text import UNSPACED, normalize
from transformer.tokenizer import Tokenizer

_UNSPACED = re.compile(f"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff{UNSPACED}]")
"""Thai, Lao, Burmese, Khmer, Chinese and Japanese."""

_JOINERS = "_\u200c\u200d"

_ANCHORS = "(.-0"
"""Of other scripts than most phrases, so that pieces end after them."""


def contains(text: str, phrase: str) -> bool:
    """Whether `phrase` stands in `text`, both normalised first."""
    text, phrase = normalize(text), normalize(phrase)
    begins = (match.start() for match in re.finditer(_anywhere(phrase), text))
    return any(alone(text, begin, begin + len(phrase)) for begin in begins)


def _anywhere(phrase: str) -> str:
    return f"(?={re.escape(phrase)})"  # matches can overlap


def alone(text: str, begin: int, end: int) -> bool:
    """Whether no word of `text[begin:end]` goes on before or after it."""
    return not (
        _joined(text[begin - 1 : begin], text[begin : begin + 1])
        or _joined(text[end - 1 : end], text[end : end + 1])
    )


def _joined(left: str, right: str) -> bool:
    """Whether two neighbours, or nothing, are characters of one word."""
    return _of_word(left) and _of_word(right)


def _of_word(character: str) -> bool:
    """Letters, marks and numbers; of scripts that write blanks."""
    if not character or _UNSPACED.match(character):
        return False
    return unicodedata.category(character)[0] in "LMN" or character in _JOINERS


def whole(phrase: str) -> bool:
    """Whether a word must begin after `phrase` for it to stand there."""
    return _of_word(normalize(phrase)[-1:])


def begins(tokenizer: Tokenizer) -> Bool[np.ndarray, " V"]:
    """Which tokens do not go on with the word before them.

    Bytes of characters beyond ASCII are taken to go on with it.
    """
    return np.array([_begins(tokenizer, id) for id in range(tokenizer.size)])


def _begins(tokenizer: Tokenizer, id: int) -> bool:
    if tokenizer.is_byte(id):
        byte = _surface(tokenizer, id)
        return byte.isascii() and not _of_word(byte.decode())
    return not _of_word(tokenizer.piece(id)[:1])


def required(tokenizer: Tokenizer, phrase: str) -> list[int]:
    """The tokens by which a phrase comes into a translation.

    With ▁ before it, where its script writes blanks.

    Raises:
        InputError: if there is nothing but blanks in `phrase`.
    """
    with_blank, without = segmentations(tokenizer, phrase)
    return without if _UNSPACED.match(normalize(phrase)) else with_blank


def segmentations(tokenizer: Tokenizer, phrase: str) -> tuple[list[int], list[int]]:
    """The likely tokens of a phrase after a blank, and after anything else.

    The second kind is also how other words go on: to ban `in` by it bans `ber|in`.

    Raises:
        InputError: if there is nothing but blanks in `phrase`.
    """
    phrase = _checked(phrase)
    with_blank = tokenizer.encode(phrase)
    for anchor in _ANCHORS:
        before, both = tokenizer.encode(anchor), tokenizer.encode(anchor + phrase)
        if both[: len(before)] == before:
            return with_blank, both[len(before) :]
    return with_blank, with_blank


def found(
    tokenizer: Tokenizer, ids: Sequence[int], phrase: str
) -> list[tuple[int, ...]]:
    """The tokens of `ids` that write `phrase`, each time it stands there.

    To ban what a search wrote in spite of a ban on the likely tokens. Where the first
    of them could go on with a word, the token before it belongs to them, BOS at the
    start; so a ban on them does not touch that word.
    """
    surfaces = [_surface(tokenizer, id) for id in ids]
    ends = np.cumsum([0, *map(len, surfaces)])
    return [
        _covering(tokenizer, ids, ends, begin, end)
        for begin, end in _places(b"".join(surfaces), normalize(phrase))
    ]


def _places(written: bytes, phrase: str) -> Iterator[tuple[int, int]]:
    """From which byte to which `phrase` stands there, as whole words."""
    words = [re.escape(word.encode()) for word in phrase.split(" ")]
    for match in re.finditer(b" +".join(words), written):
        left = written[: match.start()].decode(errors="ignore")
        right = written[match.end() :].decode(errors="ignore")
        if alone(left + phrase + right, len(left), len(left + phrase)):
            yield match.span()


def _covering(
    tokenizer: Tokenizer, ids: Sequence[int], ends: np.ndarray, begin: int, end: int
) -> tuple[int, ...]:
    first = int(np.searchsorted(ends, begin, side="right")) - 1
    beyond = int(np.searchsorted(ends, end))
    run = tuple(ids[first:beyond])
    if _begins(tokenizer, run[0]):
        return run
    return (ids[first - 1] if first else BOS, *run)


def _surface(tokenizer: Tokenizer, id: int) -> bytes:
    """What a token writes."""
    if id in (PAD, BOS, EOS):
        return b""
    piece = tokenizer.piece(id)
    if tokenizer.is_byte(id):
        return bytes([int(piece[3:5], base=16)])
    return piece.replace("▁", " ").encode()


def spared(tokenizer: Tokenizer, phrase: str) -> Bool[np.ndarray, " V"]:
    """Tokens that cannot write `phrase`, in whatever order: the last resort of a ban.

    Without them all one character cannot be written, that of `phrase` which costs the
    fewest tokens; nor can what is written byte by byte, as it could be that character.

    Raises:
        InputError: if there is nothing but blanks in `phrase`.
    """
    surfaces = [_surface(tokenizer, id) for id in range(tokenizer.size)]
    pieces = [_decomposed(surface.decode(errors="replace")) for surface in surfaces]
    characters = sorted({*_decomposed(_checked(phrase))} - {" "})
    without = [np.array([c not in piece for piece in pieces]) for c in characters]
    of_bytes = [tokenizer.is_byte(id) for id in range(tokenizer.size)]
    foreign = np.array(of_bytes) & ~np.array([*map(bytes.isascii, surfaces)])
    return max(without, key=np.sum) & ~foreign


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _checked(phrase: str) -> str:
    if normal := normalize(phrase):
        return normal
    raise InputError("An empty phrase can be neither required nor banned.")
