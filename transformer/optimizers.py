"""Learning-rate schedules, and the optimizer as a chain of transformations."""

import jax
import jax.numpy as jnp
import optax

from transformer.axes import Params
from transformer.config import OptimizerConfig


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
    """Clip, then Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""
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
