"""What is asked for a part of a text, and what is asked instead when that went wrong.

A translation that loops is searched again without repetitions; one that has a banned
phrase in spite of all, without the tokens that wrote it. One that lost a span which it
should carry over is not searched again: its sentence is translated without the span.
"""

from collections.abc import Sequence
from functools import cache, cached_property, lru_cache, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from transformer import checks, phrases, spans
from transformer.constraints import Banked, Phrases, Required
from transformer.rules import Banned, Fewest, NoRepeat, Prefix, Vocabulary
from transformer.search import Rule
from transformer.seating import EXTRA, RATIO, Request, most
from transformer.selects import Branch
from transformer.spans import Kinds, Span
from transformer.strategies import Alternatives, Beam, MinimumRisk, Strategy
from transformer.symbols import EOS
from transformer.tokenizer import Tokenizers

ATTEMPTS = 4
"""Searches for one part at most, but for a last one without the tokens that could
write a banned phrase."""

WIDTH = 8
"""Hypotheses at least where phrases are required: some at every stage of them."""

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
    spared: tuple[str, ...] = ()
    """Phrases without whose tokens it is written."""
    kinds: Kinds = spans.KINDS
    """Of the spans that come over unchanged."""
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
        self.known = cache(self._known)
        self._tokens = cache(self._encoded)
        self._spare = cache(partial(phrases.spared, tokenizers.target))

    @cached_property
    def _begins(self) -> Bool[np.ndarray, " V"]:
        return phrases.begins(self._tokenizers.target)

    def _known(self, character: str) -> bool:
        """Whether the source has a piece for it, and need not write it as bytes."""
        source = self._tokenizers.source
        return not any(source.is_byte(id) for id in source.encode(character))

    def request(self, task: Task) -> Request:
        """What to search for. Raises `InputError` if a phrase is empty."""
        rules, select, strategy = task.rules, None, task.strategy
        limit = self.limit(task)
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
        if runs := (*task.avoided, *map(self._tokens, task.banned)):
            rules += (Banned.of(runs),)
        if task.spared:
            allowed = np.logical_and.reduce([*map(self._spare, task.spared)])
            rules += (Vocabulary(allowed),)
        return Request(task.ids, strategy, limit, task.place, rules, select)

    def limit(self, task: Task) -> int:
        """Most tokens: what must be in it has room, however short its source is."""
        required = [len(self._tokens(phrase)) + 1 for phrase in task.required]
        asked = len(task.prefix) + sum(required)
        return max(most(len(task.ids), task.ratio), asked + EXTRA)

    def _wanted(self, required: Sequence[str]) -> Phrases:
        ids = [self._tokens(phrase) for phrase in required]
        whole = [phrases.whole(phrase) for phrase in required]
        return Phrases.of(ids, whole, self._begins)

    def _encoded(self, phrase: str) -> tuple[int, ...]:
        """Those by which it begins a word."""
        return tuple(phrases.required(self._tokenizers.target, phrase))

    def remedy(self, task: Task, found: Sequence[Found]) -> Task | None:
        """What to ask for instead; None if nothing is wrong or nothing else helps.

        Args:
            found: translations of the part that would be given, best first.
        """
        cures = [self._spared]
        if task.attempt < ATTEMPTS:
            cures = [self._unlooped, self._avoided]
        others = filter(None, (cure(task, found) for cure in cures))
        other = next(others, None)
        return other and other._replace(attempt=task.attempt + 1)

    def _unlooped(self, task: Task, found: Sequence[Found]) -> Task | None:
        """Without repetitions, if the best one loops."""
        rule = NoRepeat(REPEATED)
        if rule in task.rules or not self._loops(task, found[0]):
            return None
        warnings = (*task.warnings, checks.LOOP)
        return task._replace(rules=(*task.rules, rule), warnings=warnings)

    def _loops(self, task: Task, found: Found) -> bool:
        source, target = self._tokenizers
        end = target.piece(EOS)
        written = [token for token in found.tokens if token != end]
        return checks.loop(written, [source.piece(id) for id in task.ids[:-1]])

    def _avoided(self, task: Task, found: Sequence[Found]) -> Task | None:
        """Without the tokens that wrote a banned phrase, in their order."""
        target = self._tokenizers.target
        runs = [
            run
            for phrase in broken(task, found)
            for one in found
            for run in phrases.found(target, one.ids, phrase)
        ]
        new = tuple(run for run in dict.fromkeys(runs) if run not in task.avoided)
        if not new:
            return self._spared(task, found)
        return task._replace(avoided=(*task.avoided, *new))

    def _spared(self, task: Task, found: Sequence[Found]) -> Task | None:
        """Without the tokens that could write it, in any order."""
        new = tuple(p for p in broken(task, found) if p not in task.spared)
        return task._replace(spared=(*task.spared, *new)) if new else None


def broken(task: Task, found: Sequence[Found]) -> list[str]:
    """The banned phrases that stand in any of the translations."""
    return [
        phrase
        for phrase in task.banned
        if any(phrases.contains(one.text, phrase) for one in found)
    ]


def repaired(task: Task, prefix: str, found: Found) -> Found:
    """With spans put right, but where that would spoil what was asked for."""
    if not protected(task):
        return found
    text = spans.repaired(task.text, found.text, task.kinds)
    return found._replace(text=text) if fulfilled(task, prefix, text) else found


def fulfilled(task: Task, prefix: str, text: str) -> bool:
    """Whether a translation begins as it must and has the phrases that are required."""
    kept = all(phrases.contains(text, phrase) for phrase in task.required)
    return kept and text.startswith(prefix)


def carried(task: Task, text: str) -> bool:
    """Whether the spans came over into a translation, and none more often."""
    return not protected(task) or spans.carried(task.text, text, task.kinds)


def protected(task: Task) -> tuple[Span, ...]:
    """The spans of a text, which is asked for again and again."""
    return _found(task.text, task.kinds)


_found = lru_cache(maxsize=4096)(spans.find)


def _widened(strategy: Strategy) -> Strategy:
    """A beam with places for hypotheses at every stage of the phrases.

    Whatever was to be drawn or chosen at random is searched for.
    """
    best = strategy.keep if isinstance(strategy, MinimumRisk) else strategy.best
    alpha = strategy.alpha if isinstance(strategy, Beam) else Beam.alpha
    width = strategy.width if isinstance(strategy, Beam) else best
    width, coverage = max(width, WIDTH), strategy.coverage
    return Beam(width=width, best=best, alpha=alpha, coverage=coverage)
