"""How good a set of parameters is: loss, BLEU, chrF, and a few translations to read."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from transformer import batches, metrics, parallel, store
from transformer.axes import Params
from transformer.batches import Batch, Plan, Shape
from transformer.cleaning import Pair
from transformer.config import Config
from transformer.dataset import Held
from transformer.errors import InputError
from transformer.metrics import Score
from transformer.step import Objective, loss_sum
from transformer.store import Store
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

    def value(self, metric: str) -> float:
        """Loss, bleu or chrf as a number."""
        match metric:
            case "loss":
                return self.loss
            case "bleu":
                return self.bleu.value
            case _:
                return self.chrf.value


class Evaluations(NamedTuple):
    """Of one set of parameters, on each of several sets of pairs by its name."""

    of: dict[str, Evaluation]

    def mean(self, metric: str) -> float:
        """Of loss, bleu or chrf, over the sets, each of which counts the same."""
        return fmean(one.value(metric) for one in self.of.values())

    def merit(self, metric: str) -> float:
        """The number to maximise for a `TrainingConfig.metric`."""
        return -self.mean(metric) if metric == "loss" else self.mean(metric)


class _Set(NamedTuple):
    """Sentence pairs, ready to be evaluated on."""

    pairs: list[Pair]
    """Those that are translated."""
    greetings: list[str]
    """Translated as well, to be shown."""
    store: Store
    plan: Plan
    translator: Translator


class Evaluator:
    """Evaluates parameters on sets of sentence pairs, always the same way.

    Args:
        held: normalised pairs; the loss leaves out those longer than `data.max_length`.
        translated: how many pairs of each set are translated; None for all.

    Raises:
        InputError: if all pairs of a set are too long.
    """

    def __init__(
        self,
        cfg: Config,
        objective: Objective,
        tokenizers: Tokenizers,
        held: Sequence[Held],
        translated: int | None,
    ) -> None:
        self._mesh, longest = objective.mesh, cfg.data.max_length
        targets = tuple(dict.fromkeys(one.corpus.target for one in held))
        translator = Translator(
            objective.model, {}, tokenizers, longest, self._mesh, targets=targets
        )
        stores = [_collected(tokenizers, one, longest) for one in held]
        every = np.concatenate([batches.lengths(one) for one in stores])
        self._shapes = batches.shapes(every, cfg.data.budget)
        self._sets = {
            name: _Set(
                one.pairs[:translated],
                _greetings(one.corpus.source),
                stored,
                _plan(stored, self._shapes),
                translator.toward(one.corpus.target),
            )
            for name, one, stored in zip(_names(held), held, stores, strict=True)
        }
        self._loss, self._gather = _programs(objective)

    @property
    def compilations(self) -> int:
        """Programs that the first evaluation compiles."""
        rooms = [
            one.translator.rooms([*(source for source, _ in one.pairs), *one.greetings])
            for one in self._sets.values()
        ]
        return len(self._shapes) + len(set().union(*rooms))

    def __call__(self, params: Params, strategy: Strategy | None = None) -> Evaluations:
        """Loss on all pairs; translations of the first ones, greedy by default."""
        gathered, strategy = self._gather(params), strategy or Greedy()
        return Evaluations(
            {
                name: self._evaluation(one, params, gathered, strategy)
                for name, one in self._sets.items()
            }
        )

    def _evaluation(
        self, one: _Set, params: Params, gathered: Params, strategy: Strategy
    ) -> Evaluation:
        sources, references = zip(*one.pairs, strict=True)
        translator = one.translator.with_params(gathered)
        asked = [*sources, *one.greetings]
        found = translator.translate(asked, strategy=strategy)
        texts = [translation.text for translation in found]
        expected = [*references, *("" for _ in one.greetings)]
        rows = list(map(Sample, asked, texts, expected))
        count = len(sources)
        return Evaluation(
            loss=self._mean_loss(one, params),
            bleu=metrics.bleu(texts[:count], references),
            chrf=metrics.chrf(texts[:count], references),
            samples=[*rows[count:], *_spread(rows[:count])],
        )

    def _mean_loss(self, one: _Set, params: Params) -> float:
        """Over the tokens of all pairs that are not too long."""
        held = partial(parallel.held, self._mesh)
        found = [
            self._loss(params, parallel.place(self._mesh, batch, before=1))
            for batch in batches.once(one.store, one.plan, held)
        ]
        losses, counts = zip(*jax.device_get(found), strict=True)
        return sum(map(float, losses)) / sum(map(int, counts))


def _names(held: Sequence[Held]) -> list[str]:
    """What each set is called in reports: without its folder, if that is enough."""
    corpora = [one.corpus for one in held]
    short, long = (
        [f"{name_of(c.name)} {c.direction}" for c in corpora]
        for name_of in (lambda name: Path(name).name, str)
    )
    return short if len(set(short)) == len(short) else long


def _greetings(language: str) -> list[str]:
    return [GREETINGS[language]] if language in GREETINGS else []


def _collected(tokenizers: Tokenizers, held: Held, longest: int) -> Store:
    """The ids of the pairs that are not too long."""
    encode = tokenizers.toward(held.corpus.target).encode
    fitting = [
        ids for ids in map(encode, held.pairs) if max(map(len, ids)) + 1 <= longest
    ]
    if not fitting:
        raise InputError(
            f"Every pair of the corpus {held.corpus} has more than "
            f"data.max_length={longest} tokens on a side. Raise it."
        )
    return store.collect(fitting)


def _plan(stored: Store, shapes: list[Shape]) -> Plan:
    every = np.ones(stored.size, bool)
    return Plan(batches.lengths(stored), every, shapes, accumulate=1, seed=0)


@lru_cache
def _programs(objective: Objective) -> tuple[Callable[..., Any], Callable[..., Params]]:
    """The loss of a batch, and whole parameters; traced once for all evaluators."""
    whole = parallel.whole(objective.mesh)
    return (
        jax.jit(partial(_loss, objective), out_shardings=whole),
        jax.jit(lambda params: params, out_shardings=whole),
    )


def _loss(objective: Objective, params: Params, batch: Batch) -> tuple[Array, Array]:
    part = jax.tree.map(lambda x: x[0], batch)  # one part: nothing accumulates
    return loss_sum(objective, parallel.gather(objective.mesh, params), part)


def _spread(rows: list[Sample]) -> list[Sample]:
    """`SAMPLES` of them from all over the set, always the same."""
    return rows[:: max(1, -(-len(rows) // SAMPLES))]
