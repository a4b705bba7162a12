"""`--data.tokens auto`: the largest batch that fits into memory, found before training.

Nothing runs: programs are compiled for a few sizes of batch, XLA says what each would
need, and the largest that fits is the budget.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh
from jax.stages import Compiled
from jaxtyping import Int

from transformer import batches
from transformer.axes import Params
from transformer.batches import Shape
from transformer.errors import InputError

SHARE = 0.8
"""Of the free memory; the rest is for batches to come, checkpoints being written and
evaluation."""

TRIES = 8
"""Most programs that are compiled in the search; where memory is linear, three."""

GIB = 2**30

MEMORY = Path("/proc/meminfo")

CONTROL_GROUPS = {
    Path("/sys/fs/cgroup"): ("max", "current", "inactive_file"),
    Path("/sys/fs/cgroup/memory"): (
        "limit_in_bytes",
        "usage_in_bytes",
        "total_inactive_file",
    ),
}
"""Where Linux tells a container its limit, what it uses, and how much of that is files
that are cached; in version 2 and in version 1."""


def largest(
    bytes_needed: Callable[[int], int], memory: int, least: int, most: int
) -> int:
    """The largest budget from `least` to `most` whose need fits into `memory`.

    Memory grows about linearly with tokens, so each try goes where the line through the
    last two meets the limit, in two significant digits. What is returned was tried. If
    memory is linear, nothing 10 % larger fits.

    Raises:
        InputError: if not even `least` fits.
    """
    best, need = least, bytes_needed(least)
    if need > memory:
        raise InputError(
            f"A batch of {least} target positions needs {need / 1e9:.2f} GB, but only "
            f"{memory / 1e9:.2f} GB are free. Lower data.max_length or model.dim, or "
            "use training.remat=layers."
        )
    too_much, guess = most + 1, min(2 * least, most)
    for _ in range(TRIES - 1):
        if guess <= best:
            break
        needed = bytes_needed(guess)
        if needed == sys.maxsize:  # more than a program may have: who knows how much
            meets = (best + guess) // 2
        elif needed > need:
            meets = best + (memory - need) * (guess - best) // (needed - need)
        else:  # level: there is room for all that is left to try
            meets = too_much - 1
        if needed <= memory:
            best, need = guess, needed
        else:
            too_much = guess
        if 10 * meets < 11 * best:
            break
        guess = _readable(min(meets, too_much - 1))
    return best


def _readable(number: int) -> int:
    """Rounded down to two significant digits: less by under a tenth."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return number // unit * unit


def of_update(
    compiled: Callable[[Shape], Compiled], lengths: Int[np.ndarray, "n 2"]
) -> Callable[[int], int]:
    """Bytes that an update needs, state included, as a function of its token budget.

    Args:
        compiled: the update for batches of a shape; it is never run.
        lengths: positions of each pair that is trained on.
    """

    def bytes_needed(tokens: int) -> int:
        try:
            program = compiled(batches.shapes(lengths, tokens)[0])
        except jax.errors.JaxRuntimeError as error:  # XLA for TPUs looks at memory
            if exhausted(error):
                return sys.maxsize
            raise
        plan = program.memory_analysis()
        assert plan is not None, "XLA tells it of every program"
        return (
            plan.temp_size_in_bytes
            + plan.argument_size_in_bytes
            + plan.output_size_in_bytes
            - plan.alias_size_in_bytes
        )

    return bytes_needed


def exhausted(error: Exception) -> bool:
    """Whether a smaller batch would have been no error."""
    return "RESOURCE_EXHAUSTED" in str(error)


def most_useful(lengths: Int[np.ndarray, "n 2"]) -> int:
    """The budget of a batch that holds the whole corpus."""
    return int(lengths.max(axis=1).sum())


def free_memory(mesh: Mesh) -> int:
    """Bytes that a program may plan for on each device of this process."""
    devices = mesh.local_devices
    statistics = devices[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        free = statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    else:  # CPU devices have one memory
        free = min(_available(), _container_room()) // len(devices)
    return int(SHARE * free)


def copies(params: Params) -> int:
    """Processes with these parameters that half of main memory has room for."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    pages = os.sysconf("SC_PHYS_PAGES") // 2
    room = min(os.sysconf("SC_PAGE_SIZE") * pages, _container_room())
    return room // (GIB + 3 * size)


def _available() -> int:
    """Bytes of main memory to be had, those included that only cache files; where that
    is not told, half of all."""
    half = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        told = _told("MemAvailable:", MEMORY.read_text("utf-8"))
    except OSError:
        return half
    return half if told is None else 1024 * told


def _container_room() -> int:
    """Bytes up to the limit of the container that we are in, if any."""
    for folder, names in CONTROL_GROUPS.items():
        try:
            limit, used, told = (
                (folder / f"memory.{name}").read_text("utf-8")
                for name in (*names[:2], "stat")
            )
        except OSError:
            continue
        if limit.strip() != "max":
            return max(0, int(limit) - int(used) + (_told(names[2], told) or 0))
    return sys.maxsize


def _told(name: str, lines: str) -> int | None:
    """The number behind a name, in one of many lines."""
    pairs = (line.split()[:2] for line in lines.splitlines())
    return next((int(number) for key, number in pairs if key == name), None)
