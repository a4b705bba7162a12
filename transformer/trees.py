"""What a beam search went through: every hypothesis it kept, and those it let go.

    tree = grown(model, params, Request(ids, Beam(width=4), limit=most(len(ids))))

It is the search that translates, stopped after every step to be looked at.
"""

from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from transformer import search, seating
from transformer.axes import Params
from transformer.largest import largest
from transformer.model import Transformer
from transformer.networks import Alone, Memory, penalised
from transformer.search import IMPOSSIBLE, Ask, State
from transformer.seating import Request
from transformer.strategies import Strategy
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
    """Continuations that were chosen, and the likeliest others; likeliest first."""

    sums: Float[Any, " C"]
    parents: Int[Any, " C"]
    tokens: Int[Any, " C"]
    log_probs: Float[Any, " C"]
    scores: Float[Any, " C"]
    """What those that were chosen are judged by, if they have ended."""
    lanes: Int[Any, " C"]
    """Where the search goes on with them; -1 for those that were not chosen."""


class Turn(NamedTuple):
    """What happened in a step."""

    step: Int[Any, ""]
    places: Int[Any, ""]
    """Hypotheses there was room for: the beam is narrower by those that have ended."""
    candidates: Candidates
    going: Bool[Any, " K"]
    """The lanes in which the search goes on."""


def grown(model: Transformer, params: Params, request: Request) -> Tree:
    """The tree of the search that is asked for, in which nothing is drawn by chance."""
    strategy, ask = request.strategy, _alone(request)
    memory, state = _begun(model, params, row(request.ids), strategy)
    nodes: tuple[Node, ...] = ()
    leaves = [-1] * strategy.width  # the node of each hypothesis under way
    while bool(search.alive(state)[0]):
        state, turn = _step(model, params, memory, ask, state, strategy)
        new, leaves = _grown(len(nodes), leaves, jax.device_get(turn))
        nodes += new
    finished = jax.device_get(state.finished.tokens[0, 0])
    return Tree(nodes, _path(nodes, finished[finished != PAD].tolist()))


def _alone(request: Request) -> Ask:
    """What is asked for in a batch of one."""
    asked = seating.asked({0: request}, [0])
    select = asked.select or request.strategy.select
    return Ask(jnp.asarray(asked.limits), rules=asked.rules, select=select)


def _begun(
    model: Transformer, params: Params, source: Int[Array, "1 S"], strategy: Strategy
) -> tuple[Memory, State]:
    """What is known of the source, and the search before its first step."""
    network, _ = penalised(Alone(model), strategy.coverage)
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
    strategy: Strategy,
) -> tuple[State, Turn]:
    """The search after its next step, and what there was to choose from."""
    network, worth = penalised(Alone(model), strategy.coverage)
    step, penalty = network.step(params, memory), strategy.penalty
    after = search.advanced(step, network.reordered, penalty, ask, state, worth)
    log_probs, _ = search.expand(step, ask, state.position, state.alive, state.cache)
    extra = jnp.zeros(strategy.width) if worth is None else worth(after.cache)[0]
    divisor = penalty((state.position[0] + 1).astype(jnp.float32))
    turn = Turn(
        step=state.position[0],
        places=strategy.width - state.ended[0],
        candidates=_candidates(ask, state, log_probs[0], divisor, extra),
        going=after.alive.scores[0] > IMPOSSIBLE,
    )
    return after, turn


def _candidates(
    ask: Ask,
    state: State,
    log_probs: Float[Array, "K V"],
    divisor: Float[Array, ""],
    extra: Float[Array, " K"],
) -> Candidates:
    """The only sentence's.

    Args:
        divisor, extra: what makes a score of a sum, here and for each hypothesis.
    """
    width, size = log_probs.shape
    before = state.alive.tokens[0]
    sums = jnp.maximum(state.alive.scores[0][:, None] + log_probs, IMPOSSIBLE)
    select = jax.tree.map(lambda leaf: leaf[0], ask.select)
    chosen, *places = select(sums, log_probs, before, state.position[0], None)
    taken = jnp.where(chosen > IMPOSSIBLE, IMPOSSIBLE, jnp.inf)
    others, left = largest(sums.at[*places].min(taken), (SHOWN - 1) * width)
    parents, tokens = (
        jnp.concatenate(both)
        for both in zip(places, jnp.divmod(left, size), strict=True)
    )
    found = Candidates(
        sums=jnp.concatenate([chosen, others]),
        parents=parents,
        tokens=tokens,
        log_probs=log_probs[parents, tokens],
        scores=jnp.concatenate([chosen / divisor + extra, others]),
        lanes=jnp.concatenate([jnp.arange(width), jnp.full(others.shape, -1)]),
    )
    order = jnp.argsort(-found.sums, stable=True)
    return jax.tree.map(lambda leaf: leaf[order], found)


def _grown(
    count: int, leaves: list[int], turn: Turn
) -> tuple[tuple[Node, ...], list[int]]:
    """The nodes of a step, numbered from `count`, and those the search goes on with."""
    nodes: list[Node] = []
    after = [-1] * len(leaves)
    places, step = int(turn.places), int(turn.step)
    for total, parent, id, gain, score, lane in zip(*turn.candidates, strict=True):
        if total <= IMPOSSIBLE:
            continue
        whole = lane >= 0 and places > 0 and id == EOS
        kept = lane >= 0 and bool(turn.going[lane])
        fate = "ended" if whole else "kept" if kept else "pruned"
        places -= lane >= 0
        if kept:
            after[lane] = count + len(nodes)
        node = Node(
            parent=leaves[parent],
            step=step,
            id=int(id),
            log_prob=float(gain),
            total=float(total),
            score=float(score) if whole else None,
            fate=fate,
        )
        nodes.append(node)
    return tuple(nodes), after


def _path(nodes: tuple[Node, ...], tokens: list[int]) -> tuple[int, ...]:
    """The nodes that spell these tokens; two beams side by side can both have some."""
    ends = [number for number, node in enumerate(nodes) if node.fate == "ended"]
    paths = (_to(nodes, end) for end in ends)
    spelt = (path for path in paths if [nodes[n].id for n in path] == tokens)
    return next(spelt) if tokens else ()


def _to(nodes: tuple[Node, ...], end: int) -> tuple[int, ...]:
    """From the first token to this one."""
    path: list[int] = []
    while end >= 0:
        path.append(end)
        end = nodes[end].parent
    return tuple(reversed(path))
