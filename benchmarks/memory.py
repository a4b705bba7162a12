"""Memory that the compiler plans for an update: python -m benchmarks.memory.

The same batch in several ways. Compiled and not run, so that it need not fit. Beside
the temporary memory of the table an update needs its state and batch, which are the
same for all.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import tyro

from benchmarks import cli, measure
from benchmarks.work import Work, task

PARTS = 4
"""Of the batch whose gradients are accumulated."""


@dataclass(frozen=True, kw_only=True)
class Command:
    work: Annotated[Work, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=lambda: Work(model="base", tokens=8192, vocabulary=32_000)
    )


class Way(NamedTuple):
    name: str
    temporary: int
    """Bytes."""
    arguments: int
    """Bytes of state and batch."""
    compile_seconds: float


def measured(work: Work) -> Iterator[Way]:
    """The plain formulation first."""
    part = work.tokens // PARTS
    yield _way(
        "plain: logits as a whole, all of it differentiated", work, formulation="plain"
    )
    yield _way("only the loss plain", work, formulation="plain-loss")
    yield _way("ours", work)
    yield _way("ours, all but products computed again", work, remat="dots")
    yield _way("ours, layers computed again", work, remat="layers")
    yield _way(f"ours, {PARTS} parts accumulated", work, PARTS, tokens=part)
    yield _way("ours, both", work, PARTS, tokens=part, remat="layers")


def _way(name: str, work: Work, accumulate: int = 1, **changes: Any) -> Way:
    made = task(dataclasses.replace(work, **changes))
    programs = measure.compile_all(made, accumulate=accumulate)
    return Way(
        name,
        programs.most("temp"),
        programs.most("argument"),
        programs.compile_seconds,
    )


def row(way: Way, first: Way) -> str:
    """Of a table in Markdown."""
    return (
        f"| {way.name} | {way.temporary / 1e9:.2f} GB "
        f"| {way.temporary / first.temporary:.2f} | {way.arguments / 1e9:.2f} GB "
        f"| {way.compile_seconds:.1f} s |"
    )


def main(command: Command) -> None:
    print("| | temporary | of the first | state and batch | compilation |")
    print("|---|---|---|---|---|")
    first = None
    for way in measured(command.work):
        first = first or way
        print(row(way, first), flush=True)


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
