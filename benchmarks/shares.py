"""Which part of a training step takes how much of its time, found in two ways.

**By removal**, in wall time: the step is compiled again without dropout, without the
optimizer (clipping, Adam and the new parameters), and without projection and loss (half
the sum of the squared states instead); batches already on the device, instead of the
stream, show what the input costs. Programs take turns, and a part is the difference of
medians. Limits: a compiler may fuse and order the rest differently once a part is gone,
parts that overlap in time look cheaper than they are, and a part of a per cent or two
drowns in noise, so that it may come out below zero.

**By trace**, in time of operations summed over threads or streams: the profiler says
how long each operation of the compiled program ran, less what ran nested within it, and
the program says which module the operation came from. Limits: a fusion counts for the
module of its last operation, so that dropout and norms beside it blur; waiting counts
for nothing; on a GPU set XLA_FLAGS=--xla_gpu_enable_command_buffer= or operations
replayed as a CUDA graph may lack their names. The trace opens in TensorBoard, XProf or
Perfetto.

Measured on the most frequent shape of batch.
"""

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.profiler import ProfileData

from benchmarks import measure
from benchmarks.measure import Programs
from benchmarks.work import PLAIN_LOSS, UPDATES, Task
from transformer import batches
from transformer.batches import Batch, Held, Plan, Shape
from transformer.errors import InputError

BATCHES = 8
"""Different ones of the shape, which come round again."""

ROUNDS = 5
"""Turns that each program takes."""

TURN_SECONDS = 0.5
"""Of each program in each round, about; at least one step."""

TRACED = 3
"""Steps in the trace."""

PARTS = {
    "dropout": r"dropout",
    "norms": r"norm\b",
    "attention": r"attention|attend|memory",
    "feed-forward": r"feed_forward",
    "embedding": r"embedding|positions",
    "layers, other": r"Transformer",
    "projection and loss": r"jvp\(",
    "optimizer and the rest": r".",
}
"""By the path of an operation: the first that is found names its part. What is
differentiated but in no module is the loss; what is not differentiated comes after."""

Shares = dict[str, float]


class Found(NamedTuple):
    removal: Shares
    trace: Shares


class _Loop:
    """Steps of one program on its own state, timed without the first few."""

    def __init__(self, task: Task, programs: Programs, stream: Iterator[Batch]) -> None:
        self._update, self._state, self._stream = programs.update, task.state(), stream
        self.seconds(measure.WARM_UP)

    def seconds(self, steps: int) -> float:
        """Of one step, over several without a wait between them."""
        start = time.perf_counter()
        for batch in islice(self._stream, steps):
            self._state, _ = self._update(self._state, batch)
        jax.block_until_ready(self._state)
        return (time.perf_counter() - start) / steps


class _Chosen(Plan):
    """A plan of some batches of another, again and again."""

    def __init__(self, plan: Plan, numbers: list[int]) -> None:
        self._plan, self._numbers = plan, numbers

    def batch(
        self, number: int, held: Held = range
    ) -> tuple[Shape, list[list[np.ndarray]]]:
        return self._plan.batch(self._numbers[number % len(self._numbers)], held)


def of(task: Task, folder: Path) -> dict[str, Shares]:
    """Shares of a step by part, both ways; leaves a trace in `folder`."""
    shape = task.plan.shapes[-1]  # what most pairs fit
    every = range(task.plan.per_epoch)
    numbers = [n for n in every if task.plan.batch(n)[0] == shape][:BATCHES]
    chosen = _Chosen(task.plan, numbers)
    there = [
        jax.device_put(batches.assemble(task.store, *chosen.batch(i)))
        for i in range(len(numbers))
    ]
    programs = measure.compile_all(task, [shape])
    loops = {
        "all": _Loop(task, programs, batches.stream(task.store, chosen, UPDATES)),
        "input": _Loop(task, programs, cycle(there)),
    }
    for part, smaller in _without(task).items():
        loops[part] = _Loop(
            smaller, measure.compile_all(smaller, [shape]), cycle(there)
        )
    return Found(
        _by_removal(_take_turns(loops)),
        _by_trace(loops["all"], programs, folder),
    )._asdict()


def _without(task: Task) -> dict[str, Task]:
    """The task less one part each."""
    dry = dataclasses.replace(task.cfg.model, dropout=0.0)
    return {
        "dropout": task._replace(model=task.model.clone(cfg=dry)),
        "optimizer": task._replace(optimizer=optax.set_to_zero()),
        "projection and loss": task._replace(
            others=(PLAIN_LOSS._replace(function=_no_loss),)
        ),
    }


def _no_loss(states: jax.Array, *_: Any) -> jax.Array:
    """Something to differentiate that costs next to nothing."""
    return jnp.square(states.astype(jnp.float32)).sum() / 2


def _take_turns(loops: dict[str, _Loop]) -> dict[str, float]:
    """Seconds of a step of each loop, the median over rounds."""
    steps = max(1, round(TURN_SECONDS / loops["all"].seconds(1)))
    rounds = [
        {name: loop.seconds(steps) for name, loop in loops.items()}
        for _ in range(ROUNDS)
    ]
    return {name: median(turn[name] for turn in rounds) for name in loops}


def _by_removal(seconds: dict[str, float]) -> Shares:
    whole, there = seconds.pop("all"), seconds.pop("input")
    shares = {part: (there - rest) / whole for part, rest in seconds.items()}
    shares["input"] = (whole - there) / whole
    return {"layers and embedding": 1 - sum(shares.values())} | shares


def _by_trace(loop: _Loop, programs: Programs, folder: Path) -> Shares:
    with jax.profiler.trace(str(folder)):
        loop.seconds(TRACED)
    (program,) = programs.compiled.values()
    paths = operation_paths(program.as_text() or "")
    files = sorted(folder.rglob("*.xplane.pb"), key=lambda file: file.stat().st_mtime)
    total: Counter[str] = Counter()
    planes = list(ProfileData.from_file(str(files[-1])).planes)
    for operation, nanoseconds in _self_times(planes):
        total[part_of(paths.get(operation, ""))] += nanoseconds
    if not total:
        raise InputError(f"The trace in {folder} names no operation of the program.")
    return {part: ns / total.total() for part, ns in total.most_common()}


def operation_paths(program: str) -> dict[str, str]:
    """From the text of a compiled program: the module path of each operation."""
    line = re.compile(r'^\s+(?:ROOT )?%?([\w.\-]+) = .*op_name="([^"]*)"', re.MULTILINE)
    return dict(line.findall(program))


def part_of(path: str) -> str:
    """The part that an operation belongs to, e.g. "attention"."""
    found = (part for part, mark in PARTS.items() if re.search(mark, path))
    return next(found, "without a name")


def _self_times(planes: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Each run of an operation, and its nanoseconds less those of nested ones."""
    on_device = [p for p in planes if p.name.startswith("/device:")]
    for plane in on_device or planes:
        for line in plane.lines:
            yield from _less_nested(_operations(line.events))


def _operations(events: Iterable[Any]) -> list[tuple[int, int, str]]:
    """Start, end and name of those events that are operations, in order."""
    found = []
    for event in events:
        name = next((value for key, value in event.stats if key == "hlo_op"), None)
        if name is not None:
            found.append((int(event.start_ns), int(event.end_ns), name))
    return sorted(found, key=lambda event: (event[0], -event[1]))


def _less_nested(events: list[tuple[int, int, str]]) -> Iterator[tuple[str, int]]:
    """Takes each event's time off the one around it."""
    own = [end - start for start, end, _ in events]
    around: list[int] = []
    for number, (start, end, _) in enumerate(events):
        while around and events[around[-1]][1] <= start:
            around.pop()
        if around:
            own[around[-1]] -= end - start
        around.append(number)
    return zip((name for _, _, name in events), own, strict=True)


def report(shares: dict[str, Shares]) -> str:
    """Both tables for people."""
    titles = {
        "removal": "share of a step's wall time, by removal",
        "trace": "share of the time of all operations, by trace",
    }
    lines = []
    for way, parts in shares.items():
        lines.append(titles[way])
        lines += [f"  {part:24}{share:7.1%}" for part, share in parts.items()]
    return "\n".join(lines)
