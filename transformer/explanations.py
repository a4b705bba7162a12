"""Everything the model does with a text, to look at: pieces, vectors, looks, choices.

    explanation = transformer.explain(translator, "the SBI bank")
    explanation.parts[0].encoder.attention          # "L N S S": who looks where
    plain(explanation)                              # all of it, as plain values

S source and T target tokens are counted with EOS; for other letters see `axes`. The
values are those of the translation: the same modules and parameters (`observations`),
the same search (`trees`).
"""

from collections import defaultdict
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from transformer import (
    alignments,
    lexicons,
    scoring,
    seating,
    trees,
)
from transformer.alignments import Alignment
from transformer.cleaning import Pair
from transformer.errors import InputError
from transformer.neighbours import Lexicon, Place, around
from transformer.parts import Outcome
from transformer.scoring import Ids
from transformer.strategies import Beam, Greedy
from transformer.symbols import EOS
from transformer.tasks import Desk, Task
from transformer.text import normalize
from transformer.tokenizer import Tokenizer
from transformer.traces import Tokens, Vectors, tokens, traced
from transformer.translator import Translator
from transformer.trees import Tree

CHOICES = 8
"""Tokens named at each step, likeliest first."""

NEAREST = 6
"""Neighbours of each word."""


class Choice(NamedTuple):
    """A token that might come next."""

    id: int
    piece: str
    probability: float


class Part(NamedTuple):
    """A sentence, or what the translator takes for one."""

    source: Tokens
    target: Tokens
    encoder: Vectors
    decoder: Vectors
    positions: Float[np.ndarray, "S D"]
    """What is added for each place; zeros where positions turn queries and keys."""
    steps: tuple[tuple[Choice, ...], ...]
    """What might have come at each step of the target, likeliest first."""
    chosen: tuple[float, ...]
    """The probability of what did come."""
    tree: Tree | None
    """The search that found the target; None where it was given, or no search found it
    as it is: what is all spans is copied, and lost spans are put back."""
    branches: tuple[str, ...]
    """The pieces of the nodes of the tree."""
    alignment: Alignment
    """Words of source and target that belong together."""
    words: tuple[Place, ...]
    """Those of the source in order, then their neighbours, on one map."""


class Explanation(NamedTuple):
    """What the model does with a text."""

    text: str
    """As it was given."""
    translation: str
    """That of `translate`, or the target that was given."""
    greedy: str
    """What taking the likeliest token at each step gives."""
    warnings: tuple[str, ...]
    parts: tuple[Part, ...]
    """Empty for a text in which there is nothing to translate."""


def explain(
    translator: Translator,
    text: str,
    target: str | None = None,
    *,
    strategy: Beam | None = None,
) -> Explanation:
    """What the model does when it translates a text, or reads a given translation.

    Args:
        target: whose tokens are explained, instead of those of the best translation.
        strategy: how to search for it; as `translate` does, if it is not given.

    Raises:
        InputError: if a target is given and a side has more tokens than the model was
            trained for.
    """
    (greedy,) = translator.translate([text], strategy=Greedy())
    lexicon, _ = lexicons.lexicons(translator)
    if target is not None:
        part = _given(translator, lexicon, normalize(text), normalize(target))
        return Explanation(text, target, greedy.text, (), (part,))
    found, searched = translator.outcomes(text, strategy or Beam())
    parts = tuple(_searched(translator, lexicon, *one) for one in searched)
    return Explanation(text, found.text, greedy.text, found.warnings, parts)


def plain(value: Any) -> Any:
    """For JSON: named tuples by field, arrays as lists, six decimals."""
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    match value:
        case np.ndarray():
            return np.round(value.astype(float), 6).tolist()
        case tuple() | list():
            return [plain(one) for one in value]
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case float():
            return round(value, 6)
    return value


def _given(translator: Translator, lexicon: Lexicon, source: str, target: str) -> Part:
    """A part whose target is whatever it is."""
    ids = scoring.encode(translator.tokenizers, (source, target))
    for side, limit in zip(ids, _limits(translator), strict=True):
        if len(side) > limit:
            raise InputError(
                f"A side of this pair has {len(side)} tokens, and the model was "
                f"trained for {limit}. Explain it sentence by sentence."
            )
    sides = _sides(translator, (source, target), ids)
    return _part(translator, lexicon, *sides, None)


def _searched(
    translator: Translator, lexicon: Lexicon, task: Task, outcome: Outcome
) -> Part:
    """A part and its translation."""
    best = outcome.best[0]
    if outcome.task is None or not best.ids:
        target, tree = (*translator.tokenizers.target.encode(best.text), EOS), None
    else:
        target, request = best.ids, Desk(translator.tokenizers).request(outcome.task)
        tree = trees.grown(translator.model, translator.params, request)
    sides = _sides(translator, (task.text, best.text), (task.ids, target))
    return _part(translator, lexicon, *sides, tree)


def _limits(translator: Translator) -> tuple[int, int]:
    return translator.longest, seating.most(translator.longest)


def _sides(translator: Translator, texts: Pair, ids: Ids) -> tuple[Tokens, Tokens]:
    source, target = translator.tokenizers
    return tokens(source, texts[0], ids[0]), tokens(target, texts[1], ids[1])


def _part(
    translator: Translator,
    lexicon: Lexicon,
    read: Tokens,
    written: Tokens,
    tree: Tree | None,
) -> Part:
    log_probs, encoder, decoder = traced(translator, (read.ids, written.ids))
    assert decoder.cross is not None
    look = np.asarray(alignments.upper(jnp.asarray(decoder.cross)[:, None])[0])
    words = [np.array(side.words[:-1]) for side in (read, written)]
    return Part(
        source=read,
        target=written,
        encoder=encoder,
        decoder=decoder,
        positions=encoder.inputs - encoder.embeddings,
        steps=tuple(_choices(translator.tokenizers.target, row) for row in log_probs),
        chosen=tuple(
            float(np.exp(row[id]))
            for row, id in zip(log_probs, written.ids, strict=True)
        ),
        tree=tree,
        branches=tuple(
            translator.tokenizers.target.piece(node.id)
            for node in (tree.nodes if tree else ())
        ),
        alignment=_within(alignments.links(look, *words), read, written),
        words=_words(lexicon, read),
    )


def _within(links: Alignment, source: Tokens, target: Tokens) -> Alignment:
    """Without words that a model wrote and that are none in its text, as ▁▁."""
    counts = len(source.text.split()), len(target.text.split())
    return [(i, j) for i, j in links if i < counts[0] and j < counts[1]]


def _choices(
    tokenizer: Tokenizer, log_probs: Float[np.ndarray, " V"]
) -> tuple[Choice, ...]:
    best = np.argsort(-log_probs, kind="stable")[:CHOICES].tolist()
    return tuple(
        Choice(id, tokenizer.piece(id), float(np.exp(log_probs[id]))) for id in best
    )


def _words(lexicon: Lexicon, source: Tokens) -> tuple[Place, ...]:
    """The words of the source and their neighbours."""
    pieces = defaultdict(list)
    for id, word in zip(source.ids, source.words, strict=True):
        pieces[word].append(id)
    words = [(text, pieces[n]) for n, text in enumerate(source.text.split())]
    return around(lexicon, words, NEAREST)
