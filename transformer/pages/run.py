"""`report.html` of a run: what its metrics.jsonl says, to look at while it learns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from transformer import config, pages
from transformer.config import Config
from transformer.pages import charts
from transformer.pages.charts import Chart, Curve
from transformer.reports import STEP, DataReport

FILE = "report.html"

ASSETS = ("charts.css", "run.css", "charts.js", "run.js")

SHOWN = 12
"""Translations of one sentence that are shown; the first and the last among them."""

CHARTS = {
    "loss": [("training", "loss"), ("validation", "loss")],
    "scores": [("validation", "bleu"), ("validation", "chrf")],
    "rate": [("training", "learning rate")],
    "norm": [("training", "gradient norm")],
    "speed": [("training", "tokens a second")],
}
"""Kind of report and name of value of each curve."""

NAMES = {"bleu": "BLEU", "chrf": "chrF", "tokens a second": "tokens per second"}

Report = dict[str, Any]
"""A line of metrics.jsonl."""

Status = Literal["running", "stopped", "finished"]


class About(NamedTuple):
    """What a run is, however it goes."""

    name: str
    config: Config
    data: DataReport
    parameters: int
    device: str


class Attempt(NamedTuple):
    """A translation that came out the same in evaluations next to each other."""

    first: int
    last: int
    text: str


class Sentence(NamedTuple):
    """A sentence that every evaluation translates."""

    source: str
    reference: str
    attempts: list[Attempt]


class Bar(NamedTuple):
    """Training pairs whose longer side has so many tokens."""

    tokens: str
    pairs: int
    share: float
    """Per cent of the longest bar."""


def page(
    about: About, reports: Sequence[Report], status: Status, written: datetime
) -> str:
    """The whole page.

    Args:
        reports: in the order in which they were written.
        written: when, with its time zone.
    """
    drawn = {key: _chart(key, reports) for key in CHARTS}
    return pages.document(
        "run.html",
        ASSETS,
        about=about,
        data=about.data,
        settings=config.to_dict(about.config),
        status=status,
        written=written,
        updates=reports[-1]["step"] if reports else 0,
        charts=drawn,
        curves={key: chart.data() for key, chart in drawn.items() if chart},
        height=charts.HEIGHT,
        sentences=sentences(reports),
        validation=_last(reports, "validation"),
        test=_last(reports, "test"),
        bars=_bars(about.data),
    )


def curve(reports: Sequence[Report], kind: str, value: str) -> Curve:
    """One value of all reports of a kind, by update."""
    points = [(one["step"], one[value]) for one in reports if one["kind"] == kind]
    name = kind if value == "loss" else NAMES.get(value, value)
    return Curve(name, points)


def sentences(reports: Sequence[Report]) -> list[Sentence]:
    """The sentences that validations translate, with what became of them."""
    seen: dict[tuple[str, str], list[Attempt]] = {}
    for report in reports:
        if report["kind"] == "validation":
            for source, text, reference in report.get("samples", ()):
                attempts = seen.setdefault((source, reference), [])
                attempts[:] = _with(attempts, report["step"], text)
    return [Sentence(*key, _few(attempts)) for key, attempts in seen.items()]


def _chart(key: str, reports: Sequence[Report]) -> Chart | None:
    return charts.chart(key, [curve(reports, *of) for of in CHARTS[key]])


def _with(attempts: list[Attempt], update: int, text: str) -> list[Attempt]:
    if attempts and attempts[-1].text == text:
        return [*attempts[:-1], attempts[-1]._replace(last=update)]
    return [*attempts, Attempt(update, update, text)]


def _few(attempts: list[Attempt]) -> list[Attempt]:
    """`SHOWN` of them, close together where they begin: there most changes."""
    last = len(attempts) - 1
    if last < SHOWN:
        return attempts
    kept = {round((last + 1) ** (n / (SHOWN - 1))) - 1 for n in range(SHOWN)}
    return [attempts[n] for n in sorted(kept)]


def _last(reports: Sequence[Report], kind: str) -> Report | None:
    return next((one for one in reversed(reports) if one["kind"] == kind), None)


def _bars(data: DataReport) -> list[Bar]:
    most = max(data.lengths.values(), default=1)
    return [
        Bar(f"{start}–{start + STEP - 1}", pairs, round(100 * pairs / most, 1))
        for start, pairs in sorted(data.lengths.items())
    ]
