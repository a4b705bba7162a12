"""The work that is measured: which network learns from which batches.

All regimes use the network of the paper (post-norm, ReLU, sinusoidal positions, one
table for both sides and the projection), dropout 0.1, label smoothing 0.1, Adam and
clipping: whatever `train.py` would run with these settings.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Literal, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from benchmarks import pairs
from transformer import (
    attention,
    batches,
    devices,
    feed_forward,
    losses,
    norms,
    optimizers,
    parallel,
    store,
)
from transformer.batches import Batch, Plan, Shape
from transformer.config import (
    Config,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.errors import InputError
from transformer.losses import Criterion
from transformer.model import Transformer
from transformer.step import Objective, TrainState, initial_state, train_step
from transformer.store import Store
from transformer.symbols import PAD


class Size(NamedTuple):
    """Of a network with `layers` layers on each side."""

    layers: int
    dim: int
    hidden_dim: int
    num_heads: int


SIZES = {
    "tiny": Size(4, 128, 256, 4),
    "base": Size(6, 512, 2048, 8),
    "big": Size(6, 1024, 4096, 16),
}

DISTINCT = 8
"""Different dense batches; they come round again."""

SPECIAL = 4
"""Ids below are no words; random sentences do not use them."""

UPDATES = 1_000_000
"""Batches that the stream can give: more than anyone measures."""

Update = Callable[[TrainState, Batch], tuple[TrainState, Any]]
Dtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class CommonWork:
    """Network and batches, as ours and the rivals know them.

    The defaults are those of the tables in RESULTS.md.
    """

    model: Literal["tiny", "base", "big"] = "tiny"
    regime: Literal["dense", "real"] = "dense"
    """Full rows of random tokens, or the captions of Multi30k En-De, packed."""
    tokens: int = 2048
    """Target positions of a batch."""
    length: int = 32
    """Positions of each dense sentence on each side, EOS or BOS included."""
    vocabulary: int = 8000
    """Pieces; for real sentences the tokenizer is trained to that many."""
    layers: int | None = None
    """On each side, if not those of the model."""

    def __post_init__(self) -> None:
        if self.length < 2 or self.tokens < self.length:
            raise InputError(
                f"--length {self.length} must be at least 2 and at most --tokens "
                f"{self.tokens}."
            )
        if self.vocabulary <= SPECIAL:
            raise InputError(f"--vocabulary {self.vocabulary} must exceed {SPECIAL}.")


@dataclass(frozen=True, kw_only=True)
class Work(CommonWork):
    """And how we do it."""

    dtype: Dtype = "auto"
    """Type of the products; auto is float32 on a CPU and bfloat16 elsewhere."""
    formulation: Literal["ours", "plain-loss", "plain"] = "ours"
    """`plain-loss` holds the logits as a whole and differentiates through; `plain` does
    so with norms, activations and the weights of attention, too."""
    remat: Literal["none", "dots", "layers"] = "none"
    """What the backward pass computes again; see `TrainingConfig`."""


class Other(NamedTuple):
    """A function in the place of ours."""

    module: ModuleType
    name: str
    function: Callable[..., Any]


class Task(NamedTuple):
    """What a `Work` comes to: all that a training loop needs."""

    cfg: Config
    model: Transformer
    optimizer: optax.GradientTransformation
    store: Store
    plan: Plan
    others: tuple[Other, ...] = ()
    """What the step computes instead of ours."""

    def stream(self) -> Iterator[Batch]:
        """Batches as in training, fetched ahead by threads."""
        return batches.stream(self.store, self.plan, UPDATES)

    def state(self) -> TrainState:
        """Random parameters and fresh moments, every array a buffer of its own."""
        fresh = partial(initial_state, self.model, self.optimizer)
        return jax.jit(fresh, static_argnums=0)(self.cfg.training.seed)

    def step(self) -> Update:
        """The pure update, with what this task has instead of ours."""
        smoothing = self.cfg.training.label_smoothing
        objective = Objective(self.model, Criterion(smoothing), parallel.alone())
        step = partial(train_step, objective, self.optimizer)

        def update(state: TrainState, batch: Batch) -> tuple[TrainState, Any]:
            with _using(self.others):
                return step(state, batch)

        return update


def task(work: Work) -> Task:
    """Makes, or reads, what `work` names."""
    if work.regime == "dense":
        sentences, vocabulary = _random(work), work.vocabulary
        shapes = [Shape(work.tokens // work.length, work.length, work.length)]
        lengths = batches.lengths(sentences)
    else:
        sentences, vocabulary = pairs.read(pairs.file(work.vocabulary))
        lengths = batches.lengths(sentences)
        shapes = batches.shapes(lengths, work.tokens)
    cfg = config(work, vocabulary)
    return Task(
        cfg=cfg,
        model=Transformer(cfg.model, devices.dtype(cfg.training.precision), work.remat),
        optimizer=optimizers.make(cfg.optimizer, cfg.training.steps),
        store=sentences,
        plan=Plan(lengths, np.ones(len(lengths), bool), shapes, 1, cfg.training.seed),
        others=FORMULATIONS[work.formulation],
    )


def config(work: Work, vocabulary: int) -> Config:
    """The settings of a training run that does this work."""
    size = SIZES[work.model]
    layers = size.layers if work.layers is None else work.layers
    return Config(
        model=ModelConfig(
            vocab_size=vocabulary,
            dim=size.dim,
            hidden_dim=size.hidden_dim,
            num_heads=size.num_heads,
            encoder_layers=layers,
            decoder_layers=layers,
        ),
        optimizer=OptimizerConfig(peak=1e-3, warmup=4000),
        training=TrainingConfig(steps=UPDATES, precision=work.dtype),
    )


def plain_loss(
    states: Float[Array, "n 1 D"],
    table: Float[Array, "V D"],
    targets: Int[Array, " n"],
    criterion: Criterion,
) -> Float[Array, ""]:
    """`losses.projected_loss` by its definition: every score of every token at once."""
    logits = jnp.einsum(
        "nD,VD->nV",
        states[:, 0],
        table.astype(states.dtype),
        preferred_element_type=jnp.float32,
    )
    each = losses.token_losses(logits, targets, criterion.smoothing)
    return each.sum(where=targets != PAD)


PLAIN_LOSS = Other(losses, "projected_loss", plain_loss)

FORMULATIONS = {
    "ours": (),
    "plain-loss": (PLAIN_LOSS,),
    "plain": (
        PLAIN_LOSS,
        Other(norms, "normalised", norms.by_definition),
        Other(attention, "softmax", attention.softmax_by_definition),
        Other(feed_forward, "cheaper_than_kept", lambda dtype: False),
    ),
}


@contextmanager
def _using(others: Sequence[Other]) -> Iterator[None]:
    """What is traced within computes these; the rest of the step stays what it is."""
    with ExitStack() as stack:
        calls = [
            stack.enter_context(mock.patch.object(module, name, wraps=function))
            for module, name, function in others
        ]
        yield
    for other, call in zip(others, calls, strict=True):
        assert call.called, f"the step no longer calls {other.name}"


def _random(work: Work) -> Store:
    """`DISTINCT` batches of full sentences."""
    count = DISTINCT * (work.tokens // work.length)
    size = (2, count, work.length - 1)  # EOS or BOS takes the last position
    ids = np.random.default_rng(0).integers(SPECIAL, work.vocabulary, size)
    return store.collect(zip(*ids.tolist(), strict=True))
