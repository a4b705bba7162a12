"""What a beam search went through: every hypothesis it kept, and those it let go.

    tree = grown(model, params, ids, Beam(width=4))

It is the search that translates, stopped after every step to be looked at.
"""

from collections.abc import Sequence
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
from transformer.traces import row

SHOWN = 2
"""Continuations looked at in each step, as a multiple of the beam."""

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


class Candidates(NamedTuple):
    """The likeliest continuations of a step, more than are kept, best first."""

    sums: Float[Any, " C"]
    parents: Int[Any, " C"]
    tokens: Int[Any, " C"]
    log_probs: Float[Any, " C"]


def grown(
    model: Transformer, params: Params, ids: tuple[int, ...], strategy: Beam
) -> Tree:
    """The tree of the search for the translation of `ids`, which end with EOS."""
    ask = Ask(jnp.array([seating.most(len(ids))]))
    memory, state = _begun(model, params, row(ids), strategy)
    nodes: tuple[Node, ...] = ()
    leaves = [-1] * strategy.width  # the node of each hypothesis under way
    while bool(search.alive(state)[0]):
        before = state
        state, candidates = _step(model, params, memory, ask, state, strategy)
        news = jax.device_get((candidates, state.alive.scores[0], before.ended[0]))
        step = int(before.position[0])
        new, leaves = _grown(len(nodes), leaves, step, strategy, *news)
        nodes += new
    finished = jax.device_get(state.finished.tokens[0, 0])
    return Tree(nodes, _path(nodes, finished[finished != PAD].tolist()))


def _begun(
    model: Transformer, params: Params, source: Int[Array, "1 S"], strategy: Beam
) -> tuple[Memory, State]:
    """What is known of the source, and the search before its first step."""
    network = Alone(model)
    memory = jax.jit(network.encode)(params, source)
    length, width = seating.most(source.shape[1]), strategy.width
    cache = network.cache(memory, width, length)
    state = search.start(cache, 1, length=length, width=width, best=strategy.best)
    return memory, state


@partial(jax.jit, static_argnames=("model", "strategy"))
def _step(
    model: Transformer,
    params: Params,
    memory: Memory,
    ask: Ask,
    state: State,
    strategy: Beam,
) -> tuple[State, Candidates]:
    """The search after its next step, and what there was to choose from."""
    network = Alone(model)
    step = network.step(params, memory)
    log_probs, _ = search.expand(step, ask, state.position, state.alive, state.cache)
    gains = log_probs[0]
    sums = jnp.maximum(state.alive.scores[0][:, None] + gains, IMPOSSIBLE)
    best, places = largest(sums.reshape(-1), SHOWN * strategy.width)
    parents, tokens = jnp.divmod(places, sums.shape[1])
    candidates = Candidates(best, parents, tokens, gains[parents, tokens])
    reorder, penalty = network.reordered, strategy.penalty
    return search.advanced(step, reorder, penalty, ask, state), candidates


def _grown(
    count: int,
    leaves: list[int],
    step: int,
    strategy: Beam,
    candidates: Candidates,
    scores: Float[np.ndarray, " K"],
    ended: Int[np.ndarray, ""],
) -> tuple[tuple[Node, ...], list[int]]:
    """The nodes of a step, numbered from `count`, and those the search goes on with.

    Args:
        scores: of the hypotheses after the step; IMPOSSIBLE where it does not go on.
        ended: hypotheses that were complete before; the beam is narrower by so many.
    """
    width, divisor = strategy.width, float(strategy.penalty(jnp.float32(step + 1)))
    nodes: list[Node] = []
    after = [-1] * width
    for rank, (total, parent, id, gain) in enumerate(zip(*candidates, strict=True)):
        if total <= IMPOSSIBLE:
            continue
        whole = rank < width - ended and id == EOS
        kept = rank < width and scores[rank] > IMPOSSIBLE
        fate = "ended" if whole else "kept" if kept else "pruned"
        if kept:
            after[rank] = count + len(nodes)
        score = float(total) / divisor if whole else None
        nodes.append(
            Node(leaves[parent], step, int(id), float(gain), float(total), score, fate)
        )
    return tuple(nodes), after


def _path(nodes: tuple[Node, ...], tokens: Sequence[int]) -> tuple[int, ...]:
    """The nodes that spell these tokens."""
    children = {(node.parent, node.id): number for number, node in enumerate(nodes)}
    path: list[int] = []
    for id in tokens:
        path.append(children[path[-1] if path else -1, id])
    return tuple(path)
