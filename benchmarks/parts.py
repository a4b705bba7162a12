"""What the hand-made parts of the inner loop gain: python benchmarks/parts.py.

Prints the median time of each form in milliseconds and the ratio within this run. The
optimizer is compared with a program that only reads and writes the same arrays: as fast
as memory is.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from transformer import losses, optimizers
from transformer.config import OptimizerConfig
from transformer.dropout import keep_mask
from transformer.losses import Criterion

RUNS = 15


def milliseconds(function: Callable[..., Any], *arguments: Any) -> float:
    """The median of `RUNS` runs after one that compiles."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arguments))
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def compare(name: str, plain: float, ours: float) -> None:
    print(f"{name:50} {plain:8.1f} {ours:8.1f}   {plain / ours:.2f} ×")


def compare_losses(tokens: int, vocabulary: int, dim: int) -> None:
    key = jax.random.key(0)
    states = jax.random.normal(key, (tokens, dim))
    table = jax.random.normal(key, (vocabulary, dim)) / dim**0.5
    targets = jax.random.randint(key, (tokens,), 4, vocabulary)

    def plain(states, table):
        return losses.token_losses(states @ table.T, targets, 0.1).sum()

    def fused(states, table):
        return losses.projected_loss(states[:, None], table, targets, Criterion(0.1))

    times = [
        milliseconds(jax.value_and_grad(loss, (0, 1)), states, table)
        for loss in (plain, fused)
    ]
    compare(f"loss and gradients, {tokens} × {vocabulary} × {dim}", *times)


def compare_dropout(*shape: int) -> None:
    x, key = jnp.ones(shape), jax.random.key(0)

    def bernoulli(key, x):
        return jnp.where(jax.random.bernoulli(key, 0.9, x.shape), x / 0.9, 0)

    def hashed(key, x):
        return jnp.where(keep_mask(key, x.shape, 0.1), x / 0.9, 0)

    times = [milliseconds(dropout, key, x) for dropout in (bernoulli, hashed)]
    compare(f"dropout, {shape}", *times)


def compare_optimizer(moments: Any, *shape: int) -> None:
    """Parameters, gradients and two moments are read; all but gradients written."""
    settings = OptimizerConfig(peak=1e-3, warmup=10, moments=moments)
    optimizer = optimizers.make(settings, steps=10)
    keys = jax.random.split(jax.random.key(0), 4)
    arrays = [jax.random.normal(key, shape) for key in keys]
    params, gradients = arrays[:2]

    def memory(params, gradients, first, second):
        total = params + gradients + first + second
        return total, first + gradients, second + gradients

    def update(params, gradients, state):
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    times = [
        milliseconds(memory, *arrays),
        milliseconds(update, params, gradients, optimizer.init(params)),
    ]
    compare(f"optimizer, {shape}, first moment {moments}", *times)


if __name__ == "__main__":
    print(f"{jax.devices()[0].device_kind:50} {'plain':>8} {'ours':>8}   ratio")
    compare_losses(2048, 4000, 128)
    compare_losses(2048, 8000, 128)
    compare_losses(2048, 32000, 512)
    compare_dropout(64, 32, 256)
    compare_dropout(64, 32, 2048)
    for kind in ("float32", "bfloat16"):
        compare_optimizer(kind, 4096, 4096)
