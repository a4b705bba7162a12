"""What a run tells: on the terminal, to TensorBoard, in metrics.jsonl, report.html."""

import json
import time
from datetime import UTC, datetime, timedelta
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

from transformer import pages
from transformer.evaluation import Evaluations
from transformer.pages import run
from transformer.pages.run import About, Status

FILE = "metrics.jsonl"

MEASURES = ("loss", "bleu", "chrf")

REPEATABLE = ("training", "validation")
"""Kinds of reports that belong to an update, and so to the checkpoint after it."""


class Journal:
    """Reports of one run; a continued run goes on where the state was saved.

    Args:
        about: what the page says besides; its settings say how often to report.
        first: updates already done. Later reports of an interrupted run are dropped.
    """

    def __init__(
        self, folder: Path, console: Console, about: About, *, first: int
    ) -> None:
        self._console, self._about = console, about
        self._log_every = about.config.training.log_every
        self._steps = about.config.training.steps
        self._path, self._page = folder / FILE, folder / run.FILE
        self._reports = _trim(self._path, first)
        self._board = SummaryWriter(str(folder), purge_step=first + 1)
        self.restart_clock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._bar.add_task("", total=self._steps, completed=first)

    def __enter__(self) -> "Journal":
        if self._console.is_terminal:
            self._bar.start()
        self._show("running")
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._bar.stop()
        self._board.close()
        self._show("finished" if kind is None else "stopped")

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
                eta = timedelta(seconds=round(left))
                line = f"{number:>7} / {self._steps}  {line}  ETA {eta}"
                self._console.print(line, soft_wrap=True)

    def restart_clock(self) -> None:
        """Leaves what happened since the last report out of the speed."""
        self._tokens = self._updates = 0
        self._waited = 0.0
        self._since = time.monotonic()

    def evaluation(self, number: int, kind: str, result: Evaluations) -> None:
        """Reports an evaluation after update `number`."""
        self._keep(number, kind, result)
        self._console.print(f"[b]{kind}[/b] after {number:,} updates")
        _print(self._console, result)
        self._show("running")
        self.restart_clock()

    def test(self, number: int, result: Evaluations) -> None:
        """Reports the scores of the test sets, with their signatures."""
        self._keep(number, "test", result)
        self._console.print("[b]test[/b]", highlight=False)
        _print(self._console, result)
        for score in _scores(result):
            self._console.print(f"  {score}", highlight=False, markup=False)

    def _keep(self, number: int, kind: str, result: Evaluations) -> None:
        values = {name: result.mean(name) for name in MEASURES}
        values |= {
            f"{name}/{measure}": one.value(measure)
            for name, one in result.of.items()
            for measure in MEASURES
            if len(result.of) > 1
        }
        samples = [sample for one in result.of.values() for sample in one.samples]
        self._write(number, kind, values, signatures=_scores(result), samples=samples)

    def _write(
        self, number: int, kind: str, values: dict[str, float], **texts: Any
    ) -> None:
        report = {"step": number, "kind": kind} | values | texts
        self._reports.append(report)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(report, ensure_ascii=False) + "\n")
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}".replace(" ", "_"), value, number)

    def _show(self, status: Status) -> None:
        now = datetime.now(UTC).astimezone()
        pages.write(self._page, run.page(self._about, self._reports, status, now))


class Silence:
    """The journal of a process that leaves reporting to another."""

    def __enter__(self) -> "Silence":
        return self

    def __exit__(self, *exception: object) -> None: ...

    def step(self, number: int, values: dict[str, float], waited: float) -> None: ...

    def evaluation(self, number: int, kind: str, result: Evaluations) -> None: ...

    def test(self, number: int, result: Evaluations) -> None: ...


def _scores(result: Evaluations) -> list[str]:
    """With signatures; named if there are several sets."""
    return [
        f"{name}: {score}" if len(result.of) > 1 else str(score)
        for name, one in result.of.items()
        for score in (one.bleu, one.chrf)
    ]


def _print(console: Console, result: Evaluations) -> None:
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
            if sample.reference:
                console.print(f"  = {escape(sample.reference)}", style="dim")


def _trim(path: Path, last: int) -> list[dict[str, Any]]:
    """Drops reports after update `last`, and half a line that a crash left.

    Averages too, and scores of the test set: they are of the end of a run, which is
    about to come again. Returns the reports that are left.
    """
    if not path.exists():
        return []
    kept, reports = [], []
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        report = json.loads(line)
        if report["step"] > last:
            break
        if report["kind"] in REPEATABLE:
            kept.append(line)
            reports.append(report)
    draft = path.with_suffix(".draft")
    draft.write_bytes(b"".join(kept))
    draft.rename(path)
    return reports
