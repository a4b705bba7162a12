"""Batches of few fixed shapes under a token budget, in an order anyone can recompute.

Sentences are packed: a row holds several of them end to end, numbered as segments, so
that hardly anything is padding and hardly any shape needs compiling. Which rows make
batch number i is a pure function of (seed, i), planned in NumPy; Grain fetches ahead
and remembers i, and a checkpoint keeps what Grain remembers.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import grain
import numpy as np
from jaxtyping import Bool, Float, Int

from transformer import packing
from transformer.errors import InputError
from transformer.portions import Portion
from transformer.store import Side, Store
from transformer.symbols import BOS, EOS, PAD

SENTENCES = 4
"""Sentences of mean length that a row should hold: with fewer, the ends stay empty."""

MOST = 2**31 - 1
"""Pairs of a plan, whose numbers have 32 bits."""

NOBODY = -1
"""Stands for an empty row, in the last batch of a shape."""

Held = Callable[[int], Sequence[int]]
"""Of so many rows of a batch, the numbers of those wanted; further ones are empty."""


class Packed(NamedTuple):
    """Rows of sentences end to end. Segments count from 1 in each row; 0 is padding.

    In NumPy here, on the device in the step.
    """

    tokens: Int[Any, "*A B T"]
    segments: Int[Any, "*A B T"]
    positions: Int[Any, "*A B T"]


class Batch(NamedTuple):
    """What one update learns from: A accumulated parts of B rows."""

    source: Packed
    """Sentences with EOS."""
    target: Packed
    """Sentences with BOS before them, as the decoder reads them."""
    labels: Int[Any, "*A B T"]
    """Sentences with EOS, as the decoder should continue them."""


class Shape(NamedTuple):
    """A batch of `rows` rows, with room for `source` and `target` positions each."""

    rows: int
    source: int
    target: int


def lengths(store: Store) -> Int[np.ndarray, "n 2"]:
    """Positions that each pair takes on the two sides, with EOS or BOS."""
    found = np.empty((store.size, 2), np.int32)
    for column, side in enumerate(store):
        found[:, column] = side.lengths
        found[:, column] += 1
    return found


def shapes(lengths: Int[np.ndarray, "n 2"], tokens: int) -> list[Shape]:
    """Shapes that hold every pair, largest first; `tokens` bounds rows × length.

    Most pairs fit the shortest rows, made for a few sentences of mean length. Each
    further shape is twice as long and takes what does not fit the one before.
    """
    mean, longest = lengths.mean(axis=0), lengths.max(axis=0)
    room = 2 ** np.ceil(np.log2(SENTENCES * mean.max())) * mean / mean.max()
    room = np.minimum(room, np.maximum(longest, tokens))
    found: list[Shape] = []
    while not found or (longest > found[-1][1:]).any():
        source, target = (8 * np.ceil(room / 8)).astype(int).tolist()
        found.append(Shape(max(1, tokens // max(source, target)), source, target))
        room = 2 * room
    return found[::-1]


class Plan:
    """Which pairs make which batch, epoch after epoch.

    Args:
        lengths: positions of each pair.
        rates: how often each pair comes in an epoch, or whether it does; those that do
            must fit a shape.
        shapes: as from `shapes`.
        accumulate: parts of one shape that make one update.
        seed: decides the order.

    Raises:
        InputError: for more than `MOST` pairs.
    """

    def __init__(
        self,
        lengths: Int[np.ndarray, "n 2"],
        rates: Float[np.ndarray, " n"] | Bool[np.ndarray, " n"],
        shapes: list[Shape],
        accumulate: int,
        seed: int,
    ) -> None:
        if len(rates) > MOST:
            raise InputError(
                f"{len(rates):,} pairs, each as often as data.segmentations says, are "
                f"more than the {MOST:,} that can be planned. Train on parts of them, "
                "one after the other with --init-from."
            )
        self.shapes = shapes
        self._accumulate, self._seed = accumulate, seed
        self._rows = [packing.NONE for _ in shapes]
        self._portions: list[list[Portion]] = [[] for _ in shapes]
        rest = np.random.default_rng(seed).permutation(
            np.flatnonzero(rates).astype(np.int32)
        )
        # Pairs share rows with those that come as often as they do.
        for rate in np.unique(rates[rest]).tolist():
            self._take(lengths, rest[rates[rest] == rate], float(rate))
        counts = [
            -(-sum(one.taken for one in portions) // (shape.rows * accumulate))
            for portions, shape in zip(self._portions, shapes, strict=True)
        ]
        self.per_epoch = sum(counts)
        """Batches of one epoch. The very first batch has the largest shape."""
        self._counts, self._tokens = counts, (rates @ lengths).sum()
        self._epoch = lru_cache(maxsize=2)(self._shuffle)

    def padding(self, filled: Callable[[int], int] = int) -> float:
        """The share of positions, on both sides, that hold no token.

        Args:
            filled: from the rows of a batch to those that devices compute for them.
        """
        room = sum(
            count * self._accumulate * filled(shape.rows) * sum(shape[1:])
            for count, shape in zip(self._counts, self.shapes, strict=True)
        )
        return 1 - self._tokens / room

    def _take(
        self, lengths: Int[np.ndarray, "n 2"], pairs: Int[np.ndarray, " m"], rate: float
    ) -> None:
        """Packs pairs that come equally often into rows of the smallest shapes."""
        for kind in reversed(range(len(self.shapes))):
            room = np.array(self.shapes[kind][1:])
            fits = (lengths[pairs] <= room).all(axis=1)
            rows = packing.rows(pairs[fits], packing.pack(lengths[pairs[fits]], room))
            if rows.size:
                taken = max(1, round(rate * rows.size))
                portion = Portion(self._rows[kind].size, rows.size, taken)
                self._portions[kind].append(portion)
            self._rows[kind] = self._rows[kind].then(rows)
            pairs = pairs[~fits]
        assert not len(pairs)

    def batch(
        self, number: int, held: Held = range
    ) -> tuple[Shape, list[list[np.ndarray]]]:
        """The shape of batch `number`, counted over epochs, and its pairs by row."""
        epoch, index = divmod(number, self.per_epoch)
        kind, parts = self._epoch(epoch)[index]
        shape = self.shapes[kind]
        wanted = held(shape.rows)
        return shape, [[self._pairs(kind, part, r) for r in wanted] for part in parts]

    def _pairs(self, kind: int, part: Int[np.ndarray, " B"], row: int) -> np.ndarray:
        filled = row < len(part) and part[row] != NOBODY
        return self._rows[kind].of(int(part[row])) if filled else np.zeros(0, np.int32)

    def _shuffle(self, epoch: int) -> list[tuple[int, Int[np.ndarray, "A B"]]]:
        random = np.random.default_rng([self._seed, epoch])
        batches = []
        for kind, (portions, shape) in enumerate(
            zip(self._portions, self.shapes, strict=True)
        ):
            grid = (-1, self._accumulate, shape.rows)
            rows = [one.drawn([self._seed, kind], epoch) for one in portions]
            order = random.permutation(np.concatenate([*rows, np.zeros(0, int)]))
            empty = -len(order) % (self._accumulate * shape.rows)
            order = np.append(order, [NOBODY] * empty)
            batches += [(kind, part) for part in order.astype(int).reshape(grid)]
        order = random.permutation(len(batches)).tolist()
        if epoch == 0:  # what does not fit in memory shall be known at once
            order.insert(0, order.pop(order.index(0)))
        return [batches[i] for i in order]


def assemble(store: Store, shape: Shape, parts: list[list[np.ndarray]]) -> Batch:
    """Copies sentences out of the store into one batch."""
    source = _lay(store.source, parts, shape.source)
    target = _lay(store.target, parts, shape.target)
    shifted = np.where(target.positions == 0, BOS, np.roll(target.tokens, 1, axis=-1))
    inputs = np.where(target.segments == 0, PAD, shifted)
    return Batch(source, target._replace(tokens=inputs), target.tokens)


def example(shape: Shape, accumulate: int) -> Batch:
    """A batch of that shape without a sentence."""

    def empty(length: int) -> np.ndarray:
        return np.zeros((accumulate, shape.rows, length), np.int32)

    source, target = empty(shape.source), empty(shape.target)
    return Batch(Packed(*[source] * 3), Packed(*[target] * 3), target)


def _lay(side: Side, parts: list[list[np.ndarray]], length: int) -> Packed:
    """Sentences with EOS end to end in rows of `length`."""
    rows = [row for part in parts for row in part]
    pairs = np.concatenate(rows)
    sizes = side.offsets[pairs + 1] - side.offsets[pairs] + 1
    counts = np.array([len(row) for row in rows])
    row = np.repeat(np.arange(len(rows)), counts)
    segment = np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)
    before = np.cumsum(sizes) - sizes
    first = np.repeat(before[segment == 0], counts[counts > 0])
    position = np.arange(sizes.sum()) - np.repeat(before, sizes)
    slot = np.repeat(row * length + before - first, sizes) + position
    inside = position < np.repeat(sizes - 1, sizes)
    tokens = np.full(len(position), EOS)
    begin = np.repeat(side.offsets[pairs], sizes)
    tokens[inside] = side.ids[(begin + position)[inside]]
    filled = np.zeros((3, len(rows) * length), np.int32)
    filled[:, slot] = tokens, np.repeat(segment + 1, sizes), position
    return Packed(*filled.reshape(3, len(parts), -1, length))


class _Source:
    """Batches by number, as Grain wants them."""

    def __init__(self, store: Store, plan: Plan, count: int, held: Held) -> None:
        self._store, self._plan, self._count = store, plan, count
        self._held = held

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Batch:
        return assemble(self._store, *self._plan.batch(index, self._held))


def stream(
    store: Store, plan: Plan, count: int, held: Held = range
) -> grain.DatasetIterator:
    """The first `count` batches, fetched ahead by two threads; the rows `held` here.

    Its `get_state` and `set_state` are what a checkpoint keeps of the data's position.
    """
    dataset = grain.MapDataset.source(_Source(store, plan, count, held))
    return iter(dataset.to_iter_dataset(grain.ReadOptions(2, 16)))


def once(store: Store, plan: Plan, held: Held = range) -> Iterator[Batch]:
    """Every pair once, for evaluation; of each batch the rows `held` here."""
    for number in range(plan.per_epoch):
        yield assemble(store, *plan.batch(number, held))
