"""Which words of a translation stand for which of its source, by the model's attention.

    found = align(model, params, tokenizers, [("a dog", "ein Hund")], longest=128)
    pharaoh(found[0])                                                     # "0-0 1-1"

Nothing is trained for this. The upper layers of the decoder look at what they are
about to translate (Garg et al. 2019, "Jointly Learning to Align and Translate with
Transformer Models"), but also, whatever that is, at the same few words, the last one
above all. So what counts of a look is the share it is of all the looks at that word,
and a link is what both of its words prefer to any other.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from transformer import attention, scoring, text
from transformer.axes import Params
from transformer.cleaning import Pair
from transformer.model import Transformer
from transformer.tokenizer import Tokenizer, Tokenizers

Alignment = list[tuple[int, int]]
"""A source and a target word of each link, counted from 0, in order."""


def align(
    model: Transformer,
    params: Params,
    tokenizers: Tokenizers,
    pairs: Sequence[Pair],
    longest: int,
) -> list[Alignment | None]:
    """Links between the words of each pair of texts; a word has one or none.

    Words are what stands between the blanks of a normalised text, punctuation included.
    The texts are tokenised anew, so it does not matter who wrote the translations. The
    links of a pair are the same to the bit in whatever company it comes.

    Args:
        longest: as for `scoring.score`; a pair with more tokens has None.
    """
    ids = [scoring.encode(tokenizers, pair) for pair in pairs]
    looks = scoring.by_shape(partial(_looks, model, params), ids, longest)
    found: list[Alignment | None] = []
    for (source, target), look in zip(ids, looks, strict=True):
        source_words = words(tokenizers.source, source[:-1])
        target_words = words(tokenizers.target, target[:-1])
        if look is None:
            found.append(None)
        elif (source_words >= 0).any() and len(target_words):
            found.append(_links(_by_word(look, source_words, target_words)))
        else:
            found.append([])
    return found


def pharaoh(alignment: Alignment) -> str:
    """As other programs read it: "0-0 1-2", source before target."""
    return " ".join(f"{source}-{target}" for source, target in alignment)


def joined(
    sources: Sequence[str],
    targets: Sequence[str],
    parts: Sequence[Alignment | None],
) -> Alignment:
    """The alignment of a text from those of the parts it was `text.split` into.

    Args:
        targets: the translations of the parts, for `text.rejoin`.
    """
    links: Alignment = []
    i = j = 0
    before = last = ""
    for source, target, part in zip(sources, targets, parts, strict=True):
        i -= _shared(before, source, before + source)
        j -= _shared(last, target, text.rejoin([before, source], [last, target]))
        links += [(i + a, j + b) for a, b in part or []]
        i, j = i + len(source.split()), j + len(target.split())
        before, last = source, target or last
    return sorted(set(links))


def _shared(left: str, right: str, both: str) -> int:
    """1 if a text ends and the next one begins within one word, else 0."""
    return len(left.split()) + len(right.split()) - len(both.split())


def words(tokenizer: Tokenizer, ids: Sequence[int]) -> Int[np.ndarray, " T"]:
    """Which word of its text each token belongs to; tags before it to none, -1."""
    begins = [tokenizer.piece(id).startswith("▁") for id in ids]
    return np.cumsum(begins, dtype=int) - 1


@partial(jax.jit, static_argnames="model")
def _looks(
    model: Transformer,
    params: Params,
    source: Int[Array, "B S"],
    target: Int[Array, "B T"],
) -> Float[Array, "B T S"]:
    """How the decoder looks at the source when it is to write each target token.

    The average of all heads of the upper half of the layers. The network computes with
    its weights but keeps none, so they are computed again from what it does keep.
    """
    apply: Any = partial(model.apply, params, train=False)
    memory = apply(source, method="encode")
    depth = model.cfg.decoder_layers
    upper = range(depth // 2, depth)
    paths = [(f"decoder_{layer}", "cross_attention", "query") for layer in upper]

    def wanted(module: nn.Module, method: str) -> bool:
        del method
        return module.path in paths

    _, kept = apply(
        scoring.shifted(target),
        memory,
        method="states",
        capture_intermediates=wanted,
        mutable="intermediates",
    )
    weights = []
    for layer in upper:
        kept_here = kept["intermediates"][f"decoder_{layer}"]["cross_attention"]
        (query,) = kept_here["query"]["__call__"]
        weights.append(attention.weights(query, memory.layers[layer].key, memory.mask))
    return jnp.stack(weights).mean(axis=(0, 2))  # over layers and heads


def _by_word(
    look: Float[np.ndarray, "T S"],
    source: Int[np.ndarray, " s"],
    target: Int[np.ndarray, " t"],
) -> Float[np.ndarray, "J I"]:
    """From tokens to words: the mean over those that look, the sum over those seen."""
    look = look[: len(target), : len(source)].astype(np.float64)  # no EOS
    look, source = look[:, source >= 0], source[source >= 0]
    seen = np.zeros((len(look), source[-1] + 1))
    np.add.at(seen.T, source, look.T)
    by_word = np.zeros((target[-1] + 1, seen.shape[1]))
    np.add.at(by_word, target, seen)
    return by_word / np.bincount(target)[:, None]


def _links(look: Float[np.ndarray, "J I"]) -> Alignment:
    """Pairs of words that prefer each other."""
    share = look / look.sum(axis=0, keepdims=True)
    share = share / share.sum(axis=1, keepdims=True)
    of_target, of_source = share.argmax(axis=1), share.argmax(axis=0)
    return [(i, int(j)) for i, j in enumerate(of_source) if of_target[j] == i]
