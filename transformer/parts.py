"""Parts of texts, translated: searched for, checked, and searched for again."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from transformer import checks, spans
from transformer.axes import Params
from transformer.engine import Engine
from transformer.search import Hypotheses
from transformer.seating import most
from transformer.strategies import Strategy
from transformer.symbols import EOS, PAD
from transformer.tasks import Desk, Found, Task, broken, missing, protected, repaired
from transformer.text import Layout
from transformer.tokenizer import Tokenizers

_ENDS = ".!?…।॥。！？"


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
        self, params: Params, tasks: Sequence[Task], seed: int
    ) -> list[Outcome]:
        """Searches, and searches again what went wrong."""
        found = {n: copied(task) for n, task in enumerate(tasks) if verbatim(task)}
        left = {n: task for n, task in enumerate(tasks) if n not in found}
        before: dict[int, tuple[Task, list[Found]]] = {}
        lost: dict[int, Task] = {}
        while left:
            again = {}
            for number, best in self._search(params, left, seed):
                task = asked = left[number]
                if not best[0].ids and number in before:  # what was wrong is better
                    asked, best = before[number]
                elif other := self._desk.remedy(task, best):
                    again[number], before[number] = other, (task, best)
                    continue
                if right := _right(task, best):
                    warnings = self._warnings(task, right[0])
                    found[number] = Outcome(right, warnings, asked)
                else:
                    lost[number] = task
            left = again
        found.update(self._piecewise(params, lost, seed))
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
        found = [repaired(task, row) for row in rows if row.ids] or rows[:1]
        order = strategy.ranked([one.text for one in found])
        return [found[rank] for rank in order]

    def _found(
        self, tokens: np.ndarray, score: np.floating, log_probs: np.ndarray
    ) -> Found:
        ids = tuple(tokens[tokens != PAD].tolist())
        target, gains = self._tokenizers.target, log_probs[: len(ids)].tolist()
        pieces = tuple(target.piece(id) for id in ids)
        return Found(target.decode(ids), float(score), ids, tuple(gains), pieces)

    def _warnings(self, task: Task, found: Found) -> tuple[str, ...]:
        limit = most(len(task.ids), task.ratio)
        known = self._desk.known
        named = {
            checks.TRUNCATED: checks.truncated(found.log_probs, limit),
            checks.IMPOSSIBLE: not found.ids,
            checks.UNKNOWN_SCRIPT: checks.unknown_script(task.text, known),
        }
        return *task.warnings, *(name for name, true in named.items() if true)

    def _piecewise(
        self, params: Params, tasks: dict[int, Task], seed: int
    ) -> Iterator[tuple[int, Outcome]]:
        """Translations of what is between the spans, and the spans."""
        layouts = [_between(task) for task in tasks.values()]
        pieces = [
            piece
            for task, layout in zip(tasks.values(), layouts, strict=True)
            for piece in self._pieces(task, layout)
        ]
        outcomes = iter(self.outcomes(params, pieces, seed) if pieces else [])
        for (number, task), layout in zip(tasks.items(), layouts, strict=True):
            own = list(islice(outcomes, len(layout.texts)))
            yield number, _joined(task, layout, own)

    def _pieces(self, task: Task, layout: Layout) -> Iterator[Task]:
        """The first has the prefix, and the longest the phrases that must occur."""
        encode = self._tokenizers.source.encode
        longest = max(map(len, layout.texts), default=0)
        for number, piece in enumerate(layout.texts):
            holds = len(piece) == longest and bool(longest)
            if holds:
                longest = 0
            yield task._replace(
                text=piece,
                ids=(*encode(piece), EOS),
                fewest=0,
                prefix=() if number else task.prefix,
                required=task.required if holds else (),
                carried=(),
                warnings=(),
                attempt=1,
            )


def verbatim(task: Task) -> bool:
    """Whether there is nothing to translate in a text, nor anything to add."""
    asked = task.prefix or task.required or not task.text
    return not asked and bool(protected(task.text)) and not _between(task).texts


def copied(task: Task) -> Outcome:
    """The text itself, in no tokens."""
    return Outcome([Found(task.text, 0.0, (), (), ())], task.warnings)


def _between(task: Task) -> Layout:
    return spans.pieces(task.text, protected(task.text))


def _right(task: Task, found: Sequence[Found]) -> list[Found]:
    """Those with all spans of the text; without banned phrases, if there are some."""
    whole = [one for one in found if not missing(task, one)]
    return [one for one in whole if not broken(task, [one])] or whole


def _joined(task: Task, layout: Layout, outcomes: Sequence[Outcome]) -> Outcome:
    """The translation of a text from those of what is between its spans."""
    found = [outcome.best[0] for outcome in outcomes]
    texts = [
        _unended(piece, one.text)
        for piece, one in zip(layout.texts, found, strict=True)
    ]
    one = Found(
        text=layout.filled(texts),
        score=sum(piece.score for piece in found) / max(1, len(found)),
        ids=tuple(chain.from_iterable(piece.ids for piece in found)),
        log_probs=tuple(chain.from_iterable(piece.log_probs for piece in found)),
        tokens=tuple(chain.from_iterable(piece.tokens for piece in found)),
    )
    new = [warning for outcome in outcomes for warning in outcome.warnings]
    return Outcome([one], (*task.warnings, *new, checks.PLACEHOLDER))


def _unended(piece: str, translation: str) -> str:
    """Without a full stop, where the piece of a sentence has none."""
    if piece.endswith(tuple(_ENDS)):
        return translation
    return translation.rstrip(_ENDS) or translation
