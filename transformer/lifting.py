"""Spans out of a sentence whose translation lost them, and back into another one.

Without them a sentence is translated in one piece, as models know sentences. A span
comes back where the words went beside which it stood, with blanks as there.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from transformer import links, placing
from transformer.links import Link
from transformer.placing import Mark
from transformer.spans import Span
from transformer.text import UNSPACED

_AROUND = {"(": ")", "[": "]", '"': '"', "'": "'", "“": "”", "„": "“", "«": "»"}
"""What goes with a span that is all there is between."""

_BEHIND = re.compile("[,;:–—-] ")
"""What goes with a span that begins a sentence, but for the blank."""

_CLOSING = ".,;:!?…)]”»।॥。，！？"
"""No blank is written before it."""

_UNSPACED = re.compile(f"[{UNSPACED}]")


class Run(NamedTuple):
    """Spans without a word between them, and what goes with them."""

    text: str
    position: int
    """In what is left of the sentence."""
    before: str
    """The character before it in the sentence, if there is one."""
    behind: str


class Lifted(NamedTuple):
    """A sentence without spans, and these from left to right."""

    plain: str
    runs: tuple[Run, ...]


def lift(text: str, spans: Sequence[Span]) -> Lifted:
    """Takes `spans`, in order, out of a normalised text."""
    plain, runs, last, length = [], [], 0, 0
    for begin, end in _places(text, spans):
        whole, joint = text[begin:end], ""
        before, behind = text[max(begin - 1, 0) : begin], text[end : end + 1]
        if behind == " " and before in ("", " "):
            end += 1
        elif before == " " and not behind.isalnum():
            begin = max(begin - 1, last)
        elif before.isalnum() and behind.isalnum():
            joint = " "
        plain += [text[last:begin], joint]
        length += begin - last + len(joint)
        runs.append(Run(whole, length, before, behind))
        last = end
    return Lifted("".join([*plain, text[last:]]).strip(" "), tuple(runs))


def _places(text: str, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Where runs of spans begin and end, with what goes with them."""
    last, runs = 0, list[list[int]]()
    for span in spans:
        if runs and not any(map(str.isalnum, text[runs[-1][1] : span.begin])):
            runs[-1][1] = span.end
        else:
            runs.append([span.begin, span.end])
    for begin, end in runs:
        while last < begin and _AROUND.get(text[begin - 1]) == text[end : end + 1]:
            begin, end = begin - 1, end + 1
        if begin == 0 and _BEHIND.match(text, end):
            end += 1
        last = end
        yield begin, end


def restore(translation: str, lifted: Lifted, pairs: Sequence[Link]) -> str:
    """The translation of `lifted.plain` with every run in it once.

    Args:
        pairs: which places of the two belong together; without any, runs are placed in
            proportion.
    """
    marks = [_mark(number, run) for number, run in enumerate(lifted.runs)]
    plain, words = translation, links.atoms(translation)
    for gap, number in reversed(placing.place(lifted.plain, translation, marks, pairs)):
        while not placing.between_words(words, plain, gap):
            gap -= 1
        at = words.ends[gap - 1] if gap else 0
        translation = _inserted(lifted.runs[number], translation[:at], translation[at:])
    return translation


def _mark(number: int, run: Run) -> Mark:
    back = run.before not in ("", " ") and not run.behind.isalnum()
    return Mark(run.position, run.text, number, back)


def _inserted(run: Run, left: str, right: str) -> str:
    tight = right[:1] not in ("", " ") and right[0] in _CLOSING
    right = right.lstrip(" ")
    before = "" if not left or _glued(run.before, left[-1]) else " "
    behind = "" if not right or tight or _glued(run.behind, right[0]) else " "
    return f"{left}{before}{run.text}{behind}{right}"


def _glued(source: str, target: str) -> bool:
    """Whether no blank sets a run apart from a character, as from another there."""
    return source not in ("", " ") and _kind(source) == _kind(target)


def _kind(character: str) -> str:
    """The same for letters of all words that blanks set apart, and of all others."""
    if _UNSPACED.match(character):
        return "unspaced"
    return "word" if character.isalnum() else character
