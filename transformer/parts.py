"""Parts of texts, translated: searched for, checked, and searched for again."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from transformer import checks, spans
from transformer.axes import Params
from transformer.engine import Engine
from transformer.search import Hypotheses
from transformer.seating import most
from transformer.symbols import EOS, PAD
from transformer.tasks import Desk, Found, Task, repaired
from transformer.tokenizer import Tokenizers


class Outcome(NamedTuple):
    """What was made of one part of a text."""

    best: list[Found]
    """One at least."""
    warnings: tuple[str, ...]


class Office:
    """Gets parts of texts translated, whatever it takes."""

    def __init__(self, engine: Engine, tokenizers: Tokenizers) -> None:
        self._engine, self._tokenizers = engine, tokenizers
        self.desk = Desk(tokenizers)

    def outcomes(
        self, params: Params, tasks: Sequence[Task], seed: int
    ) -> list[Outcome]:
        """Searches, and searches again what went wrong."""
        found: dict[int, Outcome] = {}
        lost: dict[int, Task] = {}
        left = dict(enumerate(tasks))
        while left:
            numbers, again = list(left), {}
            requests = [self.desk.request(task) for task in left.values()]
            for place, hypotheses in self._engine.run(params, requests, seed):
                number = numbers[place]
                task = left[number]
                best = self._best(task, hypotheses)
                if other := self.desk.remedy(task, best[0]):
                    again[number] = other
                elif spans.missing(task.text, best[0].text):
                    lost[number] = task
                else:
                    found[number] = Outcome(best, self._warnings(task, best[0]))
            left = again
        for number, task in lost.items():
            found[number] = self._piecewise(params, task, seed)
        return [found[number] for number in range(len(tasks))]

    def searched(
        self, params: Params, tasks: Sequence[Task], seed: int
    ) -> list[list[Found]]:
        """What one search finds for each, best first."""
        requests = [self.desk.request(task) for task in tasks]
        found = dict(self._engine.run(params, requests, seed))
        return [self._best(task, found[n]) for n, task in enumerate(tasks)]

    def _best(self, task: Task, hypotheses: Hypotheses) -> list[Found]:
        """What was found for a part and is given, best first; one at least."""
        rows = [self._found(*row) for row in zip(*hypotheses, strict=True)]
        found = [repaired(task, row) for row in rows if row.ids] or rows[:1]
        order = task.strategy.ranked([one.text for one in found])
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
        known = self.desk.known
        named = {
            checks.TRUNCATED: checks.truncated(found.log_probs, limit),
            checks.IMPOSSIBLE: not found.ids,
            checks.UNKNOWN_SCRIPT: checks.unknown_script(task.text, known),
        }
        return *task.warnings, *(name for name, true in named.items() if true)

    def _piecewise(self, params: Params, task: Task, seed: int) -> Outcome:
        """The translation of what is between the spans, and the spans."""
        layout = spans.pieces(task.text, spans.find(task.text))
        encode = self._tokenizers.source.encode
        pieces = [
            task._replace(text=piece, ids=(*encode(piece), EOS), required=(), attempt=1)
            for piece in layout.texts
        ]
        found = [outcome.best[0] for outcome in self.outcomes(params, pieces, seed)]
        one = Found(
            text=layout.filled([piece.text for piece in found]),
            score=sum(piece.score for piece in found) / max(1, len(found)),
            ids=sum((piece.ids for piece in found), ()),
            log_probs=sum((piece.log_probs for piece in found), ()),
            tokens=sum((piece.tokens for piece in found), ()),
        )
        return Outcome([one], (*task.warnings, checks.PLACEHOLDER))
