"""Cosines in a row, laid out: a line with a dot for each.

Places across are per cent of the width, places up are pixels, as in a map.
"""

from collections.abc import Sequence
from typing import NamedTuple

HEIGHT = 170
"""Pixels from the bottom of a plot to its top."""


class Dot(NamedTuple):
    x: float
    y: float
    label: str
    named: bool
    """Whether there is room for its label."""
    value: str


class Tick(NamedTuple):
    y: float
    label: str


class Trend(NamedTuple):
    dots: tuple[Dot, ...]
    path: str
    """Of SVG, in a box of 100 by `HEIGHT`."""
    ticks: tuple[Tick, ...]


def trend(values: Sequence[float], labels: Sequence[str]) -> Trend:
    """Values from -1 to 1, on an axis from 0 if none is below."""
    low = 0 if min(values) > -0.005 else -1
    every = -(-len(values) // 10)
    dots = tuple(
        Dot(
            round(100 * (n + 0.5) / len(values), 2),
            _height(value, low),
            label,
            n % every == 0,
            f"{round(value, 2) + 0.0:.2f}",  # no -0.00
        )
        for n, (value, label) in enumerate(zip(values, labels, strict=True))
    )
    path = "M" + "L".join(f"{dot.x:g} {dot.y:g}" for dot in dots)
    marks = (0.0, 0.5, 1.0) if low == 0 else (-1.0, 0.0, 1.0)
    return Trend(dots, path, tuple(Tick(_height(m, low), f"{m:g}") for m in marks))


def _height(value: float, low: int) -> float:
    return round(HEIGHT * (1 - (value - low) / (1 - low)), 1)
