"""Which sentence pairs are worth training on, and the report of those that are not.

One pass, chunk by chunk: `faults` finds what a pair tells by itself, in any process;
`Cleaner` adds what other pairs tell, decides, and counts.
"""

import difflib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt16

from transformer import marks
from transformer.errors import InputError
from transformer.marks import Marks, Seen

Pair = tuple[str, str]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

CHUNK = 4096
"""Pairs that are looked at together."""

ALONE = ("empty", "identical", "ratio", "encoding", "script", "markup", "numbers")
"""Rules that a pair breaks by itself; beside them it does by what there is already."""

RULES = (*ALONE, "overlap", "duplicate", "similar")
"""In this order; the first that is broken, of those that drop, is what is counted."""

REPORTING = ("markup", "numbers", "similar")
"""Good pairs break these too, so that they drop nothing unless that is asked."""

DROPPING = tuple(rule for rule in RULES if rule not in REPORTING)


class Findings(NamedTuple):
    """What pairs tell by themselves."""

    broken: UInt16[np.ndarray, " n"]
    """A bit for each rule of `ALONE`, the first being the lowest."""
    exact: Marks
    """Of the pairs."""
    source: Marks
    """Of the sides and their languages, without case and punctuation."""
    target: Marks


@dataclass
class Report:
    """What was read, kept and dropped. Filled while the pairs stream by."""

    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    """Pairs that were kept though they break a rule."""
    examples: dict[str, Pair] = field(default_factory=dict)
    """Of each rule the first pair that broke it, as it was read."""

    @property
    def kept(self) -> int:
        return self.read - self.dropped.total()

    def drop(self, rule: str, example: Pair, count: int = 1) -> None:
        """Counts pairs that a rule drops; the first example of a rule is kept."""
        self.dropped[rule] += count
        self.examples.setdefault(rule, example)

    def note(self, rule: str, example: Pair, count: int = 1) -> None:
        """Counts pairs that break a rule and are kept."""
        self.noted[rule] += count
        self.examples.setdefault(rule, example)


def together(reports: Iterable[Report]) -> Report:
    """The counts of all; of each rule the first example."""
    total = Report()
    for one in reports:
        total.read += one.read
        total.dropped += one.dropped
        total.noted += one.noted
        total.examples = one.examples | total.examples
    return total


def dropping(keep: Collection[str], drop: Collection[str]) -> frozenset[str]:
    """The rules that drop, if those of `keep` shall not, and those of `drop` shall.

    Raises:
        InputError: if a name is none of a rule that can be changed so.
    """
    for setting, names, rules in (("keep", keep, DROPPING), ("drop", drop, REPORTING)):
        for name in names:
            if name not in rules:
                near = difflib.get_close_matches(name, rules, n=1)
                raise InputError(
                    f"data.{setting} names {name!r}, which is none of "
                    + ", ".join(rules)
                    + (f"; did you mean {near[0]!r}?" if near else ".")
                )
    return frozenset(DROPPING).difference(keep).union(drop)


def chunks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """The pairs, `CHUNK` at a time."""
    rest = iter(pairs)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def shown(text: str) -> str:
    r"""A raw text with its control characters written out, as \x96."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text.strip())


def loose_mark(text: str, language: str) -> int:
    """Equal for texts of a language that differ in case and punctuation only."""
    return marks.mark(f"{language}\t{marks.loose(text)}")


def held_out(pairs: Iterable[Pair], language: str) -> Marks:
    """Marks of the source sentences, normalised, that training should not see."""
    found = {loose_mark(source, language) for source, _ in pairs}
    return np.array(sorted(found), np.uint64)


class Cleaner:
    """Decides which pairs are kept, chunk by chunk; remembers them over corpora.

    Args:
        dropping: names of the rules that drop; the others only report.
        held_out: sorted marks of what the rule `overlap` finds on either side.
    """

    def __init__(self, dropping: Collection[str], held_out: Marks) -> None:
        self._held_out = held_out
        self._exact, self._similar = Seen(), Seen()
        bits = [1 << bit for bit, rule in enumerate(RULES) if rule in dropping]
        self._dropping = np.uint16(sum(bits))

    def keep(
        self, chunk: Sequence[Pair], findings: Findings, report: Report
    ) -> Bool[np.ndarray, " n"]:
        """Whether each of the pairs is kept; counted in `report`."""
        broken = findings.broken.copy()
        overlap = [
            marks.found(self._held_out, side)
            for side in (findings.source, findings.target)
        ]
        self._add(broken, "overlap", np.logical_or(*overlap))
        self._look_back(broken, "duplicate", self._exact, findings.exact)
        loose = marks.both(findings.source, findings.target)
        self._look_back(broken, "similar", self._similar, loose)
        self._count(chunk, broken, report)
        return broken & self._dropping == 0

    def _add(self, broken: np.ndarray, rule: str, breaks: np.ndarray) -> None:
        broken |= breaks.astype(np.uint16) << np.uint16(RULES.index(rule))

    def _look_back(
        self, broken: np.ndarray, rule: str, seen: Seen, marks: Marks
    ) -> None:
        """Only what is not dropped already makes others its copies."""
        good = np.flatnonzero(broken & self._dropping == 0)
        repeated = np.zeros(len(broken), bool)
        repeated[good] = seen.add(marks[good])
        self._add(broken, rule, repeated)

    def _count(self, chunk: Sequence[Pair], broken: np.ndarray, report: Report) -> None:
        fatal = broken & self._dropping
        dropped = fatal != 0
        fatal &= -fatal  # the lowest bit alone
        report.read += len(chunk)
        for bit, rule in enumerate(RULES):
            of_rule = np.uint16(1 << bit)
            for count, which in (
                (report.drop, fatal == of_rule),
                (report.note, (broken & of_rule != 0) & ~dropped),
            ):
                if which.any():
                    source, target = chunk[int(which.argmax())]
                    count(rule, (shown(source), shown(target)), int(which.sum()))
