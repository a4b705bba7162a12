"""Our decoding, as benchmarks/decode.py calls it: python -m benchmarks.ours FOLDER.

`ours` is the one place that knows how our engine is called.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from benchmarks import exchange
from benchmarks.exchange import Network
from benchmarks.rivals import decoding
from benchmarks.rivals.decoding import ALPHA, Ids
from transformer import devices
from transformer.axes import Params
from transformer.model import Transformer
from transformer.search import IMPOSSIBLE, Hypotheses
from transformer.strategies import Beam, Greedy
from transformer.symbols import BOS, EOS, PAD

ROWS = 32
"""Sentences that are translated together when a whole file is given."""

SHORTEST = 16
"""Positions of the smallest source shape; each further one has twice as many."""


def ours(
    model: Transformer,
    params: Params,
    sources: list[Ids],
    width: int,
    forced: int | None,
) -> list[Ids]:
    """Translations without EOS. Sources end in EOS.

    Args:
        width: of the beam; 1 is greedy.
        forced: tokens that each translation has, EOS included; None ends at EOS.
    """
    search = partial(_some, model, params, width=width, forced=forced)
    return decoding.by_length(sources, ROWS, search)


def _some(
    model: Transformer,
    params: Params,
    sources: list[Ids],
    *,
    width: int,
    forced: int | None,
) -> list[Ids]:
    """Up to `ROWS` sentences; one alone has a program of its own."""
    rows = 1 if len(sources) == 1 else ROWS
    room = _room(max(map(len, sources)))
    padded = np.full((rows, room), PAD, np.int32)
    limits = np.ones(rows, np.int32)
    for row, source in enumerate(sources):
        padded[row, : len(source)] = source
        limits[row] = forced or decoding.limit(source)
    length = forced or decoding.limit([0] * room)
    found = _search(
        model, params, padded, limits, width=width, least=forced or 1, length=length
    )
    tokens = np.asarray(found.tokens[: len(sources), 0])
    return [row[(row != PAD) & (row != EOS)].tolist() for row in tokens]


@partial(jax.jit, static_argnums=0, static_argnames=("width", "least", "length"))
def _search(
    model: Transformer,
    params: Params,
    source: Int[Array, "B S"],
    limits: Int[Array, " B"],
    *,
    width: int,
    least: int,
    length: int,
) -> Hypotheses:
    memory = model.apply(params, source, train=False, method="encode")

    def step(tokens, position, cache):
        logits, cache = model.apply(
            params, tokens, position, cache, memory, method="decode_step"
        )
        early = (jnp.arange(logits.shape[-1]) == EOS) & (position + 1 < least)
        return jnp.where(early[None], IMPOSSIBLE, logits), cache

    strategy = Greedy() if width == 1 else Beam(width=width, alpha=ALPHA)
    keys = jax.random.split(jax.random.key(0), source.shape[0])
    cache = model.empty_cache(source.shape[0], length)
    return strategy(step, cache, limits, keys, length)


def score(
    model: Transformer, params: Params, sources: list[Ids], targets: list[Ids]
) -> list[list[float]]:
    """Log-probabilities of each target's tokens and of EOS behind them."""
    source = _padded(sources)
    labels = _padded([[*target, EOS] for target in targets])
    found = np.asarray(_log_probs(model, params, source, labels))
    return [
        row[: len(target) + 1].tolist()
        for row, target in zip(found, targets, strict=True)
    ]


@partial(jax.jit, static_argnums=0)
def _log_probs(
    model: Transformer,
    params: Params,
    source: Int[Array, "B S"],
    labels: Int[Array, "B T"],
) -> Float[Array, "B T"]:
    target = jnp.roll(labels, 1, axis=1).at[:, 0].set(BOS)
    target = jnp.where(target == EOS, PAD, target)
    logits: Any = model.apply(params, source, target, train=False)
    log_probs = jax.nn.log_softmax(logits)
    return jnp.take_along_axis(log_probs, labels[..., None], axis=-1)[..., 0]


def _padded(sentences: list[Ids]) -> Int[np.ndarray, "B T"]:
    padded = np.full((len(sentences), _room(max(map(len, sentences)))), PAD, np.int32)
    for row, ids in zip(padded, sentences, strict=True):
        row[: len(ids)] = ids
    return padded


def _room(length: int) -> int:
    return max(SHORTEST, 1 << (length - 1).bit_length())


class Decoder(NamedTuple):
    """Ours as a server of requests, like the rivals."""

    network: Network

    def search(self, sources: list[Ids], width: int, forced: int | None) -> list[Ids]:
        return ours(*self.network, sources, width, forced)

    def score(self, sources: list[Ids], targets: list[Ids]) -> list[list[float]]:
        return score(*self.network, sources, targets)


def main(folder: Path) -> None:
    devices.keep_freed_memory()
    devices.keep_compiled_programs()
    decoder = Decoder(exchange.read(folder))
    dtype = jnp.dtype(decoder.network.model.dtype)
    decoding.serve(f"ours, JAX {jax.__version__} {dtype}", decoder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
