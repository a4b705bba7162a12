"""Parts of texts, translated: searched for, checked, and searched for again."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from transformer import checks, lifting, links, phrases
from transformer.alignments import Alignment
from transformer.axes import Params
from transformer.cleaning import Pair
from transformer.engine import Engine
from transformer.lifting import Lifted
from transformer.search import Hypotheses
from transformer.spans import Span
from transformer.strategies import Strategy
from transformer.symbols import EOS, PAD
from transformer.tasks import (
    Desk,
    Found,
    Task,
    broken,
    carried,
    fulfilled,
    protected,
    repaired,
)
from transformer.tokenizer import Tokenizers

Align = Callable[[Sequence[Pair]], Sequence[Alignment | None]]
"""From texts and translations to which of their words belong together, if known."""


class Outcome(NamedTuple):
    """What was made of one part of a text."""

    best: list[Found]
    """One at least."""
    warnings: tuple[str, ...]
    task: Task | None = None
    """What the search that found it was asked for; None where no single one did."""


class Office:
    """Gets parts of texts translated, whatever it takes."""

    def __init__(self, engine: Engine, tokenizers: Tokenizers) -> None:
        self._engine, self._tokenizers = engine, tokenizers
        self._desk = Desk(tokenizers)

    def outcomes(
        self, params: Params, tasks: Sequence[Task], seed: int, align: Align
    ) -> list[Outcome]:
        """Searches, and searches again what went wrong."""
        found = {
            n: copied(task, self._prefix(task))
            for n, task in enumerate(tasks)
            if verbatim(task)
        }
        left = {n: task for n, task in enumerate(tasks) if n not in found}
        before: dict[int, tuple[Task, list[Found]]] = {}
        lost: dict[int, Task] = {}
        while left:
            again = {}
            for number, best in self._search(params, left, seed):
                task = asked = left[number]
                if not best[0].ids and number in before:  # what was wrong is better
                    asked, best = before[number]
                if not all(carried(task, one.text) for one in best):
                    lost[number] = task
                elif other := self._desk.remedy(task, best):
                    again[number], before[number] = other, (asked, best)
                else:
                    right = [one for one in best if not broken(task, [one])] or best
                    warnings = self._warnings(task, right[0])
                    found[number] = Outcome(right, warnings, asked)
            left = again
        found.update(self._lifted(params, lost, seed, align))
        return [found[number] for number in range(len(tasks))]

    def _search(
        self, params: Params, tasks: dict[int, Task], seed: int
    ) -> Iterator[tuple[int, list[Found]]]:
        """The number of each task and what one search finds for it, best first."""
        numbers = list(tasks)
        requests = [self._desk.request(task) for task in tasks.values()]
        for place, hypotheses in self._engine.run(params, requests, seed):
            number, strategy = numbers[place], requests[place].strategy
            yield number, self._best(tasks[number], strategy, hypotheses)

    def searched(
        self, params: Params, tasks: Sequence[Task], seed: int
    ) -> list[list[Found]]:
        """What one search finds for each, best first."""
        found = dict(self._search(params, dict(enumerate(tasks)), seed))
        return [found[number] for number in range(len(tasks))]

    def _best(
        self, task: Task, strategy: Strategy, hypotheses: Hypotheses
    ) -> list[Found]:
        """What was found for a part and is given, best first; one at least."""
        rows = [self._found(*row) for row in zip(*hypotheses, strict=True)]
        prefix = self._prefix(task)
        found = [repaired(task, prefix, row) for row in rows if row.ids] or rows[:1]
        order = strategy.ranked([one.text for one in found])
        return [found[rank] for rank in order]

    def _prefix(self, task: Task) -> str:
        return self._tokenizers.target.decode(task.prefix)

    def _found(
        self, tokens: np.ndarray, score: np.floating, log_probs: np.ndarray
    ) -> Found:
        ids = tuple(tokens[tokens != PAD].tolist())
        target, gains = self._tokenizers.target, log_probs[: len(ids)].tolist()
        pieces = tuple(target.piece(id) for id in ids)
        return Found(target.decode(ids), float(score), ids, tuple(gains), pieces)

    def _warnings(self, task: Task, found: Found) -> tuple[str, ...]:
        limit, known = self._desk.limit(task), self._desk.known
        named = {
            checks.TRUNCATED: checks.truncated(found.log_probs, limit),
            checks.IMPOSSIBLE: not found.ids,
            checks.UNKNOWN_SCRIPT: checks.unknown_script(task.text, known),
        }
        return *task.warnings, *(name for name, true in named.items() if true)

    def _lifted(
        self, params: Params, tasks: dict[int, Task], seed: int, align: Align
    ) -> Iterator[tuple[int, Outcome]]:
        """Translations of texts without their spans, and the spans put into them."""
        every = [lifting.lift(task.text, _first(task)) for task in tasks.values()]
        pairs = zip(tasks.values(), every, strict=True)
        others = [self._without(task, lifted.plain) for task, lifted in pairs]
        outcomes = self.outcomes(params, others, seed, align) if others else []
        texts = [
            (lifted.plain, one.text)
            for lifted, outcome in zip(every, outcomes, strict=True)
            for one in outcome.best
        ]
        aligned = iter(align(texts))
        for number, lifted, outcome in zip(tasks, every, outcomes, strict=True):
            task = tasks[number]
            prefix = self._prefix(task)
            best = [
                _whole(task, prefix, lifted, one, next(aligned)) for one in outcome.best
            ]
            warnings = *task.warnings, *outcome.warnings, checks.PLACEHOLDER
            yield number, Outcome(best, warnings)

    def _without(self, task: Task, plain: str) -> Task:
        """The same of a text that has lost its spans."""
        ids = *self._tokenizers.source.encode(plain), EOS
        return task._replace(text=plain, ids=ids, warnings=(), attempt=1)


def _first(task: Task) -> Sequence[Span]:
    """The spans to do without; numbers, which sentences speak of, only as the last."""
    spans = protected(task)
    return [span for span in spans if span.kind != "number"] or spans


def _whole(
    task: Task, prefix: str, lifted: Lifted, found: Found, alignment: Alignment | None
) -> Found:
    """A translation with the spans of the text in it: at its end, if all else fails."""
    pairs = links.by_words(lifted.plain, found.text, alignment or [])
    text = lifting.restore(found.text, lifted, pairs)
    if not carried(task, text) or not fulfilled(task, prefix, text):
        text = " ".join([found.text, *(run.text for run in lifted.runs)]).strip()
    return found._replace(text=text)


def verbatim(task: Task) -> bool:
    """Whether there is nothing to translate in a text.

    That is without letters, and without numbers where there is no span beside them, nor
    anything to add.
    """
    if found := protected(task):
        return not any(map(str.isalpha, lifting.lift(task.text, found).plain))
    demanded = task.prefix or task.required
    return bool(task.text) and not demanded and not any(map(str.isalnum, task.text))


def copied(task: Task, prefix: str) -> Outcome:
    """The text itself, in no tokens, behind the prefix and the phrases it lacks."""
    text = task.text.strip()
    begun = text.startswith(prefix)
    lacking: list[str] = []

    def whole() -> str:
        return " ".join([text, *lacking] if begun else [prefix, *lacking, text])

    for phrase in sorted(task.required, key=len, reverse=True):
        if not phrases.contains(whole(), phrase):
            lacking.append(phrase)
    return Outcome([Found(whole(), 0.0, (), (), ())], task.warnings)
