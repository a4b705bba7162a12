"""What is asked for a part of a text, and what is asked instead when that went wrong.

A translation that loops is searched again without repetitions; one that lost a span
which it should carry over, with that span as a phrase that must occur; one that has a
banned phrase in spite of all, without the tokens that wrote it.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from transformer import checks, phrases, spans
from transformer.constraints import Banked, Phrases, Required
from transformer.rules import Banned, Fewest, NoRepeat, Prefix, Vocabulary
from transformer.search import Rule
from transformer.seating import RATIO, Request, most
from transformer.selects import Branch
from transformer.strategies import Alternatives, Beam, Strategy
from transformer.symbols import EOS
from transformer.tokenizer import Tokenizers

ATTEMPTS = 4
"""Searches for one part at most."""

REPEATED = 3
"""Tokens in a row that do not occur twice where a translation looped."""


class Task(NamedTuple):
    """A part of a text that is to be translated, and how."""

    text: str
    ids: tuple[int, ...]
    """Of the source, with EOS."""
    place: tuple[int, int]
    """The number of the line, and of the part in it."""
    strategy: Strategy
    rules: tuple[Rule, ...] = ()
    fewest: int = 0
    ratio: float = RATIO
    prefix: tuple[int, ...] = ()
    """Tokens that the translation begins with."""
    required: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    avoided: tuple[tuple[int, ...], ...] = ()
    """Runs of tokens that do not occur."""
    warnings: tuple[str, ...] = ()
    attempt: int = 1


class Found(NamedTuple):
    """One translation of a part."""

    text: str
    score: float
    ids: tuple[int, ...]
    """EOS included, if the search came to an end."""
    log_probs: tuple[float, ...]
    tokens: tuple[str, ...]
    """As they are written."""


class Desk:
    """Turns tasks into requests, and into other tasks where they failed."""

    def __init__(self, tokenizers: Tokenizers) -> None:
        self._tokenizers = tokenizers

    @cached_property
    def _begins(self) -> Bool[np.ndarray, " V"]:
        return phrases.begins(self._tokenizers.target)

    def known(self, character: str) -> bool:
        """Whether the source has a piece for it, and need not write it as bytes."""
        source = self._tokenizers.source
        return not any(source.is_byte(id) for id in source.encode(character))

    def request(self, task: Task) -> Request:
        rules, select, strategy = task.rules, None, task.strategy
        limit = most(len(task.ids), task.ratio)
        if task.fewest:
            rules += (Fewest.of(min(task.fewest, limit)),)
        if task.prefix:
            rules += (Prefix.of(task.prefix),)
        if isinstance(strategy, Alternatives):
            select = Branch.of(len(task.prefix))
        if task.required:
            wanted = self._wanted(task.required)
            rules += (Required.of(wanted, limit),)
            select, strategy = Banked(wanted), _widened(strategy)
        if runs := (*task.avoided, *self._runs(task.banned)):
            rules += (Banned.of(runs),)
        return Request(task.ids, strategy, limit, task.place, rules, select)

    def _wanted(self, required: Sequence[str]) -> Phrases:
        target = self._tokenizers.target
        ids = [phrases.required(target, phrase) for phrase in required]
        whole = [phrases.whole(phrase) for phrase in required]
        return Phrases.of(ids, whole, self._begins)

    def _runs(self, banned: Sequence[str]) -> list[tuple[int, ...]]:
        """The tokens by which a banned phrase begins a word."""
        target = self._tokenizers.target
        return [tuple(phrases.required(target, phrase)) for phrase in banned]

    def remedy(self, task: Task, found: Found) -> Task | None:
        """What to ask for instead; None if nothing is wrong or nothing else helps."""
        if task.attempt == ATTEMPTS:
            return None
        for cure in (self._unlooped, self._without, self._carried):
            if other := cure(task, found):
                return other._replace(attempt=task.attempt + 1)
        return None

    def _unlooped(self, task: Task, found: Found) -> Task | None:
        rule = NoRepeat(REPEATED)
        if rule in task.rules or not self.loops(task, found):
            return None
        warnings = (*task.warnings, checks.LOOP)
        return task._replace(rules=(*task.rules, rule), warnings=warnings)

    def loops(self, task: Task, found: Found) -> bool:
        source, target = self._tokenizers
        end = target.piece(EOS)
        written = [token for token in found.tokens if token != end]
        return checks.loop(written, [source.piece(id) for id in task.ids[:-1]])

    def _without(self, task: Task, found: Found) -> Task | None:
        target = self._tokenizers.target
        for phrase in task.banned:
            runs = phrases.found(target, found.ids, phrase)
            if runs and task.attempt + 1 < ATTEMPTS:
                return task._replace(avoided=(*task.avoided, *runs))
            if runs:
                spared = Vocabulary(phrases.spared(target, phrase))
                return task._replace(rules=(*task.rules, spared))
        return None

    def _carried(self, task: Task, found: Found) -> Task | None:
        lost = spans.missing(task.text, found.text)
        new = tuple(dict.fromkeys(span for span in lost if span not in task.required))
        return task._replace(required=(*task.required, *new)) if new else None


def repaired(task: Task, found: Found) -> Found:
    """With spans put right where only their blanks or capitals are wrong."""
    return found._replace(text=spans.repaired(task.text, found.text))


def _widened(strategy: Strategy) -> Strategy:
    """A beam that has places for hypotheses at every stage of the phrases."""
    best, alpha = 1, 0.6
    if isinstance(strategy, Beam):
        best, alpha = strategy.best, strategy.alpha
    return Beam(width=max(strategy.width, 8), best=best, alpha=alpha)
