"""What may be wrong with a translation: names of warnings, and when to give them."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from operator import eq

LOOP = "loop"
TRUNCATED = "truncated"
UNKNOWN_SCRIPT = "unknown script"
PLACEHOLDER = "placeholder"
TAG = "tag"

COPIES = 3
"""What a loop says so often, one behind another; a source may, too."""

LETTERS = 3
"""The least that is written again; digits, dots and “www” repeat by right."""

PERIOD = 32
"""The most tokens of what is written again."""

_BYTE = re.compile("<0x[0-9A-F]{2}>")

SHARE = 0.25
"""Of the letters; above it a text is in a script that the model does not know."""


def loop(tokens: Sequence[str], source: Sequence[str]) -> bool:
    """Whether a translation says the same again and again, and its source does not.

    That is at least `COPIES` times in direct succession, and two times more often than
    the source says whatever it repeats most.

    Args:
        tokens: pieces of the translation, as they are written, without EOS.
        source: pieces of the source, likewise.
    """
    copies = repetitions(tokens)
    return copies >= COPIES and copies >= repetitions(source) + 2


def repetitions(tokens: Sequence[str]) -> int:
    """How often a block of up to `PERIOD` tokens follows itself at most; 1 is once.

    Blocks of fewer than `LETTERS` letters do not count; twice as long, they may.
    """
    most = 1
    for period in range(1, min(PERIOD, len(tokens) // 2) + 1):
        again = bytes(map(eq, tokens, tokens[period:]))
        for run in re.finditer(b"(?<!\\x01)\\x01{%d,}+" % period, again):
            block = "".join(tokens[run.start() : run.start() + period])
            if sum(map(str.isalpha, _BYTE.sub("", block))) >= LETTERS:
                most = max(most, 1 + len(run[0]) // period)
    return most


def truncated(log_probs: Sequence[float], limit: int) -> bool:
    """Whether a translation ended because it had to.

    At the limit nothing but EOS is allowed. Where it was the likelier half of all that
    the model had in mind, the translation was at its end anyway.

    Args:
        log_probs: of each token, EOS included.
        limit: the most tokens, EOS included.
    """
    return 0 < limit <= len(log_probs) and log_probs[-1] < math.log(0.5)


def unknown_script(text: str, known: Callable[[str], bool]) -> bool:
    """Whether more than `SHARE` of the letters of a text are not known.

    Args:
        known: whether the tokenizer has a piece for a character, and need not write it
            as bytes. Asked once for each different letter.
    """
    letters = Counter(filter(str.isalpha, text))
    unknown = sum(count for letter, count in letters.items() if not known(letter))
    return unknown > SHARE * letters.total()
