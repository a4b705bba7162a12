"""What a beam search went through: every hypothesis it kept, and those it let go.

    tree = grown(model, params, ids, Beam(width=4))

It is the search that translates, stopped after every step to be looked at.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from transformer import search, seating
from transformer.axes import Params
from transformer.largest import largest
from transformer.model import Transformer
from transformer.networks import Alone, Memory
from transformer.search import IMPOSSIBLE, Ask, State
from transformer.strategies import Beam
from transformer.symbols import EOS, PAD

Fate = Literal["kept", "ended", "pruned"]


class Node(NamedTuple):
    """A hypothesis: its last token, and where the rest of it is."""

    parent: int
    """The number of the hypothesis before this token; -1 for that of no tokens."""
    step: int
    """Where the token stands, counted from 0."""
    id: int
    log_prob: float
    """Of the token."""
    total: float
    """The log-probability of the hypothesis."""
    score: float | None
    """What it is judged by, once it has ended."""
    fate: Fate
    """Whether the search went on with it, it was complete, or others were better."""


class Tree(NamedTuple):
    """The search for one sentence."""

    nodes: tuple[Node, ...]
    """Those of one step together, likeliest first; parents before their children."""
    best: tuple[int, ...]
    """The numbers of the nodes of what was found, from the first token to the last."""


class _Candidates(NamedTuple):
    """The likeliest continuations of a step, more than are kept, best first."""

    sums: Float[np.ndarray, " C"]
    parents: Int[np.ndarray, " C"]
    tokens: Int[np.ndarray, " C"]
    log_probs: Float[np.ndarray, " C"]


def grown(
    model: Transformer, params: Params, ids: tuple[int, ...], strategy: Beam
) -> Tree:
    """The tree of the search for the translation of `ids`, which end with EOS."""
    room, limit = seating.room(len(ids)), seating.most(len(ids))
    source = np.full((1, room), PAD, np.int32)
    source[0, : len(ids)] = ids
    ask = Ask(jnp.array([limit]))
    memory, state = _begin(
        model, params, source, length=seating.most(room), width=strategy.width
    )
    nodes: list[Node] = []
    open_: list[int] = [-1] * strategy.width  # the node of each hypothesis under way
    while bool(search.alive(state)[0]):
        before = state
        state, candidates = _step(model, params, memory, ask, state, strategy)
        open_ = _enter(nodes, open_, jax.device_get((before, candidates, state)), strategy)
    return Tree(tuple(nodes), _best(nodes))
