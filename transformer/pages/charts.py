"""Line charts, laid out: what the template `chart.html` draws as SVG.

Places across are per cent of the width, places up are pixels: a chart is as wide as
there is room, while its letters and lines keep their size.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

HEIGHT = 200
"""Pixels from the bottom of a plot to its top."""

MOST = 1000
"""Points that a curve is thinned to; more than a screen has pixels for."""

ROWS = 40
"""Of the table of numbers."""

DOTTED = 24
"""A curve of at most as many points shows them as dots."""

ROUNDING = 1e-6
"""Parts of a step by which a product of floats may miss a whole number."""

Point = tuple[int, float]


class Curve(NamedTuple):
    """Values by update, whose numbers increase; not necessarily finite."""

    name: str
    points: list[Point]


class Tick(NamedTuple):
    place: float
    label: str


class Drawn(NamedTuple):
    name: str
    path: str
    """Of SVG, in a box of 1000 by `HEIGHT`."""
    dots: list[tuple[float, float]]
    points: list[Point]


class Chart(NamedTuple):
    key: str
    """Its id in the page."""
    curves: list[Drawn]
    across: list[Tick]
    up: list[Tick]
    end: int
    """The update at the right edge."""
    summary: str
    """For who does not see it."""
    rows: list[tuple[int, list[str]]]
    """Update, and the value of each curve there."""

    def data(self) -> dict[str, Any]:
        """For the script that shows values."""
        curves = [{"name": one.name, "points": one.points} for one in self.curves]
        return {"end": self.end, "curves": curves}


def chart(key: str, curves: Sequence[Curve]) -> Chart | None:
    """Curves over the same updates on an axis from zero; None if there is no point."""
    finite = [Curve(name, _finite(points)) for name, points in curves]
    finite = [curve for curve in finite if curve.points]
    if not finite:
        return None
    end = max(curve.points[-1][0] for curve in finite)
    across, up = max(1.0, _step(float(end))), _step(_highest(finite))
    top = up * max(1, math.ceil(_highest(finite) / up - ROUNDING))
    return Chart(
        key,
        [_drawn(curve, end, top) for curve in finite],
        [Tick(100 * at / end, label(at)) for at in _multiples(across, float(end))],
        [Tick(_height(at, top), label(at)) for at in _multiples(up, top)],
        end,
        " ".join(map(_summary, finite)),
        _rows(finite),
    )


def thinned(points: list[Point]) -> list[Point]:
    """At most `MOST`: the ends, and of each stretch the lowest and the highest."""
    if len(points) <= MOST:
        return points
    stretches = MOST // 2 - 1
    bounds = [len(points) * n // stretches for n in range(stretches + 1)]
    kept = {0, len(points) - 1}
    for start, stop in pairwise(bounds):
        stretch = range(start, stop)
        kept |= {
            min(stretch, key=lambda n: points[n][1]),
            max(stretch, key=lambda n: points[n][1]),
        }
    return [points[n] for n in sorted(kept)]


def label(value: float) -> str:
    """A round number in few characters, e.g. 20k or 5e-5."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}".replace("e-0", "e-")


def _finite(points: list[Point]) -> list[Point]:
    return [(at, value) for at, value in points if math.isfinite(value)]


def _highest(curves: list[Curve]) -> float:
    return max(value for curve in curves for _, value in curve.points)


def _step(highest: float) -> float:
    """The smallest of 1, 2, 5, 10, … that divides an axis into at most five parts."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest / 5))
    enough = highest * (1 - ROUNDING) / 5
    return next(power * n for n in (1, 2, 5, 10) if power * n >= enough)


def _multiples(step: float, last: float) -> list[float]:
    return [step * n for n in range(math.floor(last / step + ROUNDING) + 1)]


def _height(value: float, top: float) -> float:
    return round(HEIGHT * (1 - value / top), 1)


def _drawn(curve: Curve, end: int, top: float) -> Drawn:
    points = thinned(curve.points)
    places = [(round(1000 * at / end, 1), _height(v, top)) for at, v in points]
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in places)
    dots = [(x / 10, y) for x, y in places] if len(places) <= DOTTED else []
    return Drawn(curve.name, path, dots, [(at, float(f"{v:.4g}")) for at, v in points])


def _summary(curve: Curve) -> str:
    (first, start), (last, now) = curve.points[0], curve.points[-1]
    values = [value for _, value in curve.points]
    return (
        f"{curve.name}: {start:.4g} after {first:,} updates, {now:.4g} after {last:,}; "
        f"between {min(values):.4g} and {max(values):.4g}."
    )


def _rows(curves: list[Curve]) -> list[tuple[int, list[str]]]:
    """Of the longest curve's updates a few, with what others have there; the last."""
    table = [dict(curve.points) for curve in curves]
    fewest = min(curves, key=lambda curve: len(curve.points))
    updates = sorted({at for curve in curves for at, _ in curve.points})
    kept = set(_spread(updates)) | set(_spread([at for at, _ in fewest.points]))
    return [
        (at, [f"{column[at]:.4g}" if at in column else "" for column in table])
        for at in sorted(kept)
    ]


def _spread(updates: list[int]) -> list[int]:
    """At most about `ROWS` of them, the last included."""
    every = -(-len(updates) // ROWS)
    return updates[::-1][::every][::-1]
