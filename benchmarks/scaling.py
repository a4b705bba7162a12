"""How cost grows with the work: python -m benchmarks.scaling [--axis length].

Full training steps, as in benchmarks/train.py, with one quantity after another changed
and the others as in `Work`. All points of an axis are compiled first and take turns, a
window each; the fastest window of each counts, since what disturbs a step only adds to
it. Each row says how many times the first row's seconds and operations (formula:
benchmarks/flops.py) it takes. Where cost grows as it should, the two are alike.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from benchmarks import cli, flops, measure
from benchmarks.measure import Runner
from benchmarks.work import Task, Work, task
from transformer import batches

Axis = Literal["tokens", "length", "layers", "vocabulary"]

VALUES: dict[Axis, tuple[int, ...]] = {
    "tokens": (512, 1024, 2048, 4096),
    "length": (32, 64, 128, 256),
    "layers": (1, 2, 4, 8),
    "vocabulary": (4000, 8000, 16_000, 32_000),
}

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclass(frozen=True, kw_only=True)
class Command:
    work: Annotated[Work, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=Work
    )
    axis: Axis | None = None
    """What changes; None measures each in turn."""
    seconds: float = 1.0
    """Of a window, about."""
    windows: int = 5
    """Turns that each point takes."""
    clock: Literal["wall", "cpu"] = "wall"
    """cpu counts this process's own seconds, for a core that others use as well."""


class Point(NamedTuple):
    value: int
    seconds: float
    """Of a step."""
    tokens: float
    """Target tokens of a step."""
    operations: float
    """Of a step."""


def measured(command: Command, axis: Axis, values: tuple[int, ...]) -> list[Point]:
    works: list[Any] = [
        dataclasses.replace(command.work, **{axis: value}) for value in values
    ]
    tasks = [task(work) for work in works]
    turns = [_turn(made, command) for made in tasks]
    rounds = [[turn() for turn in turns] for _ in range(command.windows)]
    fastest = [
        max(windows, key=lambda w: w.rate) for windows in zip(*rounds, strict=True)
    ]
    return [
        Point(
            value,
            window.seconds / window.steps,
            window.tokens / window.steps,
            _operations(made) * window.tokens / window.steps,
        )
        for value, made, window in zip(values, tasks, fastest, strict=True)
    ]


def _turn(made: Task, command: Command) -> Callable[[], measure.Window]:
    programs = measure.compile_all(made)
    clock = CLOCKS[command.clock]
    runner = Runner(programs.update, made.state(), made.stream(), clock)
    steps = runner.steps_in(command.seconds)
    return lambda: runner.window(steps)


def _operations(made: Task) -> float:
    return flops.per_target_token(made.cfg.model, batches.lengths(made.store))


def table(axis: Axis, points: list[Point]) -> str:
    """In Markdown."""
    first = points[0]
    lines = [
        f"| {axis} | target tokens/s | s a step | × the first's | operations, × the "
        "first's | time / operations |",
        "|---|---|---|---|---|---|",
    ]
    for point in points:
        time = point.seconds / first.seconds
        operations = point.operations / first.operations
        lines.append(
            f"| {point.value:,} | {point.tokens / point.seconds:,.0f} "
            f"| {point.seconds:.3f} | {time:.2f} | {operations:.2f} "
            f"| {time / operations:.2f} |"
        )
    return "\n".join(lines)


def main(command: Command) -> None:
    axes: Iterable[Axis] = [command.axis] if command.axis else VALUES
    for axis in axes:
        print(table(axis, measured(command, axis, VALUES[axis])) + "\n", flush=True)


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
