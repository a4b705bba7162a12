"""Inline tags of HTML and XML: out of a text before translation, back into it after.

`placing.restore` puts a tag back where the words went beside which it stood. Wherever
that is, every tag comes back once, and what was well-formed stays so.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from transformer.placing import Mark, Marked
from transformer.text import normalize

_BARE = (
    "async|autofocus|autoplay|checked|compact|controls|defer|disabled|download|hidden"
    "|inert|ismap|itemscope|loop|multiple|muted|novalidate|nowrap|open|readonly"
    "|required|reversed|selected"
)
"""Attributes that need no value; with others “a <b and c> d” would be a tag."""

_ATTRIBUTE = (
    r"\s++(?:[^\s\"'<>/=]++\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>=`]++)"
    rf"|(?:{_BARE})(?=[\s/>]))"
)
_TAG = re.compile(
    rf"<(?P<open>[A-Za-z_][\w:.-]*+)(?>(?:{_ATTRIBUTE})*)\s*+(?P<alone>/)?>"
    r"|</(?P<close>[A-Za-z_][\w:.-]*+)\s*+>|<![A-Za-z][^<>]*+>"
)

_OPAQUE = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
"""What begins and ends tags that may hold anything."""

_VOID = frozenset(
    "area base br col embed hr img input link meta source track wbr".split()
)
"""Elements of HTML without an end."""

_BREAKING = frozenset(
    "br hr p div li ul ol dl dt dd table tr td th h1 h2 h3 h4 h5 h6 section article "
    "header footer blockquote pre option".split()
)
"""Elements of HTML that set the words beside them apart as a blank does."""


class Tag(NamedTuple):
    """A tag as it is written in a text, from `begin` to before `end`."""

    begin: int
    end: int
    text: str
    element: str
    role: Literal["open", "close", "alone"]


def find(text: str) -> Iterator[Tag]:
    """The tags of a text; what only looks like one, as in “a < b” or “<3”, is none."""
    hopeless: set[str] = set()
    at = text.find("<")
    while at >= 0:
        tag = _opaque(text, at, hopeless) or _ordinary(text, at)
        if tag:
            yield tag
        at = text.find("<", tag.end if tag else at + 1)


def _opaque(text: str, at: int, hopeless: set[str]) -> Tag | None:
    """A comment or the like; `hopeless` are the ends that do not come any more."""
    for begin, end in _OPAQUE.items():
        if end not in hopeless and text.startswith(begin, at):
            found = text.find(end, at + len(begin))
            if found >= 0:
                stop = found + len(end)
                return Tag(at, stop, text[at:stop], "", "alone")
            hopeless.add(end)
    return None


def _ordinary(text: str, at: int) -> Tag | None:
    found = _TAG.match(text, at)
    if found is None:
        return None
    element = (found["open"] or found["close"] or "").lower()
    role = "close" if found["close"] else "open"
    if found["alone"] or element in _VOID or not element:
        role = "alone"
    return Tag(at, found.end(), found[0], element, role)


def _partners(tags: Sequence[Tag]) -> list[int]:
    """The number of the tag each forms a pair with; its own if there is none."""
    partners = list(range(len(tags)))
    waiting: list[int] = []
    count: Counter[str] = Counter()
    for number, tag in enumerate(tags):
        if tag.role == "open":
            waiting.append(number)
            count[tag.element] += 1
        while tag.role == "close" and count[tag.element]:
            opened = waiting.pop()
            count[tags[opened].element] -= 1
            if tags[opened].element == tag.element:
                partners[opened], partners[number] = number, opened
                break
    return partners


def strip(text: str) -> Marked:
    """Takes the tags out of a text, which need not be normalised before.

    Where a tag such as <br> alone sets two words apart, a blank takes its place.
    """
    tags = list(find(text))
    plain, length, last, begin = [], 0, "", 0
    positions: list[int] = []
    left: list[bool] = []  # whether words stand right before each tag
    right: list[bool] = []  # and right behind it
    for number, tag in enumerate([*tags, None]):
        if words := text[begin : tag.begin if tag else len(text)]:
            breaking = any(
                tag.element in _BREAKING for tag in tags[len(right) : number]
            )
            apart = _blank(words[0])
            right += [not apart] * (number - len(right))
            joint = " " if last.strip() and (apart or breaking) else ""
            ended = " " if _blank(words[-1]) and not _blank(words) else ""
            plain.append(joint + normalize(words) + ended)
            length, last = length + len(plain[-1]), (last + plain[-1])[-1:]
        if tag:
            positions.append(length)
            left.append(bool(last.strip()))
            begin = tag.end
    right += [False] * (len(tags) - len(right))
    marks = _marks(tags, positions, left, right)
    return Marked("".join(plain).rstrip(), marks)


def _marks(
    tags: list[Tag], positions: list[int], left: list[bool], right: list[bool]
) -> tuple[Mark, ...]:
    marks = []
    for number, (tag, partner) in enumerate(zip(tags, _partners(tags), strict=True)):
        single = tag.role != "open" or partner == number
        around_words = not single and positions[partner] > positions[number]
        back = tag.role == "close" or (
            not around_words and left[number] and not right[number]
        )
        tight = tag.element in _BREAKING and left[number] and right[number]
        marks.append(Mark(positions[number], tag.text, partner, back, tight))
    return tuple(marks)


def _blank(text: str) -> bool:
    return not normalize(text)


def kept(source: str, translation: str) -> bool:
    """Whether a text has the tags of its source, each as often, and nested alike.

    Of a source whose own tags are not well nested, the nesting says nothing.
    """
    before, after = list(find(source)), list(find(translation))
    if Counter(tag.text for tag in before) != Counter(tag.text for tag in after):
        return False
    numbers: dict[tuple[int, str], int] = {}
    nesting = [_nesting(tags, numbers) for tags in (before, after)]
    return nesting[0] is None or nesting[0] == nesting[1]


def _nesting(
    tags: Sequence[Tag], numbers: dict[tuple[int, str], int]
) -> Counter[int] | None:
    """How often there is which tag inside which others; None if not well nested.

    Args:
        numbers: of each tag inside the tag of another number, its own; added to.
    """
    inside, counts = [-1], Counter[int]()
    for number, (tag, partner) in enumerate(zip(tags, _partners(tags), strict=True)):
        if tag.role != "alone" and partner == number:
            return None
        if tag.role == "close":
            inside.pop()
            continue
        own = numbers.setdefault((inside[-1], tag.text), len(numbers))
        counts[own] += 1
        if tag.role == "open":
            inside.append(own)
    return counts
