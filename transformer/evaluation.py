"""How good a set of parameters is: loss, BLEU, chrF, and a few translations to read."""

from functools import partial
from typing import NamedTuple

import jax
from jaxtyping import Array

from transformer import batches, metrics, parallel, store
from transformer.axes import Params
from transformer.batches import Batch
from transformer.cleaning import Pair
from transformer.config import Config
from transformer.metrics import Score
from transformer.step import Objective, loss_sum
from transformer.strategies import Greedy, Strategy
from transformer.tokenizer import Tokenizers
from transformer.translator import Translator

SAMPLES = 3
"""Validation sentences whose translation is shown."""

GREETINGS = {
    "de": "wie geht es dir",
    "en": "how are you",
    "fr": "comment vas-tu",
    "hi": "आप कैसे हैं",
}
"""By source language, a sentence that is shown as well: its meaning everyone knows."""


class Sample(NamedTuple):
    source: str
    translation: str
    reference: str
    """Empty if there is none."""


class Evaluation(NamedTuple):
    """Of one set of parameters."""

    loss: float
    """Nats a token, smoothed as in training."""
    bleu: Score
    chrf: Score
    samples: list[Sample]

    def merit(self, metric: str) -> float:
        """The number to maximise for a `TrainingConfig.metric`."""
        match metric:
            case "loss":
                return -self.loss
            case "bleu":
                return self.bleu.value
            case _:
                return self.chrf.value


class Evaluator:
    """Evaluates parameters on one set of sentence pairs, always the same way.

    Args:
        pairs: normalised; the loss leaves out pairs longer than `data.max_length`.
        translated: how many of them are translated.
    """

    def __init__(
        self,
        cfg: Config,
        objective: Objective,
        tokenizers: Tokenizers,
        pairs: list[Pair],
        translated: int,
    ) -> None:
        self._mesh = objective.mesh
        self._pairs = pairs[:translated]
        greeting = GREETINGS.get(cfg.data.source)
        self._greetings = [] if greeting is None else [greeting]
        self._store = store.collect(map(tokenizers.encode, pairs))
        lengths = batches.lengths(self._store)
        fitting = lengths.max(axis=1) <= cfg.data.max_length
        shapes = batches.shapes(lengths[fitting], cfg.data.budget)
        self._plan = batches.Plan(lengths, fitting, shapes, accumulate=1, seed=0)
        whole = parallel.whole(self._mesh)
        self._loss = jax.jit(partial(_loss, objective), out_shardings=whole)
        self._gather = jax.jit(lambda params: params, out_shardings=whole)
        self._translator = Translator(
            objective.model, {}, tokenizers, cfg.data.max_length, self._mesh
        )

    @property
    def compilations(self) -> int:
        """Programs that the first evaluation compiles."""
        sources = [*(source for source, _ in self._pairs), *self._greetings]
        return len(self._plan.shapes) + len(self._translator.rooms(sources))

    def __call__(self, params: Params, strategy: Strategy | None = None) -> Evaluation:
        """Loss on all pairs; translations of the first ones, greedy by default."""
        sources, references = zip(*self._pairs, strict=True)
        translator = self._translator.with_params(self._gather(params))
        asked = [*sources, *self._greetings]
        found = translator.translate(asked, strategy=strategy or Greedy())
        texts = [translation.text for translation in found]
        expected = [*references, *("" for _ in self._greetings)]
        rows = list(map(Sample, asked, texts, expected))
        count = len(sources)
        return Evaluation(
            loss=self.loss(params),
            bleu=metrics.bleu(texts[:count], references),
            chrf=metrics.chrf(texts[:count], references),
            samples=[*rows[count:], *_spread(rows[:count])],
        )

    def loss(self, params: Params) -> float:
        """Mean over the tokens of all pairs that are not too long."""
        total, tokens = 0.0, 0
        held = partial(parallel.held, self._mesh)
        for batch in batches.once(self._store, self._plan, held):
            there = parallel.place(self._mesh, batch, before=1)
            loss, count = jax.device_get(self._loss(params, there))
            total, tokens = total + float(loss), tokens + int(count)
        return total / max(tokens, 1)


def _loss(objective: Objective, params: Params, batch: Batch) -> tuple[Array, Array]:
    part = jax.tree.map(lambda x: x[0], batch)  # one part: nothing accumulates
    return loss_sum(objective, parallel.gather(objective.mesh, params), part)


def _spread(rows: list[Sample]) -> list[Sample]:
    """`SAMPLES` of them from all over the set, always the same."""
    return rows[:: max(1, -(-len(rows) // SAMPLES))]
