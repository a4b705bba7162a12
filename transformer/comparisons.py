"""The same words in two texts: how attention tells them apart, layer by layer.

    compare(translator, "the river bank", "the SBI bank").words[-1].cosines

A word has one embedding, wherever it stands; from the first layer on, its vector also
tells what stands around it. What order adds is seen by doing without it: with every
token at position 0, which changes what the network reads and nothing in it, a sentence
is a bag of words.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from transformer import alignments, masks, observations, seating, text
from transformer.errors import InputError
from transformer.layers import Layout
from transformer.neighbours import cosines
from transformer.symbols import EOS
from transformer.traces import row
from transformer.translator import Translator


class Shared(NamedTuple):
    """A word that stands in both texts."""

    word: str
    places: tuple[int, int]
    """The number of the word in each text, counted from 0."""
    cosines: tuple[float, ...]
    """Of its two vectors at each stage; 1 is the same direction."""
    unordered: tuple[float, ...]
    """The same, with every token at position 0."""


class Order(NamedTuple):
    """Two texts of the same tokens in another order."""

    ordered: float
    """The largest difference between entries of the encoder's outputs for a token."""
    unordered: float
    """The same, with every token at position 0: nothing but rounding."""


class Comparison(NamedTuple):
    """Two texts, as the encoder reads them."""

    texts: tuple[str, str]
    """Normalised."""
    stages: tuple[str, ...]
    words: tuple[Shared, ...]
    order: Order | None
    """None unless the tokens are the same."""


class Reading(NamedTuple):
    """A text in the encoder."""

    words: tuple[str, ...]
    ids: tuple[int, ...]
    numbers: Int[np.ndarray, " S"]
    """The word of each token but EOS."""
    ordered: Float[np.ndarray, "stages S D"]
    unordered: Float[np.ndarray, "stages S D"]


def compare(translator: Translator, first: str, second: str) -> Comparison:
    """The words that two texts share, and how alike they are at each stage.

    Raises:
        InputError: if they share none, or one has more tokens than the model was
            trained for.
    """
    one, other = readings = [_read(translator, raw) for raw in (first, second)]
    shared = tuple(_shared(one, other))
    if not shared:
        raise InputError(
            f"{first!r} and {second!r} have no word in common. Compare two that do."
        )
    return Comparison(
        texts=(" ".join(one.words), " ".join(other.words)),
        stages=_stages(translator.model.cfg.encoder_layers),
        words=shared,
        order=_order(*readings),
    )


def _stages(layers: int) -> tuple[str, ...]:
    each = (f"layer {layer}" for layer in range(1, layers + 1))
    return "embedding", "with position", *each, "output"


def _read(translator: Translator, raw: str) -> Reading:
    tokenizer, normalized = translator.tokenizers.source, text.normalize(raw)
    ids = (*tokenizer.encode(normalized), EOS)
    if len(ids) > translator.longest:
        raise InputError(
            f"A text of {len(ids)} tokens is more than the {translator.longest} that "
            "the model was trained for. Compare single sentences."
        )
    read = partial(_stack, translator, ids)
    ordered, unordered = read(np.arange(seating.room(len(ids)))), read(np.zeros(1, int))
    numbers = alignments.words(tokenizer, ids[:-1])
    return Reading(tuple(normalized.split()), ids, numbers, ordered, unordered)


def _stack(
    translator: Translator, ids: Sequence[int], places: Int[np.ndarray, " #room"]
) -> Float[np.ndarray, "stages S D"]:
    """A sentence at every stage, its tokens at these positions."""
    source = row(ids)
    rows = jnp.broadcast_to(jnp.asarray(places, jnp.int32)[None], source.shape)
    layout = Layout(rows, masks.padding(source))
    model, params = translator.model, translator.params
    _, seen = jax.device_get(observations.encoder(model, params, source, layout))
    stages = [seen.embeddings, seen.inputs, *seen.layers, seen.output]
    return np.stack([stage[0, : len(ids)] for stage in stages]).astype(np.float64)


def _shared(one: Reading, other: Reading) -> list[Shared]:
    """The words of one that the other has, each as often as both have it."""
    left = defaultdict(list)
    for place, word in enumerate(other.words):
        left[word].append(place)
    pairs = [
        (place, left[word].pop(0)) for place, word in enumerate(one.words) if left[word]
    ]
    return [
        Shared(
            one.words[i],
            (i, j),
            _alike(_word(one.ordered, one, i), _word(other.ordered, other, j)),
            _alike(_word(one.unordered, one, i), _word(other.unordered, other, j)),
        )
        for i, j in pairs
    ]


def _word(
    stack: Float[np.ndarray, "stages S D"], reading: Reading, place: int
) -> Float[np.ndarray, "stages D"]:
    """The mean of the tokens of a word."""
    return stack[:, : len(reading.numbers)][:, reading.numbers == place].mean(axis=1)


def _alike(
    some: Float[np.ndarray, "stages D"], others: Float[np.ndarray, "stages D"]
) -> tuple[float, ...]:
    return tuple(cosines(some, others).tolist())


def _order(one: Reading, other: Reading) -> Order | None:
    if one.ids == other.ids or Counter(one.ids) != Counter(other.ids):
        return None
    # The same token twice has no order of its own: the first goes with the first.
    i, j = (np.argsort(side.ids, kind="stable") for side in (one, other))
    return Order(
        _gap(one.ordered[-1][i], other.ordered[-1][j]),
        _gap(one.unordered[-1][i], other.unordered[-1][j]),
    )


def _gap(some: Float[np.ndarray, "S D"], others: Float[np.ndarray, "S D"]) -> float:
    return float(np.abs(some - others).max())
