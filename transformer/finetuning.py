"""What a new model takes from an older one: network, tokenizers, weights, directions.

The vocabulary may grow on the way; the rows of what is new begin as the mean of the
rows of the old tokens that it stands for.
"""

import dataclasses
import logging
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from transformer import (
    dataset,
    folder,
    optimizers,
    parallel,
    paths,
    pieces,
    tokenizer,
    training,
    update,
    vocabulary,
    weights,
)
from transformer.checkpoints import Checkpoints
from transformer.config import DROPOUTS, SAMPLING, Config, DataConfig
from transformer.errors import InputError
from transformer.folder import Description, Direction
from transformer.step import Objective
from transformer.tokenizer import Tokenizers
from transformer.training import STATE, Start

log = logging.getLogger(__name__)

Tree = Any

Origins = dict[str, list[list[int]]]
"""For each table of token vectors by its path, what its new rows are the mean of."""


def inherited(cfg: Config, parent: Description) -> Config:
    """`cfg` with the network of another model; only dropout stays its own."""
    own = {name: getattr(cfg.model, name) for name in DROPOUTS}
    model = dataclasses.replace(parent.config.model, **own)
    return dataclasses.replace(cfg, model=model)


def tokenizers(cfg: DataConfig, parent: Path) -> Tokenizers:
    """Those of another model, with the tags and the new pieces that `cfg` asks for.

    Raises:
        InputError: if they cannot sample subwords as `cfg` asks for.
    """
    old = tokenizer.load_both(parent)
    kind = old.target.kind
    if cfg.degree and kind != cfg.tokenizer:
        raise InputError(
            f"The subwords are to be sampled as of data.tokenizer={cfg.tokenizer}, but "
            f"the tokenizer of {parent} is {kind}. Give data.tokenizer={kind} and "
            f"data.{SAMPLING[kind][0]}."
        )
    train = dataset.training(cfg)
    tags = pieces.tags(train, tokenizer.targets(old.source))
    if set(tags) <= set(old.source.tags) and not cfg.new_pieces:
        return old
    pairs = dataset.sample(cfg) if cfg.new_pieces else []
    sources, targets = [s for s, _ in pairs], [t for _, t in pairs]
    extended = partial(vocabulary.extended, count=cfg.new_pieces)
    if old.joint:
        joint = extended(old.target, tags, sources + targets)
        return Tokenizers(joint, joint)
    return Tokenizers(
        extended(old.source, tags, sources), extended(old.target, (), targets)
    )


def directions(cfg: DataConfig, parent: Path | None) -> tuple[Direction, ...]:
    """What a model will have learnt.

    What the parent learnt as well is among it if tags can ask for that.
    """
    own = [(corpus.source, corpus.target) for corpus in dataset.training(cfg)]
    old: tuple[Direction, ...] = ()
    if parent and tokenizer.targets(tokenizer.load_both(parent).source):
        old = folder.describe(parent).directions
    return tuple(dict.fromkeys([*own, *old]))


def start(cfg: Config, parent: Path, new: Tokenizers, mesh: Mesh) -> Start:
    """What training begins with, on the mesh.

    Raises:
        InputError: if the parent has no intact weights, or no state of training that
            `optimizer.state` asks for.
    """
    old = tokenizer.load_both(parent)
    objective = training.build(cfg, old, mesh)
    params = weights.load(parent, objective.model, mesh)
    there = {
        "/embedding/table": vocabulary.origins(old.target, new.target),
        "/source_embedding/table": vocabulary.origins(old.source, new.source),
    }
    begun, state = grown(params, there, mesh), None
    if cfg.optimizer.state == "inherited":
        state = grown(_optimizer_state(cfg, parent, objective), there, mesh)
        # What is begun with is the best of the parent, not the last on its way.
        state = optimizers.averaging_from(state, begun)
    return Start(begun, state)


def _optimizer_state(cfg: Config, parent: Path, objective: Objective) -> optax.OptState:
    """Of the parent's newest checkpoint."""
    checkpoints = Checkpoints(parent / "checkpoints", log.warning)
    number = checkpoints.newest()
    if number is None:
        raise InputError(
            f"{parent} has no intact checkpoint to take the optimizer's state from. "
            "Leave out --optimizer.state, for a fresh one."
        )
    old, new = folder.describe(parent).config.optimizer, cfg.optimizer
    if bool(old.ema) != bool(new.ema):
        raise InputError(
            f"optimizer.ema={new.ema}, but {parent} was trained with {old.ema}, and "
            "its optimizer's state would be inherited. Either both have a moving "
            "average, or neither."
        )
    if old.kind != new.kind:
        raise InputError(
            f"optimizer.kind={new.kind}, but {parent} was trained with {old.kind}, and "
            "the one cannot inherit the other's state. Give the same kind, or leave "
            "out --optimizer.state, for a fresh one."
        )
    if old.freeze:
        raise InputError(
            f"{parent} was trained with optimizer.freeze={old.freeze}, and what was "
            "frozen has no state to inherit. Leave out --optimizer.state, for a fresh "
            "one."
        )
    optimizer = optimizers.make(cfg.optimizer, cfg.training.steps)
    like = update.abstract_state(objective, optimizer, cfg.training.seed)
    items, _ = checkpoints.load(number, {STATE: like._replace(params=())})
    return items[STATE].opt_state


def grown(tree: Tree, there: Origins, mesh: Mesh) -> Tree:
    """Parameters, or moments of them, with new rows in the tables of token vectors."""

    def grow(path: Any, leaf: Array) -> Array:
        name = "/" + paths.name(path)
        rows = next((of for end, of in there.items() if name.endswith(end)), [])
        return _with_rows(leaf, rows) if rows else leaf

    every = partial(jax.tree_util.tree_map_with_path, grow)
    places = parallel.shardings(mesh, jax.eval_shape(every, tree))
    return jax.jit(every, out_shardings=places)(tree)


def _with_rows(
    table: Float[Array, "V D"], origins: list[list[int]]
) -> Float[Array, "W D"]:
    sizes = np.array([len(ids) for ids in origins])
    row = np.repeat(np.arange(len(origins)), sizes)
    total = jax.ops.segment_sum(table[np.concatenate(origins)], row, len(origins))
    return jnp.concatenate([table, total / sizes.astype(table.dtype)[:, None]])
