"""One sentence and its translation on the way through the network, without padding."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from transformer import alignments, heads, observations, scoring, seating
from transformer.heads import Roles
from transformer.observations import Stack
from transformer.scoring import Ids
from transformer.symbols import PAD
from transformer.tokenizer import Tokenizer
from transformer.translator import Translator


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


def tokens(tokenizer: Tokenizer, normalized: str, ids: Sequence[int]) -> Tokens:
    """The tokens of a normalised text; `ids` end with EOS."""
    *own, end = ids
    words = alignments.words(tokenizer, own).tolist()
    begins = len(normalized.encode())
    return Tokens(
        text=normalized,
        pieces=tuple(map(tokenizer.piece, ids)),
        ids=(*own, end),
        spans=(*tokenizer.spans(own), (begins, begins)),
        words=(*words, words[-1] + 1 if words else 0),
    )


def traced(
    translator: Translator, ids: Ids
) -> tuple[Float[np.ndarray, "T V"], Vectors, Vectors]:
    """Log-probabilities after each step of the target, and what passed on the way."""
    model, params = translator.model, translator.params
    source, target = map(row, ids)
    memory, read = observations.encoder(model, params, source)
    shifted = scoring.shifted(target)
    log_probs, written = observations.decoder(model, params, shifted, memory)
    found: Any = jax.device_get((log_probs, read, written))
    log_probs, read, written = found
    lengths = len(ids[0]), len(ids[1])
    return (
        log_probs[0, : lengths[1]],
        _vectors(read, lengths, heads.of_encoder),
        _vectors(written, lengths, heads.of_decoder),
    )


def row(ids: Sequence[int]) -> Int[Array, "1 T"]:
    """A batch of one, padded to one of few lengths."""
    row = np.full((1, seating.room(len(ids))), PAD, np.int32)
    row[0, : len(ids)] = ids
    return jnp.asarray(row)


def _vectors(
    stack: Stack, lengths: tuple[int, int], roles: Callable[[np.ndarray], Roles]
) -> Vectors:
    """Of the only sentence, without padding."""
    source, target = lengths
    length = source if stack.cross is None else target
    attention = stack.attention[:, 0, :, :length, :length]
    return Vectors(
        stack.embeddings[0, :length],
        stack.inputs[0, :length],
        stack.layers[:, 0, :length],
        stack.output[0, :length],
        attention,
        None if stack.cross is None else stack.cross[:, 0, :, :length, :source],
        roles(attention),
    )
