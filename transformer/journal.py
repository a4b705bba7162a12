"""What a run tells: on the terminal, in metrics.jsonl, and to TensorBoard."""

import datetime
import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from tensorboardX import SummaryWriter

from transformer.evaluation import Evaluations

FILE = "metrics.jsonl"

MEASURES = ("loss", "bleu", "chrf")

REPEATABLE = ("training", "validation")
"""Kinds of reports that belong to an update, and so to the checkpoint after it."""


class Journal:
    """Reports of one run; a continued run goes on where the state was saved.

    Args:
        first: updates already done. Later reports of an interrupted run are dropped.
        steps: updates in all.
        log_every: updates between two reports.
    """

    def __init__(
        self, folder: Path, console: Console, *, first: int, steps: int, log_every: int
    ) -> None:
        self._console = console
        self._log_every = log_every
        self._steps = steps
        self._path = folder / FILE
        _trim(self._path, first)
        self._board = SummaryWriter(str(folder), purge_step=first + 1)
        self.restart_clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=steps, completed=first)

    def __enter__(self) -> "Journal":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()
        self._board.close()

    def step(self, number: int, values: dict[str, float], waited: float) -> None:
        """Reports update `number` if it is its turn.

        Args:
            waited: seconds that data had to be waited for.
        """
        self._waited += waited
        self._tokens += int(values["tokens"])
        self._updates += 1
        if number % self._log_every == 0 or number == self._steps:
            seconds = time.monotonic() - self._since
            speed = self._tokens / seconds
            left = (self._steps - number) * seconds / self._updates
            waiting = self._waited / seconds
            self.restart_clock()
            report = values | {"tokens a second": speed, "waiting for data": waiting}
            self._write(number, "training", report)
            line = (
                f"loss {values['loss']:.3f}  rate {values['learning rate']:.2e}  "
                f"{speed:,.0f} tokens/s  padding {values['padding']:.1%}  "
                f"waiting for data {waiting:.1%}"
            )
            if self._console.is_terminal:
                self._bar.update(self._task, completed=number, description=line)
            else:
                eta = datetime.timedelta(seconds=round(left))
                line = f"{number:>7} / {self._steps}  {line}  ETA {eta}"
                self._console.print(line, soft_wrap=True)

    def restart_clock(self) -> None:
        """Leaves what happened since the last report out of the speed."""
        self._tokens = self._updates = 0
        self._waited = 0.0
        self._since = time.monotonic()

    def evaluation(self, number: int, kind: str, result: Evaluations) -> None:
        """Reports an evaluation after update `number`."""
        values = {name: result.mean(name) for name in MEASURES}
        values |= {
            f"{name}/{measure}": one.value(measure)
            for name, one in result.of.items()
            for measure in MEASURES
            if len(result.of) > 1
        }
        self._write(number, kind, values)
        self._console.print(f"[b]{kind}[/b] after {number:,} updates")
        show(self._console, result)
        self.restart_clock()

    def _write(self, number: int, kind: str, values: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": number, "kind": kind} | values) + "\n")
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}".replace(" ", "_"), value, number)


class Silence:
    """The journal of a process that leaves reporting to another."""

    def __enter__(self) -> "Silence":
        return self

    def __exit__(self, *exception: object) -> None: ...

    def step(self, number: int, values: dict[str, float], waited: float) -> None: ...

    def evaluation(self, number: int, kind: str, result: Evaluations) -> None: ...


def show(console: Console, result: Evaluations) -> None:
    """The numbers of each set, with source, translation and reference of some pairs."""
    for name, one in result.of.items():
        console.print(
            f"{name}: loss {one.loss:.3f}  BLEU {one.bleu.value:.2f}  "
            f"chrF {one.chrf.value:.2f}",
            markup=False,
        )
        for sample in one.samples:
            console.print(f"  {escape(sample.source)}")
            console.print(f"  → [b]{escape(sample.translation)}[/b]")
            console.print(f"  = {escape(sample.reference)}", style="dim")


def _trim(path: Path, last: int) -> None:
    """Drops reports after update `last`, and half a line that a crash left.

    Averages too: they are of the end of a run, which is about to come again.
    """
    if not path.exists():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if not line.endswith("\n") or json.loads(line)["step"] > last:
            break
        if json.loads(line)["kind"] in REPEATABLE:
            kept.append(line)
    draft = path.with_suffix(".draft")
    draft.write_text("".join(kept), "utf-8")
    draft.rename(path)
