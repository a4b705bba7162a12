"""Packing against bucketing: python -m benchmarks.batching [--model tiny].

The same network learns from the same pairs of Multi30k in both kinds of batch, which
take turns. Packed: training's own plan. Bucketed: one pair a row; pairs are sorted by
their longer side and cut into so many buckets, each a shape to compile, where padding
is least. Both have as many target positions a batch.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from benchmarks import cli, measure
from benchmarks.work import Task, Work, task
from transformer import batches
from transformer.batches import Held, Plan, Shape


@dataclass(frozen=True, kw_only=True)
class Command:
    model: Literal["tiny", "base", "big"] = "tiny"
    tokens: int = 2048
    """Target positions of a batch."""
    buckets: tuple[int, ...] = (8, 16)
    rounds: int = 3
    """Turns that each takes."""
    seconds: float = 8.0
    """Of each turn, about."""


class Bucketed(Plan):
    """Batches of one pair a row."""

    def __init__(
        self, lengths: Int[np.ndarray, "n 2"], tokens: int, buckets: int
    ) -> None:
        order = np.argsort(lengths.max(axis=1), kind="stable")
        ends = boundaries(lengths[order], buckets)
        self.shapes: list[Shape] = []
        self._counts: list[int] = []
        self._accumulate, self._tokens = 1, lengths.sum()
        self._batches: list[tuple[Shape, np.ndarray]] = []
        for pairs in np.split(order, ends):
            source, target = lengths[pairs].max(axis=0).tolist()
            shape = Shape(max(1, tokens // max(source, target)), source, target)
            self.shapes.append(shape)
            cuts = range(shape.rows, len(pairs), shape.rows)
            self._counts.append(len(cuts) + 1)
            self._batches += [(shape, part) for part in np.split(pairs, cuts)]
        self._order = np.random.default_rng(0).permutation(len(self._batches))
        self.per_epoch = len(self._batches)

    def batch(
        self, number: int, held: Held = range
    ) -> tuple[Shape, list[list[np.ndarray]]]:
        shape, pairs = self._batches[self._order[number % self.per_epoch]]
        rows = np.split(pairs, range(1, len(pairs)))
        rows += [np.zeros(0, int)] * (shape.rows - len(rows))
        return shape, [[rows[row] for row in held(shape.rows)]]


def boundaries(lengths: Int[np.ndarray, "n 2"], buckets: int) -> list[int]:
    """Where to cut pairs that are sorted by length so that least is padding.

    Costs of the best division into k buckets, for each end, from those into k - 1.
    """
    starts = np.flatnonzero(np.diff(lengths.max(axis=1), prepend=-1))
    ends = np.append(starts[1:], len(lengths))
    cost = _costs(lengths, starts, ends)
    best, choices = cost[0], []
    for _ in range(min(buckets, len(starts)) - 1):
        total = np.full(cost.shape, np.inf)
        total[1:] = best[:-1, None] + cost[1:]
        choices.append(total.argmin(axis=0))
        best = total.min(axis=0)
    cuts, last = [], len(starts) - 1
    for choice in reversed(choices):
        cuts.append(int(starts[choice[last]]))
        last = choice[last] - 1
    return sorted(cuts)


def _costs(
    lengths: Int[np.ndarray, "n 2"],
    starts: Int[np.ndarray, " g"],
    ends: Int[np.ndarray, " g"],
) -> Float[np.ndarray, "g g"]:
    """Positions of a bucket from group i to group j."""
    cost = np.full((len(starts), len(starts)), np.inf)
    longest = np.maximum.reduceat(lengths, starts)
    for i, start in enumerate(starts):
        widths = np.maximum.accumulate(longest[i:]).sum(axis=1)
        cost[i, i:] = (ends[i:] - start) * widths
    return cost


class Row(NamedTuple):
    kind: str
    programs: int
    compile_seconds: float
    padding: float
    rate: measure.Spread


def compare(command: Command) -> list[Row]:
    packed = task(Work(model=command.model, regime="real", tokens=command.tokens))
    tasks = {"packed": packed} | {
        f"{count} buckets": _bucketed(packed, command.tokens, count)
        for count in command.buckets
    }
    programs = {kind: measure.compile_all(one) for kind, one in tasks.items()}
    runners = {
        kind: measure.Runner(programs[kind].update, one.state(), one.stream())
        for kind, one in tasks.items()
    }
    steps = {kind: one.steps_in(command.seconds) for kind, one in runners.items()}
    turns = [
        {kind: runners[kind].window(steps[kind]).rate for kind in tasks}
        for _ in range(command.rounds)
    ]
    return [
        Row(
            kind,
            len(programs[kind].compiled),
            programs[kind].compile_seconds,
            one.plan.padding(),
            measure.spread([turn[kind] for turn in turns]),
        )
        for kind, one in tasks.items()
    ]


def _bucketed(packed: Task, tokens: int, buckets: int) -> Task:
    plan = Bucketed(batches.lengths(packed.store), tokens, buckets)
    return packed._replace(plan=plan)


def main(command: Command) -> None:
    rows = compare(command)
    print("| batches | programs | compile s | padding | tokens/s | of packed |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        median, least, most = row.rate
        ratio = median / rows[0].rate.median
        print(
            f"| {row.kind} | {row.programs} | {row.compile_seconds:.1f} | "
            f"{row.padding:.1%} | {median:,.0f} ({least:,.0f} to {most:,.0f}) | "
            f"{ratio:.2f} |"
        )


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
