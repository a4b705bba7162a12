"""Several processes as one program: how they start, agree, and wait for one another.

Collectives of JAX wait for seconds or minutes, but the first process may read a corpus
for hours. So what passes between processes outside of programs goes through the
key-value store of JAX's coordinator, for which JAX has no public name.
"""

import itertools
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import jax
from jax._src import distributed

from transformer.errors import InputError

DAY = 24 * 60 * 60 * 1000
"""How long one process waits for another, in milliseconds."""

PATIENCE = 10_000
"""How long one that failed waits for the others to fail as well, in milliseconds."""

T = TypeVar("T")

_number = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Which process this is, among how many; by default there is one."""

    coordinator: str | None = None
    """HOST:PORT of process 0; or auto: JAX asks Slurm, Open MPI, Kubernetes, GKE or
    Cloud TPU."""
    processes: int | None = None
    """How many there are, if the coordinator is named."""
    process: int | None = None
    """Which of them this one is, from 0."""


class Lost(RuntimeError):
    """Another process is gone, so that this one cannot go on."""


def connect(cfg: Processes) -> None:
    """Finds the other processes. To be called before anything else asks for devices.

    Raises:
        InputError: if what is needed is not said, or not found.
    """
    named = cfg.processes, cfg.process
    if cfg.coordinator == "auto":
        if named != (None, None):
            raise InputError("--coordinator auto finds --processes and --process.")
        try:
            jax.distributed.initialize()
        except ValueError as error:
            raise InputError(
                "--coordinator auto finds no cluster. Name --coordinator HOST:PORT, "
                "--processes and --process."
            ) from error
    elif cfg.coordinator is not None:
        _check(cfg)
        jax.distributed.initialize(cfg.coordinator, *named)
    elif named != (None, None):
        raise InputError("--processes and --process need --coordinator.")
    if cfg.coordinator is not None:  # JAX would only note it, and nobody ask
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _check(cfg: Processes) -> None:
    if not re.fullmatch(r".+:\d+", cfg.coordinator or ""):
        raise InputError(f"--coordinator {cfg.coordinator} is not HOST:PORT or auto.")
    if cfg.processes is None or cfg.process is None:
        raise InputError("--coordinator HOST:PORT needs --processes and --process.")
    if not 0 <= cfg.process < cfg.processes:
        raise InputError(
            f"--process {cfg.process} must be from 0 to {cfg.processes - 1}, one less "
            f"than --processes {cfg.processes}."
        )


def several() -> bool:
    return distributed.global_state.client is not None and jax.process_count() > 1


def first() -> bool:
    """Whether this process writes what is written once."""
    return not several() or jax.process_index() == 0


def agreed(value: T) -> T:
    """What process 0 passes, in all of them; plain values as JSON has them.

    All processes must call this, `each`, `known`, `meet` and `in_turn` in one order.
    """
    if not several():
        return value
    key = f"{__name__}/{next(_number)}"
    if first():
        _client().key_value_set(key, json.dumps(value))
        return value
    return json.loads(_client().blocking_key_value_get(key, DAY))


def each(value: T) -> list[T]:
    """What every process passes, in all of them; plain values as JSON has them."""
    if not several():
        return [value]
    key = f"{__name__}/{next(_number)}"
    _client().key_value_set(f"{key}/{jax.process_index()}", json.dumps(value))
    keys = [f"{key}/{process}" for process in range(jax.process_count())]
    return [json.loads(_client().blocking_key_value_get(one, DAY)) for one in keys]


def known(*, told: bool) -> bool:
    """Whether any process was told, in all of them."""
    return any(each(told))


def meet() -> None:
    """Returns when all processes have come here."""
    if several():
        _client().wait_at_barrier(f"{__name__}/{next(_number)}", DAY)


def in_turn(work: Callable[[], T]) -> T:
    """Does the work in process 0, then in all others, which find what it wrote.

    Raises:
        InputError: in all of them, if one raises it.
    """
    if not several():
        return work()
    results: list[T] = []
    for mine in (first(), not first()):
        failure = None
        try:
            results += [work()] if mine else []
        except InputError as error:
            failure = str(error)
        for message in each(failure):
            if message is not None:
                raise InputError(message)
    return results[0]


@contextmanager
def company() -> Iterator[None]:
    """Says in a sentence what collectives say when another process is gone."""
    try:
        yield
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        if not several() or not re.search(
            "gloo|nccl|unavailable|peer", str(error), re.I
        ):
            raise
        raise Lost(
            "Another process is lost, and with it the work since the last checkpoint. "
            f"Start all of them again: they continue. ({str(error).splitlines()[0]})"
        ) from error


def part(code: int) -> None:
    """Leaves, if there are several processes, when all others do or do not come."""
    if not several():
        return
    with suppress(jax.errors.JaxRuntimeError):
        _client().wait_at_barrier(f"{__name__}/parting", PATIENCE)
    if first():
        time.sleep(1)  # the others learn from it that they may go
    leave(code)


def leave(code: int) -> NoReturn:
    """Ends this process at once: at a usual exit, JAX would wait for those it lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _client() -> Any:
    return distributed.global_state.client
