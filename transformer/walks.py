"""An explanation as a walk for the terminal, from text to text."""

from collections.abc import Iterator

import numpy as np
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from transformer.comparisons import Comparison, Order
from transformer.explanations import Explanation, Part, Tokens
from transformer.lexicons import Neighbours
from transformer.neighbours import Neighbour
from transformer.text import normalize

BAR = 24
"""Characters of the longest bar."""

BLOCKS = " ▏▎▍▌▋▊▉█"

LOOKS = 3
"""Tokens named that a token looks at."""

ALTERNATIVES = 4

_INDENT = (0, 0, 0, 2)


def walk(explanation: Explanation) -> RenderableType:
    """All of it, one part after another."""
    found = Text.assemble(
        (normalize(explanation.text), "bold"),
        "  →  ",
        (normalize(explanation.translation), "bold green"),
    )
    parts = [_part(part) for part in explanation.parts]
    warnings = [Text(f"Warning: {one}", "yellow") for one in explanation.warnings]
    return Group(found, *warnings, *parts)


def compared(comparison: Comparison) -> RenderableType:
    """How alike the words that two texts share are, at each stage."""
    first, second = comparison.texts
    lines: list[RenderableType] = [
        Text.assemble((first, "bold"), "  and  ", (second, "bold")),
        _note(
            "Each word begins as the same vector in both. Attention mixes in what "
            "stands around it, and the two part ways: 1 is the same direction."
        ),
    ]
    for shared in comparison.words:
        table = Table(box=None, pad_edge=False, title_justify="left")
        table.add_column(Text(shared.word, "cyan"), no_wrap=True)
        table.add_column("cosine", justify="right")
        table.add_column("")
        table.add_column("without positions", justify="right")
        rows = zip(comparison.stages, shared.cosines, shared.unordered, strict=True)
        for stage, cosine, unordered in rows:
            table.add_row(stage, f"{cosine:.3f}", _bar(cosine), f"{unordered:.3f}")
        lines.append(Padding(table, (1, 0, 0, 2), expand=False))
    return Group(*lines, *_order(comparison.order))


def near(word: str, neighbours: Neighbours) -> RenderableType:
    """The words nearest to one, in each script of the vocabulary."""
    table = Table(box=None, pad_edge=False)
    for script in neighbours.by_script:
        table.add_column(script.capitalize(), no_wrap=True)
    columns = [list(map(_neighbour, found)) for found in neighbours.by_script.values()]
    for row in range(max(map(len, columns), default=0)):
        table.add_row(*(c[row] if row < len(c) else "" for c in columns))
    return Group(
        Text.assemble((normalize(word), "bold cyan"), f"  {_written(neighbours)}"),
        _note(
            "Words whose embeddings point in nearly the same direction: what training "
            "has found to behave alike. 1 is the same direction, 0 is unrelated."
        ),
        Padding(table, (1, 0, 0, 2), expand=False),
    )


def _written(neighbours: Neighbours) -> str:
    return f"= {' '.join(neighbours.pieces)}  →  {neighbours.translation}"


def _neighbour(one: Neighbour) -> Text:
    return Text.assemble((f"{one.cosine:.2f} ", "dim"), one.text)


def _order(order: Order | None) -> Iterator[RenderableType]:
    if order is not None:
        yield Text()
        yield _note(
            "The tokens are the same in another order. With positions, the encoder's "
            f"outputs for them differ by up to {order.ordered:.2g}; with every token "
            f"at position 0, by {order.unordered:.1g}: it could not tell the two apart."
        )


def _part(part: Part) -> RenderableType:
    return Group(
        _title("Text becomes tokens, and tokens become numbers"),
        _note(
            "The vocabulary was learnt from the training text: frequent words are one "
            "token, rare ones are written in pieces. ▁ begins a word."
        ),
        _tokens(part.source),
        _title("Each number selects a vector, which training gave a meaning"),
        _note("Words that behave alike have vectors that point the same way."),
        _neighbourhoods(part),
        _title("Positions are added, and attention brings in the other words"),
        _note(
            "Where each token looks most, in any layer and head of the encoder. "
            "What it sees there is mixed into its vector."
        ),
        _looks(part),
        _title("The translation is chosen token by token"),
        _note(
            "At each step the network gives every token of the vocabulary a "
            "probability; the search keeps the best few sentences, not just one."
        ),
        _steps(part),
        *_search(part),
        _title("Words that belong together, by where the decoder looked"),
        _links(part),
    )


def _title(text: str) -> RenderableType:
    return Text(f"\n{text}", "bold underline")


def _note(text: str) -> RenderableType:
    return Text(text, "dim")


def _tokens(tokens: Tokens) -> RenderableType:
    chips = zip(tokens.pieces, tokens.ids, strict=True)
    pairs = [Text.assemble((piece, "cyan"), f" {id}") for piece, id in chips]
    return Padding(Text("   ").join(pairs), _INDENT, expand=False)


def _neighbourhoods(part: Part) -> RenderableType:
    table = _plain_table()
    for place in part.words:
        if place.neighbours is not None:
            names = [f"{one.text} {one.cosine:.2f}" for one in place.neighbours]
            table.add_row(Text(place.text, "cyan"), ", ".join(names))
    return Padding(table, _INDENT, expand=False)


def _looks(part: Part) -> RenderableType:
    table = _plain_table()
    layers, heads = part.encoder.attention.shape[:2]
    strongest = part.encoder.attention.reshape(layers * heads, -1, len(part.source.ids))
    for place, piece in enumerate(part.source.pieces[:-1]):
        looks = strongest[:, place].copy()
        looks[:, place] = 0  # at itself
        seen = np.argsort(-looks.max(axis=0), kind="stable")[:LOOKS]
        named = [
            _look(part.source.pieces[i], looks[:, i], heads)
            for i in seen.tolist()
            if i != place
        ]
        table.add_row(Text(piece, "cyan"), Text("   ").join(named))
    return Padding(table, _INDENT, expand=False)


def _look(piece: str, of_heads: np.ndarray, heads: int) -> Text:
    layer, head = divmod(int(of_heads.argmax()), heads)
    where = f" (layer {layer + 1}, head {head + 1})"
    return Text.assemble(piece, f" {of_heads.max():.0%}", (where, "dim"))


def _steps(part: Part) -> RenderableType:
    table = _plain_table()
    rows = zip(part.target.pieces, part.chosen, part.steps, strict=True)
    for piece, chosen, choices in rows:
        others = [c for c in choices if c.piece != piece][:ALTERNATIVES]
        named = ", ".join(f"{c.piece} {c.probability:.1%}" for c in others)
        table.add_row(
            Text(piece, "green"), f"{chosen:.1%}", _bar(chosen), Text(named, "dim")
        )
    return Padding(table, _INDENT, expand=False)


def _search(part: Part) -> Iterator[RenderableType]:
    if part.tree is not None:
        fates = [node.fate for node in part.tree.nodes]
        yield _note(
            f"Of {len(fates)} beginnings looked at, {fates.count('pruned')} were "
            f"dropped and {fates.count('ended')} came to an end."
        )


def _links(part: Part) -> RenderableType:
    source, target = part.source.text.split(), part.target.text.split()
    pairs = [
        Text.assemble((source[i], "cyan"), " – ", (target[j], "green"))
        for i, j in part.alignment
    ]
    return Padding(Text("   ").join(pairs), _INDENT, expand=False)


def _plain_table() -> Table:
    return Table(box=None, pad_edge=False, show_header=False)


def _bar(share: float) -> Text:
    """A bar as long as a share of `BAR`, to an eighth of a character."""
    eighths = round(max(0.0, share) * BAR * 8)
    whole, rest = divmod(eighths, 8)
    return Text("█" * whole + BLOCKS[rest].strip(), "blue")
