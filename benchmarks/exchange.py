"""A network as a folder that we and the rivals of benchmarks/decode.py read.

What is in it is said in benchmarks/rivals/decoding.py.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from transformer import devices, folder, positions, tokenizer, weights
from transformer.axes import Params
from transformer.config import ModelConfig
from transformer.model import Transformer
from transformer.tokenizer import Tokenizers

POSITIONS = 1024
"""Rows of the sinusoids that are written out."""


class Network(NamedTuple):
    model: Transformer
    params: Params


def random(cfg: ModelConfig) -> Network:
    """With the weights that training would begin with."""
    model = Transformer(cfg, devices.dtype("auto"))
    tokens = jnp.zeros((1, 1), jnp.int32)
    init = jax.jit(lambda key: model.init(key, tokens, tokens, train=False))
    return Network(model, init(jax.random.key(0)))


def trained(path: Path) -> tuple[Network, Tokenizers]:
    """What a model folder holds. Raises `InputError` if it is none."""
    model = Transformer(folder.describe(path).model, devices.dtype("auto"))
    return Network(model, weights.load(path, model)), tokenizer.load_both(path)


def write(path: Path, network: Network) -> None:
    """The tokenizer, where there is one, is saved there as well by its owner."""
    cfg = network.model.cfg
    arrays: Any = flax.traverse_util.flatten_dict(network.params["params"], sep="/")
    if cfg.positions == "sinusoidal":
        table = positions.sinusoidal(jnp.arange(POSITIONS)[None], cfg.dim)[0]
        arrays |= {f"{side}_positions/table": table for side in ("source", "target")}
    np.savez(path / "weights.npz", **arrays)
    (path / "model.json").write_text(json.dumps(dataclasses.asdict(cfg)), "utf-8")


def read(path: Path) -> Network:
    """The inverse of `write`."""
    cfg = ModelConfig(**json.loads((path / "model.json").read_text("utf-8")))
    with np.load(path / "weights.npz") as file:
        arrays = {name: jnp.asarray(array) for name, array in file.items()}
    if cfg.positions == "sinusoidal":
        arrays = {n: a for n, a in arrays.items() if "_positions/" not in n}
    params = {"params": flax.traverse_util.unflatten_dict(arrays, sep="/")}
    return Network(Transformer(cfg, devices.dtype("auto")), params)
