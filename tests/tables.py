"""Random scores after every prefix, and a plain beam over them, to try selects with."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from transformer.search import IMPOSSIBLE
from transformer.symbols import BOS, EOS, PAD, UNK

KEY = jax.random.key(0)


class Found(NamedTuple):
    tokens: tuple[int, ...]
    """EOS included."""
    score: float


def table(seed: int, size: int, scale: float = 2.0) -> Callable[..., np.ndarray]:
    """Log-probabilities of `size` tokens that depend on all tokens before."""
    seen = {}

    def after(tokens):
        tokens = tuple(map(int, tokens))
        if tokens not in seen:
            logits = np.random.default_rng([seed, *tokens]).normal(0, scale, size)
            seen[tokens] = logits - np.log(np.exp(logits).sum())
        return seen[tokens].astype(np.float32)

    return after


def score(model, tokens):
    return sum(float(model(tokens[:i])[token]) for i, token in enumerate(tokens))


@jax.jit
def step(select, rules, alive, log_probs, tokens, position):
    """What the search does with log-probabilities: rules, sums, a select."""
    for rule in rules:
        each = jax.vmap(rule, in_axes=(0, 0, None))
        log_probs = each(log_probs, tokens, position)
    sums = jnp.maximum(alive[:, None] + log_probs, IMPOSSIBLE)
    key = jax.random.fold_in(KEY, position)
    return select(sums, log_probs, tokens, position, key)


def beam(select, model, *, width, limit, rules=()):
    """All translations that a beam finishes, and its places after every step."""
    tokens = np.full((width, limit), PAD, np.int32)
    alive = np.full(width, IMPOSSIBLE, np.float32)
    alive[0] = 0
    found, places = [], []
    for position in range(limit):
        log_probs = np.stack([model(row[:position]) for row in tokens])
        log_probs[:, [PAD, BOS, UNK]] = IMPOSSIBLE
        if position + 1 == limit:
            log_probs[:, np.arange(log_probs.shape[1]) != EOS] = IMPOSSIBLE
        chosen = step(select, rules, alive, log_probs, tokens, jnp.int32(position))
        alive, parents, new = map(np.array, chosen)
        tokens = tokens[parents]
        tokens[:, position] = new
        ended = (new == EOS) & (alive > IMPOSSIBLE)
        found += [
            Found(tuple(row[: position + 1].tolist()), float(total))
            for row, total in zip(tokens[ended], alive[ended], strict=True)
        ]
        places.append((tokens[:, : position + 1], alive))
        alive = np.where(new == EOS, IMPOSSIBLE, alive).astype(np.float32)
    return found, places
