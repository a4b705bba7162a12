"""The arithmetic of docs/scale.md: a network too large to try here, on 256 chips.

    python -m benchmarks.plan

Nothing is measured. Parameters, and what the backward pass keeps, are counted on the
program by abstract evaluation, in the types that it has where there is no CPU;
collectives are those of XLA:CPU for 8 devices.
"""

from collections.abc import Iterator
from functools import cache, partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import flops
from transformer import backend, batches, parallel
from transformer.batches import Shape
from transformer.config import ModelConfig
from transformer.losses import Criterion
from transformer.model import Transformer
from transformer.step import Objective, loss_sum

DEPTH, DIM, VOCABULARY = 8, 2048, 32_000
LENGTH = 128  # of a row, which takes four sentences of 26 tokens or more
POSITIONS = 8192 * LENGTH  # of an update, on each side; padding counts as work
DEVICES, NODE = 256, 8
ARRAYS = (2 + 4 + 3 + 7) * DEPTH + 3  # of states, summed over tensor in an update
MESHES = ("data=256", "fsdp=256", "data=32,fsdp=8", "data=32,tensor=8")

# Dense bfloat16 operations a second; bytes a second one way, in a node and between.
CHIPS = {"H100": (989e12, 450e9, 50e9), "TPU v5p": (459e12, 600e9, 600e9)}

LAYERS = dict.fromkeys(("encoder_layers", "decoder_layers"), DEPTH)
CFG = ModelConfig(
    vocab_size=VOCABULARY, dim=DIM, hidden_dim=8192, num_heads=16, norm="pre", **LAYERS
)
OBJECTIVE = Objective(Transformer(CFG, jnp.bfloat16), Criterion(0.1), parallel.alone())
TOKEN, KEY = jnp.zeros((1, 1), jnp.int32), jax.random.key(0)
PARAMS = jax.eval_shape(partial(OBJECTIVE.model.init, train=False), KEY, TOKEN, TOKEN)
Costs = dict[str, float]


def size(arrays: object) -> float:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(arrays))


@cache
def kept() -> tuple[float, float, float]:
    """Bytes kept for the backward pass: once; a position in width D; and in others."""

    def residuals(rows: int) -> list[jax.ShapeDtypeStruct]:
        example = batches.example(Shape(rows, LENGTH, LENGTH), accumulate=1)
        part = jax.tree.map(lambda x: jnp.asarray(x[0]), example)
        loss = partial(loss_sum, OBJECTIVE, part=part, key=KEY)
        vjp = partial(jax.vjp, loss, has_aux=True)
        with mock.patch.object(backend, "wide", lambda dtype: dtype):
            return jax.tree.leaves(jax.eval_shape(vjp, PARAMS)[1])

    one, two = residuals(4), residuals(8)
    each = (size(two) - size(one)) / (4 * LENGTH)
    wide = [x for x in two if x.shape[-1:] == (DIM,) and x.size == 8 * LENGTH * DIM]
    width = size(wide) / (8 * LENGTH) - 3 * DEPTH * 2 * DIM  # what attentions find
    return 2 * size(one) - size(two), width, each - width


def memory(data: int, fsdp: int, tensor: int) -> Costs:
    """Bytes on a device."""
    del data
    whole, (fixed, wide, divided) = size(PARAMS) / tensor, kept()
    own = POSITIONS * tensor / DEVICES
    return {
        "parameters and moments": 3 * whole / fsdp,
        "parameters, gathered": (fsdp > 1) * whole,
        "gradients: their sum, and of one part": whole / fsdp + whole,
        "bfloat16 parameters, loss": fixed / tensor,
        "kept for the backward pass": own * (wide + divided / tensor),
    }


def seconds(chip: str, data: int, fsdp: int, tensor: int) -> Costs:
    """Of an update on `chip`, nothing at the same time as anything else."""
    operations, near, far = CHIPS[chip]
    ring = min(near, NODE * far)  # over all devices, through all cards of a node
    over_fsdp = near if fsdp <= NODE else ring
    over_data = far * fsdp if fsdp * tensor > 1 else ring
    whole, inside = size(PARAMS) / tensor, (tensor - 1) / tensor
    again = 8 * VOCABULARY * DIM / tensor  # two more sums of the table
    states = 2 * DIM * POSITIONS * tensor / DEVICES
    work = flops.per_target_token(CFG, np.full((1, 2), 26)) * POSITIONS / DEVICES
    return {
        "products at 40 %": work / operations / 0.4,
        "gradients, over data": (data > 1) * 2 * (whole + again) / over_data,
        "parameters and gradients, over fsdp": (fsdp > 1)
        * 2
        * (whole + again)
        / over_fsdp,
        "states, over tensor": 2 * inside * ARRAYS * states / near,
    }


def table(title: str, unit: float, columns: list[Costs]) -> Iterator[str]:
    yield f"| {title} | " + " | ".join(f"`{mesh}`" for mesh in MESHES) + " |"
    yield "|---" * (1 + len(MESHES)) + "|"
    totals = [{"together": sum(column.values())} for column in columns]
    for costs in (columns, totals):
        for name in costs[0]:
            values = " | ".join(f"{column[name] / unit:.1f}" for column in costs)
            yield f"| {name} | {values} |"


def report() -> Iterator[str]:
    meshes = [parallel.sizes(mesh, DEVICES).values() for mesh in MESHES]
    yield from table("GB on a device", 1e9, [memory(*axes) for axes in meshes])
    for chip in CHIPS:
        columns = [seconds(chip, *axes) for axes in meshes]
        yield from table(f"{chip}, ms an update", 1e-3, columns)


if __name__ == "__main__":
    print(*report(), sep="\n")
