"""Whether bfloat16 learns as float32 does: python -m benchmarks.curve [--steps 500].

The same network learns from the same batches of Multi30k in the same order, in float32,
in bfloat16, and in float32 once more from other random numbers: how far the third is
from the first is the noise that the second should lie within. Losses are means over
windows of updates. On a GPU, run it there and with JAX_PLATFORMS=cpu, and compare.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import jax
import numpy as np
import tyro
from jaxtyping import Float

from benchmarks import cli
from benchmarks.work import CommonWork, Dtype, Task, Work, task
from transformer import batches, devices, parallel

RUNS: dict[str, tuple[Dtype, int]] = {
    "float32": ("float32", 0),
    "bfloat16": ("bfloat16", 0),
    "float32, other seed": ("float32", 1),
}


@dataclass(frozen=True, kw_only=True)
class Command:
    work: Annotated[CommonWork, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=lambda: CommonWork(regime="real")
    )
    steps: int = 500
    windows: int = 10


def losses(command: Command, run: str) -> Float[np.ndarray, " windows"]:
    """Of each window of updates, the mean."""
    dtype, seed = RUNS[run]
    work = Work(**dataclasses.asdict(command.work), dtype=dtype)
    found = [loss.item() for loss in _each(_seeded(task(work), seed), command.steps)]
    return np.array([part.mean() for part in np.array_split(found, command.windows)])


def _seeded(made: Task, seed: int) -> Task:
    """With another beginning and other dropout; the batches stay."""
    training = dataclasses.replace(made.cfg.training, seed=seed)
    return made._replace(cfg=dataclasses.replace(made.cfg, training=training))


def _each(made: Task, steps: int) -> Iterator[jax.Array]:
    update, state = jax.jit(made.step(), donate_argnums=0), made.state()
    stream = batches.stream(made.store, made.plan, steps)
    for batch in islice(stream, steps):
        state, metrics = update(state, parallel.place(parallel.alone(), batch, 1))
        yield metrics["loss"]


def main(command: Command) -> None:
    print(devices.description(parallel.alone()))
    curves = {run: losses(command, run) for run in RUNS}
    print("| updates | " + " | ".join(curves) + " |")
    print("|---" * (1 + len(curves)) + "|")
    ends = np.linspace(0, command.steps, command.windows + 1).astype(int)
    for window in range(command.windows):
        row = " | ".join(f"{curve[window]:.4f}" for curve in curves.values())
        print(f"| {ends[window] + 1} to {ends[window + 1]} | {row} |")


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
