"""A map of words, laid out: what the template draws, legible on a phone.

Places across are per cent of the width, places up are pixels: the map is as wide as
there is room, while its letters keep their size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from transformer.neighbours import Place

HEIGHT = 420
"""Pixels from the bottom of a map to its top."""

NARROW = 330
"""Pixels across, where labels must not touch; on wider maps they do not either."""

LONGEST = 18
"""Letters of a label."""

_MARGIN = 26.0
"""Pixels around the dots."""
_OWN, _OTHER = 9.5, 7.0
"""Pixels across of a letter, about."""


class Spot(NamedTuple):
    """A word on the map."""

    text: str
    own: bool
    """Whether it is of the sentence."""
    x: float
    y: float
    anchor: str
    """Which end of its label is at the dot: start, middle or end."""
    dx: int
    dy: int
    crowded: bool
    """Whether its label would lie on another; it is shown on request only."""
    near: tuple[tuple[int, float], ...]
    """The numbers of its neighbours' spots, and their cosines."""


class _Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float


_SIDES = (
    ("start", 10, 5),
    ("end", -10, 5),
    ("middle", 0, -10),
    ("middle", 0, 18),
    ("start", 6, -6),
    ("end", -6, -6),
    ("start", 6, 15),
    ("end", -6, 15),
)
"""Where a label may be: its anchor and how far it is from the dot."""


def spots(places: Sequence[Place]) -> list[Spot]:
    """Words of the sentence first, then their neighbours; labels where there is room.

    Each map fills the frame, so distances across and up have scales of their own.
    """
    across = _scaled([place.x for place in places], NARROW)
    up = _scaled([-place.y for place in places], HEIGHT)
    numbers = {place.text: n for n, place in reversed(list(enumerate(places)))}
    taken = [_Box(x - 4, y - 4, x + 4, y + 4) for x, y in zip(across, up, strict=True)]
    found = []
    for place, x, y in zip(places, across, up, strict=True):
        own = place.neighbours is not None
        label = brief(place.text)
        fitting = _side(len(label) * (_OWN if own else _OTHER), x, y, taken)
        anchor, dx, dy = fitting or _SIDES[2]
        near = tuple(
            (numbers[one.text], round(one.cosine, 3))
            for one in place.neighbours or ()
            if one.text in numbers
        )
        share = round(100 * x / NARROW, 2)
        crowded = fitting is None
        found.append(Spot(label, own, share, y, anchor, dx, dy, crowded, near))
    return found


def brief(text: str) -> str:
    """The beginning of a long word."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _scaled(values: Sequence[float], room: int) -> list[float]:
    """Values spread over a frame; in its middle if they are all the same."""
    least, most = min(values, default=0.0), max(values, default=0.0)
    if most - least < 1e-9:
        return [room / 2] * len(values)
    scale = (room - 2 * _MARGIN) / (most - least)
    return [round(_MARGIN + scale * (value - least), 1) for value in values]


def _side(
    width: float, x: float, y: float, taken: list[_Box]
) -> tuple[str, int, int] | None:
    """The first place for a label that is free, which it then takes."""
    for anchor, dx, dy in _SIDES:
        left = x + dx - {"start": 0, "middle": width / 2, "end": width}[anchor]
        box = _Box(left, y + dy - 12, left + width, y + dy + 4)
        inside = box.left >= 0 and box.right <= NARROW
        if inside and not any(_meet(box, other) for other in taken):
            taken.append(box)
            return anchor, dx, dy
    return None


def _meet(one: _Box, other: _Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )
