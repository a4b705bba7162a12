"""A glossary: which words of the source must, or must not, become which of the target.

    dog <tab> Hund                      where `dog` stands, `Hund` must
    dog <tab> Köter <tab> no            where `dog` stands, `Köter` must not

A term in small letters is found in any case; one with a capital as it is written only:
`us` in `US`, but not `US` in `us`. What a translation must contain is meant as written.
Terms stand in a text as whole words; where two overlap, the longer counts. Those inside
what comes over unchanged, as `dog` in `{dog}` or `https://dog.com`, are none.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from transformer import phrases, spans
from transformer.errors import InputError
from transformer.spans import KINDS, Kinds, Span
from transformer.text import normalize

NO = "no"
"""The third column of what must not occur."""


class Wish(NamedTuple):
    """What a translation must and must not contain, in the order of the source."""

    required: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()


@dataclass(frozen=True)
class Glossary:
    """What the terms of the source ask for."""

    wishes: Mapping[str, Wish]
    kinds: Kinds = KINDS
    """Of spans that come over unchanged: no term is looked for in them."""

    def wish(self, text: str) -> Wish:
        """What the translation of `text` must and must not contain.

        Each once, however often. What is part of something required is not banned.
        """
        found = [self.wishes[term] for term in self._terms(normalize(text))]
        required = tuple(dict.fromkeys(p for wish in found for p in wish.required))
        banned = tuple(dict.fromkeys(p for wish in found for p in wish.banned))
        return Wish(required, tuple(p for p in banned if not _needed(p, required)))

    def _terms(self, text: str) -> Iterator[str]:
        """The terms in a text from left to right; of two that overlap the longer."""
        places = sorted(self._places(text), key=_longest_first)
        hidden = spans.find(text, self.kinds) if places else ()
        taken: list[tuple[int, int, str]] = []
        for begin, end, term in places:
            if any(_cut(begin, end, span) for span in hidden):
                continue
            if all(end <= left or right <= begin for left, right, _ in taken):
                taken.append((begin, end, term))
        return (term for _, _, term in sorted(taken))

    def _places(self, text: str) -> Iterator[tuple[int, int, str]]:
        sizes = sorted({len(term) for term in self.wishes})
        for begin in range(len(text)):
            for end in (begin + size for size in sizes if begin + size <= len(text)):
                written = text[begin:end]
                term = written if written in self.wishes else written.lower()
                if term in self.wishes and phrases.alone(text, begin, end):
                    yield begin, end, term


def _cut(begin: int, end: int, span: Span) -> bool:
    """Whether a term stands in a span, or has a part of it only."""
    overlapping = begin < span.end and span.begin < end
    inside = begin <= span.begin and span.end <= end and end - begin > len(span.text)
    return overlapping and not inside


def _longest_first(place: tuple[int, int, str]) -> tuple[int, int]:
    begin, end, _ = place
    return begin - end, begin


def _needed(phrase: str, required: Iterable[str]) -> bool:
    return any(phrases.contains(needed, phrase) for needed in required)


def parse(lines: Iterable[str], name: str) -> Glossary:
    """The glossary in the lines of a file called `name`; empty lines are skipped.

    Raises:
        InputError: naming file and line, for a line of another form, and for terms
            whose wishes contradict each other.
    """
    wishes: dict[str, Wish] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        source, target, banned = _columns(line, place)
        wish = wishes.get(source, Wish())
        if banned:
            wish = wish._replace(banned=(*wish.banned, target))
        elif wish.required not in ((), (target,)):
            raise InputError(
                f"{place}: {source!r} shall become {target!r}, and before it was "
                f"{wish.required[0]!r}. Keep one of them."
            )
        else:
            wish = wish._replace(required=(target,))
        for phrase in wish.banned:
            if _needed(phrase, wish.required):
                raise InputError(
                    f"{place}: {source!r} shall become {wish.required[0]!r} and must "
                    f"not become {phrase!r}. Remove one of them."
                )
        wishes[source] = wish
    return Glossary(wishes)


def _columns(line: str, place: str) -> tuple[str, str, bool]:
    source, *rest = (normalize(column) for column in line.split("\t"))
    target = rest[0] if rest else ""
    mark = rest[1] if len(rest) > 1 else ""
    if not source or not target or mark not in ("", NO) or len(rest) > 2:
        raise InputError(
            f"{place}: {line.strip()!r} is no term. Write the source term, a tab and "
            f"the target term, and a tab and {NO!r} if it must not occur."
        )
    return source, target, mark == NO
