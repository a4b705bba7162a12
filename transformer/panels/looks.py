"""Attention for a page: bytes for its script, and in words for who runs none."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from transformer.explanations import Part, Tokens
from transformer.panels import pixels

BEGIN = "<s>"
"""What the decoder reads before anything is written."""

MOST = 1_000_000
"""Weights in a page; above, heads are averaged, and if need be layers too."""

NAMED = 3
"""Of the tokens that a token looks at, those named in the table."""

STEPS = 9
"""Shades of a cell in the matrix of words."""


class Look(NamedTuple):
    """Who looks at whom, in one of the three attentions."""

    key: str
    name: str
    """For the reader."""
    origin: tuple[str, ...]
    """The tokens that look."""
    goal: tuple[str, ...]
    """The tokens that are looked at."""
    weights: Float[np.ndarray, "L N T S"]
    roles: tuple[tuple[str, ...], ...]
    """Of the heads; empty where there are none."""


class Glance(NamedTuple):
    """A token, and what it looks at most."""

    token: str
    goals: tuple[tuple[str, float], ...]


def looks(part: Part) -> tuple[Look, Look, Look]:
    """Encoder, decoder, and from the decoder to the encoder."""
    read, written = part.source.pieces, part.target.pieces
    before = (BEGIN, *written[:-1])
    inside, own, cross = part.encoder, part.decoder, part.decoder.cross
    assert cross is not None
    reading, writing, across = (
        "Reading: source to source",
        "Writing: translation to translation",
        "Between: translation to source",
    )
    return (
        Look("reading", reading, read, read, inside.attention, inside.roles),
        Look("writing", writing, before, before, own.attention, own.roles),
        Look("between", across, written, read, cross, ()),
    )


def fitted(parts: Sequence[tuple[Look, ...]]) -> list[tuple[Look, ...]]:
    """Those of a whole page, averaged so far that it does not become too large."""
    if _size(parts) > MOST:
        parts = [tuple(_mean(look, axis=1) for look in part) for part in parts]
    if _size(parts) > MOST:
        parts = [tuple(_mean(look, axis=0) for look in part) for part in parts]
    return list(parts)


def data(look: Look) -> dict[str, Any]:
    """For the script: weights as bytes, row by row, head by head, layer by layer."""
    layers, heads = look.weights.shape[:2]
    return {
        "key": look.key,
        "from": look.origin,
        "to": look.goal,
        "layers": layers,
        "heads": heads,
        "roles": look.roles,
        "weights": pixels.shares(look.weights),
    }


def glances(look: Look) -> tuple[Glance, ...]:
    """What each token looks at most in the last layer, on average over its heads."""
    weights = look.weights[-1].mean(axis=0)
    best = np.argsort(-weights, axis=1, kind="stable")[:, :NAMED]
    return tuple(
        Glance(token, tuple((look.goal[n], float(row[n])) for n in chosen))
        for token, row, chosen in zip(look.origin, weights, best, strict=True)
    )


def shades(part: Part) -> Int[np.ndarray, "T S"]:
    """How much words of the target look at words of the source, from 0 to `STEPS`.

    On average over layers and heads; the darkest of each row is its largest.
    """
    assert part.decoder.cross is not None
    weights = part.decoder.cross.mean(axis=(0, 1))
    rows, columns = _owner(part.target), _owner(part.source)
    found = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1) @ weights @ columns.T
    most = np.maximum(found.max(axis=1, keepdims=True, initial=0), 1e-12)
    return np.rint(found / most * STEPS).astype(int)


def words(tokens: Tokens) -> list[str]:
    """The words that tokens belong to, without the end."""
    raw = tokens.text.encode()
    spans: dict[int, tuple[int, int]] = {}
    for word, (start, stop) in zip(tokens.words[:-1], tokens.spans, strict=False):
        spans[word] = (spans.get(word, (start, 0))[0], stop)
    return [raw[slice(*spans[n])].decode(errors="replace") for n in sorted(spans)]


def _owner(tokens: Tokens) -> Float[np.ndarray, "words T"]:
    """1 where a token belongs to a word."""
    last = tokens.words[-1]
    return (np.arange(last)[:, None] == np.array(tokens.words)[None]).astype(float)


def _size(parts: Sequence[tuple[Look, ...]]) -> int:
    return sum(look.weights.size for part in parts for look in part)


def _mean(look: Look, *, axis: int) -> Look:
    weights = look.weights.mean(axis=axis, keepdims=True)
    return look._replace(weights=weights, roles=())
