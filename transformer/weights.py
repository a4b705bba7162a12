"""The parameters of a model folder: the best so far, small and apart from training."""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Int

from transformer import parallel
from transformer.axes import Params
from transformer.checkpoints import Checkpoints, seals
from transformer.errors import InputError
from transformer.model import Transformer

log = logging.getLogger(__name__)

NAME = "params"
"""The item of every checkpoint that holds the parameters."""


FOLDERS = "weights", "checkpoints"
"""Where parameters lie in a model folder: the best, and those of the whole state."""


def of(path: Path) -> Checkpoints:
    """What to translate with; newer ones replace older ones."""
    return Checkpoints(path / FOLDERS[0], log.warning)


def version(path: Path) -> str:
    """A mark of the weights in a model folder: other weights, another mark."""
    best, newest = (seals(path / name) for name in FOLDERS)
    marks = (seal.read_bytes() for seal in best or newest)
    return hashlib.sha256(b"".join(marks)).hexdigest()


def shapes(model: Transformer) -> Params:
    """Parameters as shapes, computed without allocating any."""
    tokens = jnp.zeros((1, 1), jnp.int32)
    init = lambda key: model.init(key, tokens, tokens, train=False)  # noqa: E731
    return jax.eval_shape(init, jax.random.key(0))


def mean(trees: Iterable[Params]) -> Params:
    """Leaf by leaf, with one tree held beside it; what is the same keeps its bits."""

    others = iter(trees)
    average = next(others)
    for number, tree in enumerate(others, start=2):
        average = _joined(average, number, tree)
    return average


@jax.jit
def _joined(average: Params, number: Int[Array, ""], tree: Params) -> Params:
    return jax.tree.map(lambda old, new: old + (new - old) / number, average, tree)


def load(path: Path, model: Transformer, mesh: Mesh | None = None) -> Params:
    """The best parameters, or else the newest ones that are intact.

    Args:
        mesh: the devices to lie on; without, there is one device.
    """
    there = parallel.placed(mesh or parallel.alone(), shapes(model))
    like: dict[str, Any] = {NAME: there}
    for name in FOLDERS:
        checkpoints = Checkpoints(path / name, log.warning)
        number = checkpoints.newest()
        if number is not None:
            items, _ = checkpoints.load(number, like)
            return items[NAME]
    raise InputError(
        f"{path} has no intact weights: train it first, with train.py --out {path}."
    )
