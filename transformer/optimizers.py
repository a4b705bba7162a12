"""Learning-rate schedules, and the optimizer as a chain of transformations."""

import re
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from transformer.axes import Params
from transformer.config import OptimizerConfig
from transformer.errors import InputError

FROZEN, TRAINED = "frozen", "trained"


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


def _matrices(params: Params) -> Params:
    """True for what weight decay applies to: not biases and not norms."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def make(cfg: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """Clip, then Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    With `optimizer.ema`, also what `average` returns.

    Raises:
        InputError: by `init`, if a pattern of `optimizer.freeze` begins no path.
    """
    adam = _adam(cfg, steps)
    if cfg.freeze:
        kinds: dict[Hashable, optax.GradientTransformation] = {
            FROZEN: optax.set_to_zero(),
            TRAINED: adam,
        }
        adam = optax.partition(kinds, partial(_kinds, cfg.freeze))
    return optax.chain(adam, _averaging(cfg.ema)) if cfg.ema else adam


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

    def kind(path: Any, leaf: jax.Array) -> str:
        del leaf
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        inside = name.removeprefix("params/")
        matching = {pattern for pattern in patterns if re.match(pattern, inside)}
        unused.difference_update(matching)
        return FROZEN if matching else TRAINED

    kinds = jax.tree_util.tree_map_with_path(kind, params)
    if unused:
        raise InputError(
            f"optimizer.freeze names {', '.join(sorted(unused))}, but no parameter "
            f"begins so. There are {', '.join(params['params'])}."
        )
    return kinds


def _adam(cfg: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(cfg.max_norm),
        optax.adamw(
            schedule(cfg, steps),
            b1=cfg.b1,
            b2=cfg.b2,
            eps=cfg.eps,
            mu_dtype=cfg.moments,
            weight_decay=cfg.weight_decay,
            mask=_matrices,
        ),
    )


def updates(state: optax.OptState) -> int:
    """How many an optimizer has made, those of an inherited state included."""
    counts = optax.tree.get_all_with_path(state, "count")
    return max(int(count) for _, count in counts)
