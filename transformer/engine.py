"""Many searches on one device: rows that finish make room for sentences that wait.

A program has so many rows, one a sentence, each at its own position. It runs until some
of them are done; others take their places, and it goes on: whatever lengths the
translations have, the rows are busy. What a sentence is computed with follows from that
sentence alone, and programs are few:

    room     source positions: the power of two that holds the sentence
    length   steps: at first a little more than the room; for the rare translation
             that needs more, once again with as many as its limit may ask for
    rows     always the same number for as wide a beam

On a CPU several programs run side by side, in lanes, each with rows of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Int, Key

from transformer import parallel, search, seating
from transformer.axes import Params
from transformer.lanes import together
from transformer.networks import Memory, Network, penalised
from transformer.search import Ask, Hypotheses, State
from transformer.seating import Asked, Queue, Request, Sizes
from transformer.strategies import Strategy

Flow = Iterator[tuple[int, Hypotheses | None]]
"""The number of each request and what was found, None if it was cut."""


class Running(NamedTuple):
    """Rows under way."""

    memory: Memory
    asked: Asked
    state: State


class Seen(NamedTuple):
    """What the host reads after a turn."""

    open: Bool[Array, " B"]
    cut: Bool[Array, " B"]
    """Rows that came to the last step of the program without an end."""
    finished: Hypotheses


@dataclass(frozen=True)
class Shape:
    """What a program is compiled for, besides the shapes of its arguments."""

    strategy: Strategy
    rows: int
    room: int
    length: int


class Programs(NamedTuple):
    """Of a network, compiled for each shape when it first comes."""

    encode: Callable[..., Memory]
    begin: Callable[..., Running]
    turn: Callable[..., tuple[Running, Seen]]


@lru_cache
def _programs(network: Network, mesh: Mesh) -> Programs:
    """The same ones for all engines of a network, which are traced once."""
    rowwise, whole = parallel.by_rows(mesh), parallel.whole(mesh)
    begin, turn = partial(_begin, network), partial(_turn, network)
    shaped = partial(jax.jit, static_argnames="shape")
    return Programs(
        jax.jit(network.encode, out_shardings=rowwise),
        shaped(begin, out_shardings=rowwise),
        shaped(turn, out_shardings=(rowwise, whole), donate_argnums=1),
    )


class Engine:
    """Finds the translations of many requests with one network.

    Args:
        sizes: rows, hypotheses and lanes at most.
        fitting: fewer rows where there are fewer requests, and as many for a wide beam
            as for a narrow one. That is faster, but what a sentence is computed with
            depends on how many come with it.
    """

    def __init__(
        self, network: Network, mesh: Mesh, sizes: Sizes, *, fitting: bool = False
    ) -> None:
        self._mesh, self._sizes, self._fitting = mesh, sizes, fitting
        self._programs = _programs(network, mesh)

    def run(
        self,
        params: Params,
        requests: Sequence[Request],
        seed: int = 0,
    ) -> Iterator[tuple[int, Hypotheses]]:
        """The number of each request and its hypotheses "K …", as they are found."""
        left = dict(enumerate(requests))
        for attempt in range(2):
            flows = list(self._flows(params, left, seed, attempt))
            for number, found in together(flows, self._sizes.lanes):
                if found is not None:
                    del left[number]
                    yield number, found

    def _flows(
        self, params: Params, left: dict[int, Request], seed: int, attempt: int
    ) -> Iterator[Flow]:
        """What can be rows of one program, the longest first, a share for each lane."""
        alike: dict[Any, list[int]] = defaultdict(list)
        for number in sorted(left, key=lambda n: len(left[n].ids))[::-1]:
            alike[seating.kind(left[number])].append(number)
        for (room, strategy, lengths, *_), numbers in alike.items():
            lanes, rows = self._spread(len(numbers), strategy.width)
            shape = Shape(strategy, rows, room, lengths[attempt])
            for lane in range(lanes):
                share = {number: left[number] for number in numbers[lane::lanes]}
                yield self._flow(params, share, shape, seed)

    def _spread(self, count: int, width: int) -> tuple[int, int]:
        """Programs side by side, as many as have enough to do, and the rows of each."""
        most, hypotheses, lanes = self._sizes
        if not self._fitting:
            rows = parallel.filled(self._mesh, min(most, max(1, hypotheses // width)))
            return min(lanes, -(-count // rows)), rows
        lanes = min(lanes, -(-2 * count // most))
        share = -(-count // lanes)
        rows = parallel.filled(self._mesh, 1 << (share - 1).bit_length())
        return lanes, min(most, rows)

    def _flow(
        self, params: Params, requests: dict[int, Request], shape: Shape, seed: int
    ) -> Flow:
        """Brings requests of one kind through the rows; None for what is cut."""
        key = jax.random.key(seed)
        queue = Queue(requests, shape.rows)
        seats: list[int | None] = [None] * shape.rows
        running, memory = None, None
        found: list[tuple[int, Hypotheses | None]] = []
        while queue or any(number is not None for number in seats):
            if (source := queue.source()) is not None:
                memory = self._programs.encode(params, self._placed(source))
            taken = queue.seat(seats)
            asked = self._placed(seating.asked(requests, seats))
            running = running or self._programs.begin(memory, asked, shape=shape)
            news = memory, asked, self._placed(taken)
            quota = max(1, shape.rows // 8) if queue else shape.rows
            running, seen = self._programs.turn(
                params, running, news, key, quota, shape=shape
            )
            yield from found  # while the device works
            found = list(_read(jax.device_get(seen), seats))
        yield from found

    def _placed(self, tree: Any) -> Any:
        """Puts NumPy arrays of all rows on the mesh."""
        if self._mesh.size == 1:
            return tree
        rows = jax.tree.leaves(tree)[0].shape[0]
        mine = np.array(parallel.held(self._mesh, rows))
        return parallel.place(self._mesh, jax.tree.map(lambda leaf: leaf[mine], tree))


def _read(
    seen: Seen, seats: list[int | None]
) -> Iterator[tuple[int, Hypotheses | None]]:
    """Empties the seats of those that are done."""
    for row, number in enumerate(seats):
        if number is not None and not seen.open[row]:
            seats[row] = None
            found = jax.tree.map(lambda leaf: leaf[row], seen.finished)  # noqa: B023
            yield number, None if seen.cut[row] else found


def _begin(network: Network, memory: Memory, asked: Asked, *, shape: Shape) -> Running:
    """Rows in which nothing happens yet."""
    strategy, rows = shape.strategy, shape.rows
    network, _ = penalised(network, strategy.coverage)
    cache = network.cache(memory, strategy.width, shape.length)
    sizes = {"length": shape.length, "width": strategy.width, "best": strategy.best}
    memory, asked = jax.tree.map(jnp.zeros_like, (memory, asked))
    return Running(memory, asked, search.idle(cache, rows, **sizes))


def _admit(
    running: Running, memory: Memory, asked: Asked, taken: Int[Array, " B"]
) -> Running:
    """Begins a search in each row that takes one of the memory's; -1 takes none.

    What the row's cache still holds lies behind the position, where nothing looks.
    """
    old = running.state
    rows, width, length = old.alive.tokens.shape
    best = old.finished.tokens.shape[1]
    new = search.start(old.cache, rows, length=length, width=width, best=best)
    memory = jax.tree.map(lambda leaf: leaf[taken], memory)

    def choose(new: Array, old: Array) -> Array:
        here = (taken >= 0).reshape(-1, *[1] * (new.ndim - 1))
        return jnp.where(here, new, old)

    before = running.memory, running.asked, old._replace(cache=())
    after = memory, asked, new._replace(cache=())
    memory, asked, state = jax.tree.map(choose, after, before)
    return Running(memory, asked, state._replace(cache=old.cache))


def _turn(
    network: Network,
    params: Params,
    running: Running,
    news: tuple[Memory, Asked, Int[Array, " B"]],
    key: Key[Array, ""],
    quota: Int[Array, ""],
    *,
    shape: Shape,
) -> tuple[Running, Seen]:
    """Lets new ones in; advances all rows until `quota` of them, or all, are done."""
    memory, asked, state = _admit(running, *news)
    strategy = shape.strategy
    of_line = jax.vmap(partial(jax.random.fold_in, key))(asked.places[:, 0])
    keys = jax.vmap(jax.random.fold_in)(of_line, asked.places[:, 1])
    select = asked.select or strategy.select
    ask = Ask(jnp.asarray(asked.limits), keys, asked.rules, select)
    network, worth = penalised(network, strategy.coverage)
    advance = partial(
        search.advanced,
        network.step(params, memory),
        network.reordered,
        strategy.penalty,
        ask,
        worth=worth,
    )
    first = search.alive(state).sum()

    def going(carry: tuple[State, Bool[Array, " B"]]) -> Bool[Array, ""]:
        left = search.alive(carry[0]).sum()
        return (left > 0) & (first - left < quota)

    def lengthened(carry: tuple[State, Bool[Array, " B"]]):
        state, cut = carry
        state, over = _ended(advance(state), shape.length)
        return state, cut | over

    none = jnp.zeros(shape.rows, bool)
    state, cut = jax.lax.while_loop(going, lengthened, (state, none))
    seen = Seen(search.alive(state), cut, state.finished)
    return Running(memory, asked, state), seen


def _ended(state: State, length: int) -> tuple[State, Bool[Array, " B"]]:
    """The searches for which there is room left, and which have come to its end."""
    over = search.alive(state) & (state.position >= length)
    alive = search.scored(state.alive, state.alive.scores, ~over[:, None])
    return state._replace(alive=alive), over
