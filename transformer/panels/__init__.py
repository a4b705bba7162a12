"""The page that shows what a model does with a sentence, from text to translation.

What can be drawn without a script is drawn here; scripts add what answers to a pointer
or a key: attention, and which words, hypotheses and sentences are shown.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from transformer import heads, pages
from transformer.comparisons import Comparison, Shared
from transformer.explanations import Choice, Explanation, Part, Tokens
from transformer.neighbours import cosines
from transformer.panels import beams, looks, maps, pixels, trends
from transformer.panels.beams import Drawn
from transformer.panels.looks import Look
from transformer.panels.maps import Spot
from transformer.panels.trends import Trend

TITLE = 60
"""Letters of a text where it names something."""

REST = 0.005
"""The probability from which on other tokens are worth a line."""

_EXTREME = 99.5
"""The percentile of magnitudes from which on a pixel is as strong as can be."""

ROLES = {
    heads.PREVIOUS: "look at the token before",
    heads.SAME: "look at the token itself",
    heads.NEXT: "look at the token after",
    heads.END: "look at the end of the sentence, where a head rests",
    heads.BEGIN: "look at the beginning, where a head rests",
    heads.BROAD: "look at all tokens nearly alike",
    heads.CONTENT: "choose tokens by what they are, not by where they stand",
}


class Chip(NamedTuple):
    """A token, its number, and a picture of its embedding."""

    piece: str
    id: int
    picture: str
    ends: bool
    """Whether it is the last of a word."""


class Step(NamedTuple):
    """What might have been written next, and what was."""

    token: str
    probability: float
    choices: tuple[Choice, ...]
    rest: float
    """The probability of all others."""


class Group(NamedTuple):
    """The heads that do one thing."""

    role: str
    meaning: str
    reading: tuple[tuple[int, int], ...]
    """Layer and head, counted from 1, in the encoder."""
    writing: tuple[tuple[int, int], ...]
    """The same, in the decoder."""


class Matrix(NamedTuple):
    """Words against words."""

    columns: list[str]
    rows: list[tuple[str, list[tuple[int, bool]]]]
    """A word of the target; a shade and whether it is linked, for each column."""


class Sheet(NamedTuple):
    """What the template draws for a part."""

    number: int
    explanation: Explanation
    part: Part | None
    place: tuple[int, int]
    """Which part it is, and of how many."""
    chips: tuple[tuple[Chip, ...], tuple[Chip, ...]]
    spots: list[Spot]
    waves: str
    """A picture of the positions, or nothing where none are added."""
    distances: Trend | None
    looks: tuple[Look, ...]
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    tree: Drawn | None
    matrix: Matrix | None


class Meeting(NamedTuple):
    """A word that two texts share."""

    shared: Shared
    trend: Trend


def page(explanations: Sequence[Explanation], comparison: Comparison | None) -> str:
    """One HTML file about what happened to some texts, and to words that two share.

    It holds the weights of every head at 8 bits; if they are more than `looks.MOST`,
    the averages over heads. Texts are shown as text, whatever they contain.
    """
    found = [(one, part) for one in explanations for part in one.parts or (None,)]
    drawn = looks.fitted([looks.looks(part) if part else () for _, part in found])
    sheets = [
        _sheet(number, explanation, part, look)
        for number, ((explanation, part), look) in enumerate(
            zip(found, drawn, strict=True)
        )
    ]
    return pages.document(
        "sentence.html",
        ["sentence.css", "looks.js", "maps.js", "beams.js", "sentence.js"],
        sheets=sheets,
        looks=[[looks.data(look) for look in one] for one in drawn],
        comparison=comparison,
        meetings=_meetings(comparison),
        glances=looks.glances,
        brief=_brief,
        sizes={
            "map": maps.HEIGHT,
            "trend": trends.HEIGHT,
            "column": beams.COLUMN,
            "dot": beams.DOT,
        },
    )


def _sheet(
    number: int, explanation: Explanation, part: Part | None, look: tuple[Look, ...]
) -> Sheet:
    if part is None:
        nothing: Any = ((), ()), [], "", None, (), (), (), None, None
        return Sheet(number, explanation, None, (1, 1), *nothing)
    place = [one is part for one in explanation.parts].index(True) + 1
    tree = part.tree
    return Sheet(
        number=number,
        explanation=explanation,
        part=part,
        place=(place, len(explanation.parts)),
        chips=(_chips(part.source, part.encoder.embeddings), _chips(part.target, None)),
        spots=maps.spots(part.words),
        waves=_waves(part.positions),
        distances=_distances(part.positions),
        looks=look,
        groups=_groups(part),
        steps=_steps(part),
        tree=beams.drawn(tree, part.branches) if tree else None,
        matrix=_matrix(part),
    )


def _brief(text: str) -> str:
    return text if len(text) <= TITLE else f"{text[: TITLE - 1]}…"


def _chips(
    tokens: Tokens, embeddings: Float[np.ndarray, "T D"] | None
) -> tuple[Chip, ...]:
    pictures = [""] * len(tokens.ids) if embeddings is None else _prints(embeddings)
    ends = [*(one != other for one, other in pairwise(tokens.words)), True]
    return tuple(map(Chip, tokens.pieces, tokens.ids, pictures, ends))


def _prints(embeddings: Float[np.ndarray, "T D"]) -> list[str]:
    most = float(np.percentile(np.abs(embeddings), _EXTREME))
    return [pixels.signed(pixels.folded(row), most) for row in embeddings]


def _waves(positions: Float[np.ndarray, "S D"]) -> str:
    most = float(np.abs(positions).max(initial=0))
    # Sines and cosines alternate; each by themselves they are waves to the eye.
    halves = np.concatenate([positions[:, ::2], positions[:, 1::2]], axis=1)
    return pixels.signed(halves, most) if most > 0 else ""


def _distances(positions: Float[np.ndarray, "S D"]) -> Trend | None:
    """How alike positions are on average, by how far they are from each other."""
    if len(positions) < 2 or not positions.any():
        return None
    means = [
        float(cosines(positions[: len(positions) - n], positions[n:]).mean())
        for n in range(len(positions))
    ]
    return trends.trend(means, [str(n) for n in range(len(means))])


def _groups(part: Part) -> tuple[Group, ...]:
    sides = [
        [
            (role, (layer, head))
            for layer, roles in enumerate(side.roles, start=1)
            for head, role in enumerate(roles, start=1)
        ]
        for side in (part.encoder, part.decoder)
    ]
    groups = [
        Group(
            role, meaning, *(tuple(at for one, at in s if one == role) for s in sides)
        )
        for role, meaning in ROLES.items()
    ]
    return tuple(group for group in groups if group.reading or group.writing)


def _steps(part: Part) -> tuple[Step, ...]:
    return tuple(
        Step(
            piece,
            chosen,
            tuple(choice for choice in choices if choice.probability >= REST),
            max(0.0, 1 - sum(c.probability for c in choices if c.probability >= REST)),
        )
        for piece, chosen, choices in zip(
            part.target.pieces, part.chosen, part.steps, strict=True
        )
    )


def _matrix(part: Part) -> Matrix | None:
    columns, rows = looks.words(part.source), looks.words(part.target)
    if not columns or not rows:
        return None
    links = set(part.alignment)
    cells = [
        [(int(shade), (i, j) in links) for i, shade in enumerate(row)]
        for j, row in enumerate(looks.shades(part))
    ]
    return Matrix(columns, list(zip(rows, cells, strict=True)))


def _meetings(comparison: Comparison | None) -> list[Meeting]:
    if comparison is None:
        return []
    stages = comparison.stages
    return [Meeting(one, trends.trend(one.cosines, stages)) for one in comparison.words]
