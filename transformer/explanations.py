"""Everything the model does with a text, to look at: pieces, vectors, looks, choices.

    explanation = transformer.explain(translator, "the SBI bank")
    explanation.parts[0].encoder.attention          # "L N S S": who looks where
    as_json(explanation)                            # all of it, as plain values

S source and T target tokens are counted with EOS; for other letters see `axes`. The
values are those of the translation: the same modules and parameters (`observations`),
the same search (`trees`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from transformer import (
    alignments,
    heads,
    neighbours,
    observations,
    scoring,
    seating,
    text,
    trees,
)
from transformer.alignments import Alignment
from transformer.errors import InputError
from transformer.neighbours import Neighbour
from transformer.observations import Stack
from transformer.strategies import Beam, Greedy
from transformer.symbols import EOS, PAD
from transformer.tokenizer import Tokenizer
from transformer.translator import Translator
from transformer.trees import Tree

CHOICES = 8
"""Tokens named at each step, likeliest first."""

NEAREST = 6
"""Neighbours of each word."""


class Tokens(NamedTuple):
    """One side of a part, as the model has it."""

    text: str
    """Normalised."""
    pieces: tuple[str, ...]
    """As they are written: ▁ begins a word, `</s>` is the end."""
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """The UTF-8 bytes of the text that each stands for; none for the end."""
    words: tuple[int, ...]
    """The number of the word that each belongs to; that of the end is one more."""


class Vectors(NamedTuple):
    """What passes through the encoder, or through the decoder for all steps at once.

    What the decoder reads at step t is the token before it, and BOS at the first.
    """

    embeddings: Float[np.ndarray, "T D"]
    """What each token is, wherever it stands."""
    inputs: Float[np.ndarray, "T D"]
    """With positions, where they are added."""
    layers: Float[np.ndarray, "L T D"]
    output: Float[np.ndarray, "T D"]
    """The last layer's, normalised in a pre-norm network."""
    attention: Float[np.ndarray, "L N T T"]
    """How much each position looks at each of its own side; rows sum to 1."""
    cross: Float[np.ndarray, "L N T S"] | None
    """How much each step looks at each source token; None in the encoder."""
    roles: tuple[tuple[str, ...], ...]
    """What each head of `attention` mostly does, "L N"; see `heads`."""


class Choice(NamedTuple):
    """A token that might come next."""

    id: int
    piece: str
    probability: float


class Word(NamedTuple):
    """A word of the source or a neighbour, on a map of the embeddings."""

    text: str
    x: float
    y: float
    neighbours: tuple[Neighbour, ...] | None
    """The words of the vocabulary nearest to it; None for one that is itself such."""


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
    """The beam search; None where the target was given."""
    alignment: Alignment
    """Words of source and target that belong together."""
    words: tuple[Word, ...]
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
