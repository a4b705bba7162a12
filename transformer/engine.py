"""Many searches on one device: rows that finish make room for sentences that wait.

A program has so many rows, one a sentence, each at its own position. It runs until some
of them are done; others take their places, and it goes on: whatever lengths the
translations have, the rows are busy. What a sentence is computed with follows from that
sentence alone, and programs are few:

    room     source positions: the power of two that holds the sentence
    length   steps: at first a little more than the room; for the rare translation
             that needs more, once again with as many as its limit may ask for
    rows     always the same number
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Int, Key

from transformer import parallel, search
from transformer.axes import Params
from transformer.networks import Memory, Network
from transformer.search import IMPOSSIBLE, Ask, Hypotheses, Rule, Select, State
from transformer.strategies import Strategy
from transformer.symbols import PAD

SHORTEST = 16
"""Positions of the smallest room; each further one has twice as many."""

RATIO, EXTRA = 2, 10
"""A translation has at most RATIO × the source's tokens + EXTRA, EOS included."""


class Request(NamedTuple):
    """One sentence to translate, and how."""

    ids: list[int]
    """With EOS."""
    place: tuple[int, int] = (0, 0)
    """Two numbers that decide, with the seed, what is drawn for it."""
    rules: tuple[Rule, ...] = ()
    select: Select | None = None
    """Instead of the strategy's."""

    @property
    def room(self) -> int:
        """The smallest source shape that holds it."""
        return max(SHORTEST, 1 << (len(self.ids) - 1).bit_length())

    @property
    def limit(self) -> int:
        """Most tokens of the translation, EOS included."""
        return RATIO * len(self.ids) + EXTRA


@struct.dataclass
class Asked:
    """What is asked for each row."""

    limits: Int[Array, " B"]
    places: Int[Array, "B 2"]
    rules: tuple[Rule, ...]
    select: Select | None


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


class Engine:
    """Finds the translations of many requests with one network.

    Args:
        rows: sentences that are decoded together.
        fitting: fewer rows where there are fewer requests. That is faster for those,
            but what a sentence is computed with depends on how many come with it.
    """

    def __init__(
        self, network: Network, mesh: Mesh, rows: int, *, fitting: bool = False
    ) -> None:
        self._mesh, self._rows, self._fitting = mesh, rows, fitting
        rowwise, whole = parallel.by_rows(mesh), parallel.whole(mesh)
        self._encode = jax.jit(network.encode, out_shardings=rowwise)
        self._begin = jax.jit(
            partial(_begin, network), out_shardings=rowwise, static_argnames="shape"
        )
        self._admit = jax.jit(_admit, out_shardings=rowwise, donate_argnums=0)
        self._turn = jax.jit(
            partial(_turn, network),
            out_shardings=(rowwise, whole),
            donate_argnums=1,
            static_argnames="shape",
        )

    def run(
        self,
        params: Params,
        requests: Sequence[Request],
        strategy: Strategy,
        seed: int = 0,
    ) -> Iterator[tuple[int, Hypotheses]]:
        """The number of each request and its hypotheses "K …", as they are found."""
        alike: dict[Any, dict[int, Request]] = defaultdict(dict)
        for number, request in enumerate(requests):
            alike[_kind(request)][number] = request
        for (room, *_), left in alike.items():
            for length in lengths(room):
                shape = Shape(strategy, self._fitted(len(left)), room, length)
                for number, found in self._flow(params, left, shape, seed):
                    if found is not None:
                        del left[number]
                        yield number, found

    def _fitted(self, count: int) -> int:
        if not self._fitting:
            return self._rows
        needed = 1 << max(0, count - 1).bit_length()
        return min(self._rows, parallel.filled(self._mesh, needed))

    def _flow(
        self, params: Params, requests: dict[int, Request], shape: Shape, seed: int
    ) -> Iterator[tuple[int, Hypotheses | None]]:
        """Brings requests of one kind through the rows; None for what is cut."""
        key = jax.random.key(seed)
        queue = _Queue(requests, shape)
        seats: list[int | None] = [None] * shape.rows
        running = None
        found: list[tuple[int, Hypotheses | None]] = []
        while True:
            while None in seats and queue:
                if (source := queue.source()) is not None:
                    queue.memory = self._encode(params, self._placed(source))
                taken = queue.seat(seats)
                news = self._placed((_asked(requests, seats), taken))
                running = running or self._begin(queue.memory, news[0], shape=shape)
                running = self._admit(running, queue.memory, *news)
            if running is None or not any(number is not None for number in seats):
                break
            quota = max(1, shape.rows // 8) if queue else shape.rows
            running, seen = self._turn(params, running, key, quota, shape=shape)
            yield from found  # while the device works
            found = list(_read(jax.device_get(seen), seats))
        yield from found

    def _placed(self, tree: Any) -> Any:
        """Puts NumPy arrays of all rows on the mesh."""
        rows = jax.tree.leaves(tree)[0].shape[0]
        mine = np.array(parallel.held(self._mesh, rows))
        return parallel.place(self._mesh, jax.tree.map(lambda leaf: leaf[mine], tree))


class _Queue:
    """Requests that wait, the longest first; as many are encoded as there are rows."""

    def __init__(self, requests: dict[int, Request], shape: Shape) -> None:
        self._requests, self._shape = requests, shape
        self._waiting = sorted(requests, key=lambda n: len(requests[n].ids))
        self._ready: list[tuple[int, int]] = []
        self.memory: Memory = None

    def __bool__(self) -> bool:
        return bool(self._waiting or self._ready)

    def source(self) -> Int[np.ndarray, "B S"] | None:
        """What to encode next, if nobody is ready."""
        if self._ready:
            return None
        rows, room = self._shape.rows, self._shape.room
        batch = [self._waiting.pop() for _ in range(min(rows, len(self._waiting)))]
        self._ready = list(enumerate(batch))[::-1]
        source = np.full((rows, room), PAD, np.int32)
        for row, number in enumerate(batch):
            ids = self._requests[number].ids
            source[row, : len(ids)] = ids
        return source

    def seat(self, seats: list[int | None]) -> Int[np.ndarray, " B"]:
        """Gives free seats to who is ready: whose row goes where, or -1."""
        taken = np.full(len(seats), -1, np.int32)
        for row, number in enumerate(seats):
            if number is None and self._ready:
                taken[row], seats[row] = self._ready.pop()
        return taken


def _read(
    seen: Seen, seats: list[int | None]
) -> Iterator[tuple[int, Hypotheses | None]]:
    """Empties the seats of those that are done."""
    for row, number in enumerate(seats):
        if number is not None and not seen.open[row]:
            seats[row] = None
            found = jax.tree.map(lambda leaf: leaf[row], seen.finished)  # noqa: B023
            yield number, None if seen.cut[row] else found


def lengths(room: int) -> tuple[int, int]:
    """Steps to try with, and steps that are enough for every limit."""
    return room + room // 4 + 4, RATIO * room + EXTRA


def _kind(request: Request) -> tuple[Any, ...]:
    """Equal for requests that can be rows of one program."""
    leaves, structure = jax.tree.flatten((request.rules, request.select))
    shapes = tuple((np.shape(leaf), np.result_type(leaf)) for leaf in leaves)
    return request.room, structure, shapes


def _asked(requests: dict[int, Request], seats: list[int | None]) -> Asked:
    """What is asked for each seat; empty ones ask for what any other does."""
    anyone = next(number for number in seats if number is not None)
    rows = [requests[anyone if number is None else number] for number in seats]
    stack = lambda *leaves: np.stack(leaves)  # noqa: E731
    return Asked(
        limits=np.array([row.limit for row in rows], np.int32),
        places=np.array([row.place for row in rows], np.int32),
        rules=jax.tree.map(stack, *(row.rules for row in rows)),
        select=jax.tree.map(stack, *(row.select for row in rows)),
    )


def _begin(network: Network, memory: Memory, asked: Asked, *, shape: Shape) -> Running:
    """Rows in which nothing happens yet."""
    strategy, rows = shape.strategy, shape.rows
    cache = network.cache(rows, strategy.width, shape.length)
    sizes = {"length": shape.length, "width": strategy.width, "best": strategy.best}
    state = search.start(cache, rows, **sizes)
    dead = state.alive._replace(scores=jnp.full_like(state.alive.scores, IMPOSSIBLE))
    empty = jax.tree.map(jnp.zeros_like, (memory, asked))
    return Running(*empty, state._replace(alive=dead))


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
    key: Key[Array, ""],
    quota: Int[Array, ""],
    *,
    shape: Shape,
) -> tuple[Running, Seen]:
    """Advances all rows until `quota` of them, or all, are done."""
    memory, asked, state = running
    strategy = shape.strategy
    of_line = jax.vmap(partial(jax.random.fold_in, key))(asked.places[:, 0])
    keys = jax.vmap(jax.random.fold_in)(of_line, asked.places[:, 1])
    select = asked.select or strategy.select
    ask = Ask(asked.limits, keys, asked.rules, select)
    step = network.step(params, memory)
    advance = partial(search.advanced, step, network.reordered, strategy.penalty, ask)
    first = search.alive(state).sum()

    def going(carry: tuple[State, Bool[Array, " B"]]) -> Bool[Array, ""]:
        left = search.alive(carry[0]).sum()
        return (left > 0) & (first - left < quota)

    def lengthened(carry: tuple[State, Bool[Array, " B"]]):
        state, cut = carry
        state = advance(state)
        over = search.alive(state) & (state.position >= shape.length)
        scores = jnp.where(over[:, None], IMPOSSIBLE, state.alive.scores)
        alive = state.alive._replace(scores=scores)
        return state._replace(alive=alive), cut | over

    none = jnp.zeros(shape.rows, bool)
    state, cut = jax.lax.while_loop(going, lengthened, (state, none))
    seen = Seen(search.alive(state), cut, state.finished)
    return Running(memory, asked, state), seen
