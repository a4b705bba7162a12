"""What translation must carry over unchanged: addresses, placeholders, entities.

The kinds of spans are url, email, placeholder ({name}, {0}, {{ x }}, ${x}, %{x}, also
with a format, as {when, date, short}, {n: .2f}, {n, plural, …}), printf (%s, %1$d,
%(name)s, %@), entity (&amp;) and, if asked for, number (12,5 km).
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from html.entities import html5
from typing import NamedTuple

Kinds = tuple[str, ...]

KINDS: Kinds = ("url", "email", "placeholder", "printf", "entity")
WITH_NUMBERS: Kinds = (*KINDS, "number")


class Span(NamedTuple):
    """A part of a text, from `begin` to before `end`."""

    begin: int
    end: int
    text: str
    kind: str


_DOMAINS = "com|org|net|edu|gov|io|dev|app|info|eu|de|ch|fr|uk|nl|pl|ru|cn|jp|kr|br|au"

_UNITS = (
    r"km/h|m/s|[%‰€$£¥₹]|°[CFK]?|[kMGT]?i?(?:B|bit)|[kMGT]?(?:Hz|Wh?|VA?|eV|J)|[kcmµn]?m[²³23]?|"
    r"[kmµ]?g|[cm]?[lL]|[mµn]?s|mA|A|h|min|mph|lb|oz|ft|px|pt|dpi|fps"
)

_CONVERSION = (
    r"%(?:(?:\d++\$|\(\w++\))?[-+#0]*+\d*+(?>(?:\.\d++)?)"
    r"(?>(?:hh?|ll?|[Lqjzt])?)[diouxXeEfFgGaAcCsSpn@]"
    r"|\(\w[\w ]{0,60}+\)[diouxXeEfFgGaAcCsS](?!\w)|%)"
)
"""Behind a number it may be a percent sign before a word: `50 %sure`."""

# No pattern looks at a character more often than a fixed number of times: repetitions
# are possessive, and what may begin a match inside another is kept from doing so.
# Of groups they are atomic instead, because Python 3.11.2 keeps what a possessive group
# had matched of a repetition that then fails.
_PATTERNS = {
    "url": (
        r"(?<![\w.])(?:[A-Za-z][A-Za-z0-9+.-]{1,20}+://(?=[\w\[])|www\.(?=\w))"
        r"[^\s<>\"“”„«»{}|\\^`\u3000-\u303f\uff00-\uffef]++"
        r"|(?<![\w.@/-])(?>(?:[\w-]++\.(?=\w))+)(?<=\.)"
        rf"(?:{_DOMAINS})\b(?!@)(?>(?:/[^\s<>\"“”„«»{{}}|\\^`\u3000-\u303f]*+)?)"
    ),
    "email": (
        r"(?<![\w.+%-])(?:mailto:)?[\w+%-]++(?>(?:\.[\w+%-]++)*)@[\w-]++(?>(?:\.[\w-]++)+)"
    ),
    "placeholder": (
        r"\{\{\{[^{}]{1,200}+\}\}\}|\{\{[^{}]{1,200}+\}\}|\{%[^{}%]{1,200}+%\}"
        r"|[$%#]?\{\s?[^\s{}]*+\s?\}|\{\s?\w[\w.]{0,60}+\s?(?:"
        r":\s[<>=^+\-#0-9.,_]*+[a-zA-Z%]?"
        r"|,\s?(?:number|date|time|ordinal|duration|spellout)\s?(?>(?:,[^{}]{0,200}+)?)"
        r"|,\s?(?:plural|select|selectordinal|choice)\s?,"
        r"(?>(?:[^{}]{1,200}+|\{[^{}]{0,200}+\}){1,50}))\}"
    ),
    "printf": rf"(?<![\d%])(?:(?<!\d\s){_CONVERSION}|(?<=\d\s){_CONVERSION}(?!\w))",
    "entity": r"&(?:#\d{1,7}+|#[xX][0-9A-Fa-f]{1,6}+|[A-Za-z][A-Za-z0-9]{1,31}+);",
    "number": (
        r"(?<![\w.,])[-+−]?\d++(?>(?:[.,:/'’\u00a0\u202f-]\d++)*)"
        rf"(?>(?:[ \u00a0\u2009\u202f]?(?:{_UNITS})(?!\w))?)"
    ),
}

_MOST = 10_000_000
"""Spans times characters that a repair looks at; beyond, it leaves the text alone."""

_LONGEST = 500
"""Characters of a span that is looked for with other blanks and capitals."""


@cache
def _pattern(kinds: Kinds) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<{kind}>{_PATTERNS[kind]})" for kind in kinds))


def find(text: str, kinds: Kinds = KINDS) -> tuple[Span, ...]:
    """The spans of `text`, from left to right; they do not overlap."""
    spans = []
    for found in _pattern(kinds).finditer(text):
        kind = found.lastgroup or ""
        span = _trimmed(found[0]) if kind == "url" else found[0]
        if kind != "entity" or span[1] == "#" or span[1:] in html5:
            spans.append(Span(found.start(), found.start() + len(span), span, kind))
    return tuple(spans)


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence around it."""
    opened = Counter(url)
    pairs = {")": "(", "]": "["}
    end = len(url)
    while end > 1:
        last = url[end - 1]
        if last in pairs and opened[last] <= opened[pairs[last]]:
            break
        if last not in ".,;:!?'’*…)]।॥":
            break
        opened[last] -= 1
        end -= 1
    return url[:end]


def missing(source: str, translation: str, kinds: Kinds = KINDS) -> tuple[str, ...]:
    """Spans of the source that the translation has not, or not as often."""
    return _surplus(find(source, kinds), find(translation, kinds))


def carried(source: str, translation: str, kinds: Kinds = KINDS) -> bool:
    """Whether each span of the source came over, and as often as it stands there.

    Numbers may come more often: they may stand in words in the source.
    """
    given = Counter(span.text for span in find(translation, kinds))
    wanted = Counter(span[2:] for span in find(source, kinds))
    return all(
        given[text] == count or (kind == "number" and given[text] > count)
        for (text, kind), count in wanted.items()
    )


def _surplus(spans: Sequence[Span], others: Sequence[Span]) -> tuple[str, ...]:
    counts = Counter(span.text for span in spans)
    counts.subtract(span.text for span in others)
    return tuple((+counts).elements())


def repaired(source: str, translation: str, kinds: Kinds = KINDS) -> str:
    """The translation with spans put right where there is no doubt.

    A span that came over with other blanks or capitals becomes what it was, if there
    are as many such places as it is missing. What is then the only missing one of its
    kind takes the place of the only invented one, unless the rest of it may follow in
    other words, as in “12 kilometres”.
    """
    lost = Counter(missing(source, translation, kinds))
    if len(lost) * len(translation) > _MOST:
        return translation
    for span, count in lost.items():
        places = _places(span, translation)
        if len(places) == count:
            translation = _replaced(translation, places, span)
    return _exchanged(source, translation, kinds) if lost else translation


def _exchanged(source: str, translation: str, kinds: Kinds) -> str:
    """What is the only missing span of its kind instead of the only invented one."""
    wanted, given = find(source, kinds), find(translation, kinds)
    kind = {span.text: span.kind for span in (*wanted, *given)}
    lost, extra = _surplus(wanted, given), _surplus(given, wanted)
    for one in kinds:
        lacking = [text for text in lost if kind[text] == one]
        wrong = [text for text in extra if kind[text] == one]
        if len(lacking) == len(wrong) == 1 and _alike(lacking[0], wrong[0], one):
            places = [s[:2] for s in find(translation, kinds) if s.text == wrong[0]]
            translation = _replaced(translation, places[-1:], lacking[0])
    return translation


def _alike(lost: str, other: str, kind: str) -> bool:
    """Whether one can stand for the other, and nothing of it is left in words."""
    if kind == "number" and lost[-1].isdigit() != other[-1].isdigit():
        return False  # a unit may follow as a word, or would get lost
    return not lost.startswith(other)


Place = tuple[int, int]


def _places(span: str, text: str) -> list[Place]:
    """Where `span` stands in a text in all but blanks and capitals."""
    if len(span) > _LONGEST:
        return []
    pattern = " ?".join(map(re.escape, "".join(span.split())))
    found = re.finditer(whole_words(span, pattern), text, re.IGNORECASE)
    return [match.span() for match in found if match[0] != span]


def whole_words(span: str, pattern: str) -> str:
    """A pattern for a span, where it neither begins nor ends inside a word."""
    begin = r"(?<!\w)" if span[0].isalnum() else ""
    end = r"(?!\w)" if span[-1].isalnum() else ""
    return begin + pattern + end


def _replaced(text: str, places: Sequence[Place], by: str) -> str:
    ends = [0, *(end for _, end in places)]
    begins = [*(begin for begin, _ in places), len(text)]
    return by.join(text[end:begin] for end, begin in zip(ends, begins, strict=True))
