"""The update, compiled for every shape of batch before the first one comes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.stages import Compiled
from jaxtyping import Array, Bool

from transformer import batches, budget, parallel
from transformer.batches import Batch, Shape
from transformer.config import DataConfig
from transformer.errors import InputError
from transformer.step import (
    Metrics,
    Objective,
    TrainState,
    initial_state,
    train_step,
)


class Outcome(NamedTuple):
    """What an update leaves to read, when the device is done with it."""

    metrics: Metrics
    interrupted: Bool[Array, ""]
    """Whether any process was, before the update."""


Step = tuple[TrainState, Outcome]


class Update:
    """Takes states and the rows of batches that this process holds to new states.

    Args:
        state: the first one; its arrays say where states lie.
        shapes: of all batches to come.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: optax.GradientTransformation,
        cfg: DataConfig,
        state: TrainState,
        shapes: list[Shape],
    ) -> None:
        self._cfg, self._mesh = cfg, objective.mesh
        self._flags = [self._flag(interrupted=value) for value in (False, True)]
        start = time.perf_counter()
        self._programs: dict[tuple[int, ...], Compiled] = {}
        for shape in shapes:
            with fitting(cfg):
                program = compiled(objective, optimizer, cfg.accumulate, state, shape)
            rows = parallel.filled(self._mesh, shape.rows)
            self._programs[rows, shape.target] = program
        self.seconds = time.perf_counter() - start
        """What compiling took."""

    def __call__(self, state: TrainState, batch: Batch, *, interrupted: bool) -> Step:
        """One update. Raises `InputError` if the batch does not fit into memory."""
        there = parallel.place(self._mesh, batch, before=1)
        program = self._programs[there.labels.shape[1:]]
        with fitting(self._cfg):
            return program(state, there, self._flags[interrupted])

    def programs(self) -> list[Compiled]:
        """One for each shape."""
        return list(self._programs.values())

    def _flag(self, *, interrupted: bool) -> jax.Array:
        """One for each device: processes that share rows may not share a signal."""
        mine = np.full(len(self._mesh.local_devices), interrupted)
        there = parallel.by_devices(self._mesh)
        return jax.make_array_from_process_local_data(there, mine)


def abstract_state(
    objective: Objective, optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """The shapes of a state, and where on the mesh it lies."""
    fresh = partial(initial_state, objective.model, optimizer, seed)
    return parallel.placed(objective.mesh, jax.eval_shape(fresh))


def first_state(
    objective: Objective, optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """The state before the first update, on the mesh."""
    fresh = partial(initial_state, objective.model, optimizer, seed)
    there = parallel.shardings(objective.mesh, jax.eval_shape(fresh))
    return jax.jit(fresh, out_shardings=there)()


def compiled(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    accumulate: int,
    state: TrainState,
    shape: Shape,
) -> Compiled:
    """The update for batches of one shape; an abstract state that is placed will do."""
    mesh, by_rows = objective.mesh, parallel.by_rows(objective.mesh, before=1)
    filled = shape._replace(rows=parallel.filled(mesh, shape.rows))
    batch = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=by_rows),
        batches.example(filled, accumulate),
    )
    each = parallel.by_devices(mesh)
    flags = jax.ShapeDtypeStruct((mesh.size,), jnp.bool, sharding=each)
    places, structure = jax.tree.flatten(parallel.shardings(mesh, state))
    jitted = _jitted(objective, optimizer, structure, tuple(places))
    return jitted.lower(state, batch, flags).compile()


@lru_cache
def _jitted(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    structure: Any,
    places: tuple[Any, ...],
) -> Any:
    """Traced once for all runs of a process that are to do the same.

    Args:
        structure, places: of states, and where their arrays lie.
    """
    state = jax.tree.unflatten(structure, places)
    return jax.jit(
        partial(_update, objective, optimizer),
        donate_argnums=0,
        out_shardings=(state, parallel.whole(objective.mesh)),
    )


def _update(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
    interrupted: Bool[Array, " devices"],
) -> Step:
    state, metrics = train_step(objective, optimizer, state, batch)
    return state, Outcome(metrics, jnp.any(interrupted))


@contextmanager
def fitting(cfg: DataConfig) -> Iterator[None]:
    """Raises `InputError` for what a smaller batch would mend.

    That may come when a program is compiled, when it is begun, or when its result is
    asked for.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not budget.exhausted(error):
            raise
        raise InputError(
            f"A batch of data.tokens={cfg.budget} does not fit into the memory of the "
            "device. Halve it, and double data.accumulate to keep the size of an "
            "update; if a checkpoint is saved already, with another --out."
        ) from error
