"""Which sentence pairs are worth training on, and the report of those that are not."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

Pair = tuple[str, str]
Rule = Callable[[str, str], bool]
"""True for a pair, already normalised, that is to be dropped."""

MAX_RATIO = 9
"""Translations differ in length, but not by more than this many times."""

FREE_CHARACTERS = 20
"""Ratios of short sentences say nothing."""


def empty(source: str, target: str) -> bool:
    return not source or not target


def identical(source: str, target: str) -> bool:
    return source == target


def unequal(source: str, target: str) -> bool:
    short, long = sorted((len(source), len(target)))
    return long > FREE_CHARACTERS and long > MAX_RATIO * short


class Duplicate:
    """Drops all but the first of equal pairs; remembers 16 bytes of each."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def __call__(self, source: str, target: str) -> bool:
        mark = digest(f"{source}\t{target}")
        known = mark in self._seen
        self._seen.add(mark)
        return known


def digest(text: str) -> bytes:
    """16 bytes that stand for a text: equal texts, equal bytes."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def rules() -> dict[str, Rule]:
    """The rules by the name the report gives them, in the order they are asked."""
    return {
        "empty": empty,
        "identical": identical,
        "unequal lengths": unequal,
        "duplicate": Duplicate(),
    }


@dataclass
class Report:
    """What was read, kept and dropped. Filled while the pairs stream by."""

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, Pair] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        return self.read - self.dropped.total()

    def drop(self, rule: str, pair: Pair) -> None:
        self.dropped[rule] += 1
        self.examples.setdefault(rule, pair)


def keep(pairs: Iterable[Pair], report: Report) -> Iterator[bool]:
    """Whether each pair passes all rules; counts it in `report`."""
    tests = rules()
    for pair in pairs:
        report.read += 1
        broken = next((name for name, rule in tests.items() if rule(*pair)), None)
        if broken is not None:
            report.drop(broken, pair)
        yield broken is None
