"""How likely a model finds given translations: to filter corpora, to rescore others'.

A pair is computed in a shape that follows from it alone, in batches of one size, so
that its score is the same to the bit in whatever company it comes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from transformer import devices, seating
from transformer.axes import Params
from transformer.cleaning import Pair
from transformer.model import Transformer
from transformer.symbols import BOS, EOS, PAD
from transformer.tokenizer import Tokenizers

Ids = tuple[Sequence[int], Sequence[int]]
"""Of source and target, each with EOS at its end."""

Program = Callable[[Int[Array, "B S"], Int[Array, "B T"]], Float[Array, "B T ..."]]
"""From padded sources and targets, EOS at their ends, to one row a target token."""


class Score(NamedTuple):
    """Of one target, given its source."""

    log_probs: tuple[float, ...]
    """Of each token, EOS included."""

    @property
    def total(self) -> float:
        """The log-probability of the whole target: to rescore with."""
        return sum(self.log_probs)

    @property
    def mean(self) -> float:
        """The total by token, which long targets can have as high as short ones."""
        return self.total / len(self.log_probs)


def encode(tokenizers: Tokenizers, pair: Pair) -> Ids:
    """Ids of both sides of a pair of texts."""
    source, target = tokenizers.encode(pair)
    return [*source, EOS], [*target, EOS]


def score(
    model: Transformer, params: Params, pairs: Sequence[Ids], longest: int
) -> list[Score | None]:
    """The score of each pair, in order.

    Args:
        longest: tokens a side, EOS included, that the model was trained for. A pair
            with more has no score, None: the model has never seen one like it, and the
            score of a part would be one of another pair.
    """
    found = by_shape(partial(_log_probs, model, params), pairs, longest)
    return [None if row is None else Score(tuple(row.tolist())) for row in found]


def by_shape(
    program: Program, pairs: Sequence[Ids], longest: int
) -> list[Float[np.ndarray, "T ..."] | None]:
    """The rows of each pair's target tokens; None if a side is too long.

    Args:
        program: compiled for each shape; there are few, as both sides of a pair get the
            room that the longer one needs.
        longest: most tokens a side.
    """
    fitting = [i for i, pair in enumerate(pairs) if max(map(len, pair)) <= longest]
    rooms: dict[int, list[int]] = {}
    for number in fitting:
        room = seating.room(max(map(len, pairs[number])))
        rooms.setdefault(room, []).append(number)
    rows = devices.rows()
    started = [
        (chunk, program(*_padded([pairs[number] for number in chunk], rows, room)))
        for room, numbers in sorted(rooms.items())
        for chunk in (numbers[i : i + rows] for i in range(0, len(numbers), rows))
    ]
    found: list[np.ndarray | None] = [None] * len(pairs)
    for chunk, batch in started:
        for number, row in zip(chunk, np.asarray(batch), strict=False):
            found[number] = row[: len(pairs[number][1])]
    return found


def _padded(
    pairs: Sequence[Ids], rows: int, room: int
) -> tuple[Int[Array, "B S"], Int[Array, "B T"]]:
    """Sources and targets of a batch; its last rows may be empty."""
    both = np.full((2, rows, room), PAD, np.int32)
    for row, pair in enumerate(pairs):
        for side, ids in enumerate(pair):
            both[side, row, : len(ids)] = ids
    return jnp.asarray(both[0]), jnp.asarray(both[1])


def shifted(target: Int[Array, "B T"]) -> Int[Array, "B T"]:
    """What the decoder reads when it is to write `target`: BOS, and all but the end."""
    begin = jnp.full((target.shape[0], 1), BOS, target.dtype)
    return jnp.concatenate([begin, target[:, :-1]], axis=1)


@partial(jax.jit, static_argnames="model")
def _log_probs(
    model: Transformer,
    params: Params,
    source: Int[Array, "B S"],
    target: Int[Array, "B T"],
) -> Float[Array, "B T"]:
    """Of each target token."""
    apply: Any = partial(model.apply, params)
    memory = apply(source, train=False, method="encode")
    states = apply(shifted(target), memory, train=False, method="states")

    def of_row(row: tuple[Array, Array]) -> Float[Array, " T"]:
        states, target = row
        log_probs = jax.nn.log_softmax(apply(states[None], method="logits")[0])
        return jnp.take_along_axis(log_probs, target[:, None], axis=-1)[:, 0]

    # Row by row: the scores of all tokens of all rows at once can take gigabytes.
    return jax.lax.map(of_row, (states, target))
