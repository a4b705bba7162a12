"""Times, rates, memory and compilation of a task on the device at hand."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.stages import Compiled
from jax.typing import DTypeLike

from benchmarks.work import Task, Update
from transformer import backend, batches, products
from transformer.batches import Batch, Shape
from transformer.step import TrainState
from transformer.symbols import PAD

WARM_UP = 3
"""Steps that are not timed."""

REPEATS = 5
"""Of each matrix product, of which the fastest counts."""


class Window(NamedTuple):
    """Some steps one after another, with one wait at the end."""

    tokens: int
    """Target tokens learnt from, padding left out."""
    steps: int
    seconds: float

    @property
    def rate(self) -> float:
        """Target tokens per second."""
        return self.tokens / self.seconds


class Spread(NamedTuple):
    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))


class Programs(NamedTuple):
    """The update, compiled for every shape of a task, and what that took."""

    compiled: dict[tuple[int, ...], Compiled]
    """By the shape of the labels."""
    trace_seconds: float
    lower_seconds: float
    compile_seconds: float

    def update(self, state: TrainState, batch: Batch) -> tuple[TrainState, Any]:
        return self.compiled[batch.labels.shape](state, batch)

    def most(self, kind: str) -> int:
        """Bytes of that kind in the program that has most of them."""
        analyses = [program.memory_analysis() for program in self.compiled.values()]
        return max(getattr(analysis, f"{kind}_size_in_bytes") for analysis in analyses)


def compile_all(
    task: Task, shapes: Sequence[Shape] | None = None, accumulate: int = 1
) -> Programs:
    """Compiles as training does, ahead of time, but without the persistent cache.

    Args:
        shapes: of the batches to come, if not all of the task's plan.
        accumulate: parts of each update.
    """
    jax.config.update("jax_enable_compilation_cache", val=False)
    state = jax.eval_shape(task.state)
    jitted = jax.jit(task.step(), donate_argnums=0)
    compiled, seconds = {}, []
    for shape in shapes or task.plan.shapes:
        example = batches.example(shape, accumulate)
        clock = [time.perf_counter()]
        traced = jitted.trace(state, example)
        clock.append(time.perf_counter())
        lowered = traced.lower()
        clock.append(time.perf_counter())
        compiled[example.labels.shape] = lowered.compile()
        clock.append(time.perf_counter())
        seconds.append([end - start for start, end in pairwise(clock)])
    return Programs(compiled, *map(sum, zip(*seconds, strict=True)))


class Runner:
    """Takes steps, window by window; the state lives on between them."""

    def __init__(
        self,
        update: Update,
        state: TrainState,
        stream: Iterator[Batch],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._update, self._state, self._stream = update, state, stream
        self._clock = clock

    def window(self, steps: int) -> Window:
        """As training: the host waits for a step while the device works on the next."""
        tokens, last = 0, None
        start = self._clock()
        for batch in islice(self._stream, steps):
            self._state, metrics = self._update(self._state, batch)
            tokens += int((batch.labels != PAD).sum())
            jax.block_until_ready(last)
            last = metrics
        jax.block_until_ready(self._state)
        return Window(tokens, steps, self._clock() - start)

    def steps_in(self, seconds: float) -> int:
        """How many steps take about so long, at least one. Warms up."""
        self.window(WARM_UP)
        taken = self.window(WARM_UP).seconds / WARM_UP
        return max(1, round(seconds / taken))


def input_rate(stream: Iterator[Batch], batches: int) -> float:
    """Target tokens per second that the pipeline gives when nobody computes."""
    next(stream)
    start, tokens = time.perf_counter(), 0
    for batch in islice(stream, batches):
        tokens += int((batch.labels != PAD).sum())
    return tokens / (time.perf_counter() - start)


def matmul_rate(dtype: DTypeLike) -> float:
    """Operations per second of the fastest of some large products in `dtype`."""
    sides = (1024, 1536, 2048) if backend.on_cpu() else (4096, 8192, 16384)
    return max(_product_rate(side, dtype) for side in sides)


def _product_rate(side: int, dtype: DTypeLike) -> float:
    written = jnp.float32 if backend.on_cpu() else dtype  # as the layers have it
    product = jax.jit(partial(products.multiply, dtype=written))
    a, b = jax.random.normal(jax.random.key(0), (2, side, side), dtype)
    in_a_row = 1 if backend.on_cpu() else 20  # so that dispatch costs nothing
    seconds = min(_seconds(lambda: product(a, b), in_a_row) for _ in range(REPEATS))
    return 2 * side**3 / seconds


def _seconds(function: Callable[[], jax.Array], times: int) -> float:
    """Of one call among `times` without a wait between them, after one more."""
    function().block_until_ready()
    start = time.perf_counter()
    jax.block_until_ready([function() for _ in range(times)])
    return (time.perf_counter() - start) / times


def peak_rss() -> int:
    """Bytes of main memory that this process has held at most so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_device_memory() -> int | None:
    """Bytes that arrays and programs have held at most on a device; None on a CPU."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use")
