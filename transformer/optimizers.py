"""Learning-rate schedules, and the optimizer as a chain of transformations."""

import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Int
from optax.contrib import MuonDimensionNumbers, muon

from transformer import paths
from transformer.axes import Params
from transformer.config import OptimizerConfig
from transformer.errors import InputError

FROZEN, TRAINED = "frozen", "trained"
MATRIX, OTHER = "matrix", "other"

MUON_AXES = (
    (r"attention/(query|key|value)/kernel", MuonDimensionNumbers(0, 2)),
    (r"attention/output/kernel", MuonDimensionNumbers(1, 2)),
    (r"feed_forward/(hidden|gate|output)/kernel", MuonDimensionNumbers(0, 1)),
)
"""Which axes of what ends in such a path are the rows and the columns of a matrix. Each
head has matrices of its own."""


def inverse_sqrt(peak: float, warmup: int) -> optax.Schedule:
    """Rises linearly to `peak` at step `warmup`, then falls as 1/√step.

    Equation 3 of the paper, where peak = (D · warmup)^-0.5.
    """
    return lambda step: (
        peak * jnp.minimum((step + 1) / warmup, jnp.sqrt(warmup / (step + 1)))
    )


def cosine(peak: float, warmup: int, steps: int) -> optax.Schedule:
    """Rises linearly to `peak` at step `warmup`, then falls as a cosine.

    The first step after `steps` would have rate 0, so that all of them learn.
    """
    if warmup > steps:
        raise ValueError(f"{warmup=} is more than {steps=}: nothing is left to fall.")

    def rate(step):
        fallen = jnp.maximum(step + 1 - warmup, 0) / (steps + 1 - warmup)
        fall = (1 + jnp.cos(jnp.pi * jnp.minimum(fallen, 1))) / 2
        return peak * jnp.minimum((step + 1) / warmup, 1.0) * fall

    return rate


def constant(peak: float, warmup: int) -> optax.Schedule:
    """Rises linearly to `peak` at step `warmup`, and stays."""
    return lambda step: peak * jnp.minimum((step + 1) / warmup, 1.0)


def schedule(cfg: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate at each of `steps` updates, counted from 0."""
    match cfg.schedule:
        case "inverse_sqrt":
            return inverse_sqrt(cfg.peak, cfg.warmup)
        case "cosine":
            return cosine(cfg.peak, cfg.warmup, steps)
        case "constant":
            return constant(cfg.peak, cfg.warmup)


def _decayed(params: Params) -> Params:
    """True for what weight decay applies to: not biases and not norms."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


@lru_cache
def make(cfg: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clip, then Adam or Muon, both with decoupled weight decay.

    With `optimizer.ema`, also what `average` returns. Of equal settings it is the same
    object, by which programs know each other.

    Raises:
        InputError: by `init`, if a pattern of `optimizer.freeze` begins no path.
    """
    learning = {"adam": _adam, "muon": _muon}[cfg.kind](cfg, schedule(cfg, steps))
    optimizer = optax.chain(clipping(cfg.max_norm), learning)
    if cfg.freeze:
        kinds: dict[Hashable, optax.GradientTransformation] = {
            FROZEN: optax.set_to_zero(),
            TRAINED: _with_a_norm_of_its_own(optimizer),
        }
        optimizer = optax.partition(kinds, partial(_kinds, cfg.freeze))
    return optax.chain(optimizer, _averaging(cfg.ema)) if cfg.ema else optimizer


def clipping(max_norm: float) -> optax.GradientTransformationExtraArgs:
    """Shortens gradients whose norm, of all of them together, is above `max_norm`.

    Pascanu et al. 2013, algorithm 1; as `optax.clip_by_global_norm`, but by one factor,
    and who knows the `norm` may pass it to the update.
    """

    def update(
        updates: Any, state: Any, params: Any = None, *, norm: Any = None, **_: Any
    ):
        norm = optax.tree.norm(updates) if norm is None else norm
        factor = max_norm / jnp.maximum(norm, max_norm)
        return jax.tree.map(lambda g: factor * g, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def _with_a_norm_of_its_own(
    optimizer: optax.GradientTransformation,
) -> optax.GradientTransformation:
    """It is not told the norm: that would be of gradients it does not get, too."""

    def update(updates: Any, state: Any, params: Any = None):
        return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


def _adam(cfg: OptimizerConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """The decay is of Loshchilov & Hutter 2019."""
    return optax.chain(
        scaling_by_adam(cfg.b1, cfg.b2, cfg.eps, cfg.moments),
        optax.add_decayed_weights(cfg.weight_decay, mask=_decayed),
        optax.scale_by_learning_rate(rate),
    )


def scaling_by_adam(
    b1: float, b2: float, eps: float, moments: DTypeLike
) -> optax.GradientTransformation:
    """Kingma & Ba 2015, algorithm 1 in the order of the end of its section 2.

    As `optax.scale_by_adam`, whose state it has, but each element is divided once, by
    its own root. What is divided by bias corrections first XLA:CPU writes out, a pass
    over all parameters more (benchmarks/RESULTS.md).

    Args:
        moments: the type in which the first moment is kept.
    """

    def init(params: Params) -> optax.ScaleByAdamState:
        first = jax.tree.map(lambda p: jnp.zeros_like(p, dtype=moments), params)
        second = jax.tree.map(jnp.zeros_like, params)
        return optax.ScaleByAdamState(jnp.zeros((), jnp.int32), first, second)

    def update(updates: Any, state: Any, params: Any = None):
        count = optax.safe_increment(state.count)
        first = jax.tree.map(
            lambda g, m: (1 - b1) * g + b1 * m.astype(g.dtype), updates, state.mu
        )
        second = jax.tree.map(lambda g, v: (1 - b2) * g * g + b2 * v, updates, state.nu)
        root = jnp.sqrt(1 - b2**count)
        rate = root / (1 - b1**count)
        updates = jax.tree.map(
            lambda m, v: rate * m / (jnp.sqrt(v) + eps * root), first, second
        )
        kept = jax.tree.map(lambda m: m.astype(moments), first)
        return updates, optax.ScaleByAdamState(count, kept, second)

    return optax.GradientTransformation(init, update)


def _muon(cfg: OptimizerConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """Jordan et al. 2024, for the matrices of layers; Adam for all else.

    Its updates are made as large, element by element, as Adam's are found to be, so
    that one learning rate serves both (Liu et al. 2025, section 2.2).
    """
    of_matrices = muon(
        rate,
        mu_dtype=cfg.moments,
        weight_decay=cfg.weight_decay,
        muon_weight_dimension_numbers=partial(_by_path, _muon_axes),
        consistent_rms=0.2,
    )

    def kind(path: str) -> str:
        return MATRIX if _muon_axes(path) else OTHER

    kinds: dict[Hashable, optax.GradientTransformation] = {
        MATRIX: of_matrices,
        OTHER: _adam(cfg, rate),
    }
    return optax.partition(kinds, partial(_by_path, kind))


def _muon_axes(path: str) -> MuonDimensionNumbers | None:
    """How Muon reads the parameter of a path, if as matrices."""
    return next((axes for end, axes in MUON_AXES if re.search(f"{end}$", path)), None)


def _by_path(of: Callable[[str], Any], params: Params) -> Any:
    """A tree like the parameters, of what `of` makes of their paths."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: of(paths.name(path)), params
    )


class _Averaged(NamedTuple):
    average: Params
    seen: Int[Array, ""]
    """Updates so far."""


def _averaging(decay: float) -> optax.GradientTransformation:
    """Changes no update, but keeps the average of the parameters that they lead to.

    The first ones weigh more, so that where they began is soon forgotten.
    """

    def init(params: Params) -> _Averaged:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return _Averaged(zeros, jnp.zeros((), jnp.int32))

    def update(updates: Params, state: Any, params: Params | None = None):
        assert params is not None, "an average of parameters needs them"
        new = optax.apply_updates(params, updates)
        kept = jnp.minimum(decay, state.seen / (state.seen + 10))
        average = jax.tree.map(  # in this form, what stays as it is keeps its bits
            lambda old, now: old + (1 - kept) * (now - old), state.average, new
        )
        return updates, _Averaged(average, state.seen + 1)

    return optax.GradientTransformation(init, update)


def average(state: optax.OptState) -> Params | None:
    """The moving average of the parameters, if `optimizer.ema` keeps one.

    Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging",
    with weights that fall exponentially into the past.
    """
    return optax.tree.get(state, "average", None)


def averaging_from(state: optax.OptState, params: Params) -> optax.OptState:
    """The state with its moving average, if any, at `params` instead."""
    if average(state) is None:
        return state
    return optax.tree.set(state, average=jax.tree.map(jnp.copy, params))


def _kinds(patterns: Sequence[str], params: Params) -> Params:
    """Which of the two optimizers each parameter has."""
    unused = set(patterns)

    def kind(path: str) -> str:
        inside = path.removeprefix("params/")
        matching = {pattern for pattern in patterns if re.match(pattern, inside)}
        unused.difference_update(matching)
        return FROZEN if matching else TRAINED

    kinds = _by_path(kind, params)
    if unused:
        raise InputError(
            f"optimizer.freeze names {', '.join(sorted(unused))}, but no parameter "
            f"begins so. There are {', '.join(params['params'])}."
        )
    return kinds


def updates(state: optax.OptState) -> int:
    """How many an optimizer has made, those of an inherited state included."""
    counts = optax.tree.get_all_with_path(state, "count")
    return max(int(count) for _, count in counts)
