"""Random scores that depend on all tokens before, and a search over them."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from transformer import search
from transformer.search import IMPOSSIBLE, Ask
from transformer.symbols import BOS, PAD

STATES = 97


class Found(NamedTuple):
    tokens: tuple[int, ...]
    """EOS included."""
    score: float


def random(seed, size):
    """Log-probabilities of `size` tokens in each state."""
    logits = np.random.default_rng(seed).normal(0, 2, (STATES, size))
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits.astype(np.float32)


def after(state, token, position):
    """The state of a whole prefix: order, tokens and positions matter."""
    return (state * 7 + token + 31 * position) % STATES


def following(table, tokens):
    """Log-probabilities of what follows `tokens`."""
    state = 0
    for position, token in enumerate((BOS, *tokens)):
        state = after(state, token, position)
    return table[state]


def score(table, tokens):
    return sum(following(table, tokens[:i])[token] for i, token in enumerate(tokens))


@partial(jax.jit, static_argnames=("width", "length"))
def _search(table, limit, rules, select, *, width, length):
    def step(tokens, position, state):
        state = after(state, tokens, position[:, None])
        return table[state], state

    alone = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (limit, rules, select))
    limits, rules, select = alone
    return search.beam(
        step,
        jnp.zeros((1, width), jnp.int32),
        Ask(limits, rules=rules, select=select),
        length=length,
        width=width,
        best=width,
        penalty=search.gnmt(0.0),
    )


def beam(select, table, *, width, limit, rules=()):
    """All that a search finds with nothing to make it stop early, best first."""
    sizes = {"width": width, "length": limit}
    found = jax.device_get(
        _search(jnp.array(table), jnp.int32(limit), rules, select, **sizes)
    )
    return [
        Found(tuple(tokens[tokens != PAD].tolist()), float(score))
        for tokens, score in zip(found.tokens[0], found.scores[0], strict=True)
        if score > IMPOSSIBLE
    ]
