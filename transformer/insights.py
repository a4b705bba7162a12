"""Flags of translate.py that show the model at work, and what they show where."""

import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from transformer import (
    comparisons,
    explanations,
    lexicons,
    pages,
    panels,
    streams,
    walks,
)
from transformer.strategies import Beam
from transformer.translator import Translator

Form = Callable[[Any, RenderableType], None]
"""Prints a thing that is shown, as plain values or as it is drawn."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """What to look at instead of translations alone."""

    explain: bool = False
    """Show how each text is translated: tokens, neighbours, attention, choices."""
    html: Path | None = None
    """Write that to a page for the browser."""
    compare: tuple[str, str] | None = None
    """Two texts: how the words they share part ways, layer by layer."""
    neighbours: str | None = None
    """A word: those whose embeddings are nearest to its own."""

    @property
    def asked(self) -> bool:
        return self != Views()


def show(
    views: Views, translator: Translator, texts: Sequence[str], search: Beam, form: Form
) -> None:
    """Prints what is asked for, and writes the page.

    Raises:
        InputError: for what cannot be shown, or a page that cannot be written.
    """
    told, compared = [], None
    if views.neighbours is not None:
        near = lexicons.neighbours(translator, views.neighbours)
        form(near, walks.near(views.neighbours, near))
    if views.compare is not None:
        compared = comparisons.compare(translator, *views.compare)
        form(compared, walks.compared(compared))
    drawn = views.explain or views.html is not None
    for raw in (texts or views.compare or ()) if drawn else ():
        told.append(explanations.explain(translator, raw, strategy=search))
        if views.explain:
            form(told[-1], walks.walk(told[-1]))
    if views.html is not None:
        pages.write(views.html, panels.page(told, compared))


def as_json(value: Any, view: RenderableType) -> None:
    """A line for each thing shown; see docs/under-the-hood.md for its fields."""
    del view
    streams.write(json.dumps(explanations.plain(value), ensure_ascii=False))


def as_text(value: Any, view: RenderableType) -> None:
    """In colours where standard output is a terminal that has them."""
    del value
    sys.stdout.flush()
    out = io.TextIOWrapper(sys.stdout.buffer, "utf-8", write_through=True)
    try:
        Console(file=out, emoji=False, highlight=False).print(view)
    finally:
        out.detach()  # else it would close standard output
