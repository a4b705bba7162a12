"""A beam search, laid out: a column for each step, the likeliest on top."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from transformer.trees import Tree

COLUMN, ROW = 124, 32
"""Pixels from a step to the next, and from a hypothesis to the one below."""

DOT = 16
"""Pixels from the left of a column to its dots."""

LONGEST = 9
"""Letters of a token beside its dot."""


class Branch(NamedTuple):
    """A hypothesis as a dot, with a line from the one before."""

    number: int
    parent: int
    """-1 for the beginning."""
    token: str
    """As long as there is room for."""
    text: str
    """The whole hypothesis."""
    x: int
    y: int
    line: str
    """Of SVG."""
    fate: str
    """Best, kept, ended or pruned."""
    probability: float
    """Of its last token."""
    score: float | None


class Drawn(NamedTuple):
    """A tree of branches, those of the best hypothesis last."""

    branches: tuple[Branch, ...]
    width: int
    height: int
    root: tuple[int, int]


def drawn(tree: Tree, pieces: Sequence[str]) -> Drawn:
    """Columns keep the order of the search; what was found is drawn over the rest.

    Args:
        pieces: of the nodes.
    """
    rows: dict[int, int] = {}
    spots, texts = [], []
    for node, piece in zip(tree.nodes, pieces, strict=True):
        row = rows.get(node.step, 0)
        rows[node.step] = row + 1
        spots.append((DOT + COLUMN * (node.step + 1), ROW * row + ROW // 2 + 10))
        before = texts[node.parent] if node.parent >= 0 else ""
        texts.append(before + piece.replace("▁", " "))
    root = (DOT, spots[0][1] if spots else ROW)
    branches = [
        Branch(
            number=n,
            parent=node.parent,
            token=_brief(pieces[n]),
            text=texts[n].strip(),
            x=spots[n][0],
            y=spots[n][1],
            line=_line(spots[node.parent] if node.parent >= 0 else root, spots[n]),
            fate="best" if n in tree.best else node.fate,
            probability=round(math.exp(node.log_prob), 4),
            score=node.score,
        )
        for n, node in enumerate(tree.nodes)
    ]
    return Drawn(
        tuple(sorted(branches, key=lambda branch: branch.fate == "best")),
        DOT + COLUMN * (len(rows) + 1),
        ROW * max(rows.values(), default=1) + 12,
        root,
    )


def _brief(piece: str) -> str:
    token = piece.replace("▁", "")
    return token if len(token) <= LONGEST else f"{token[: LONGEST - 1]}…"


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (to, height) = start, end
    bend = (to - x) // 2
    return f"M{x} {y}C{x + bend} {y} {to - bend} {height} {to} {height}"
