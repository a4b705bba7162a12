"""Whatever the mesh, the same numbers; and every mesh that cannot be is refused."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer import batches, optimizers, parallel, store
from transformer.batches import Plan, Shape
from transformer.config import DataConfig, ModelConfig, OptimizerConfig
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.step import Objective, initial_state
from transformer.symbols import PAD
from transformer.update import Update

MESHES = ["data=8", "fsdp=8", "tensor=4", "data=2,fsdp=2,tensor=2", "data=3"]
STEPS = 20

CFG = ModelConfig(
    vocab_size=96,
    dim=32,
    hidden_dim=64,
    num_heads=4,
    encoder_layers=2,
    decoder_layers=2,
    norm="pre",
)
DATA = DataConfig(target="de", tokens=128, max_length=64, accumulate=2)


@pytest.fixture(scope="module")
def sentences():
    random = np.random.default_rng(0)

    def sentence():
        return random.integers(4, CFG.vocab_size, random.integers(1, 12)).tolist()

    return store.collect([(sentence(), sentence()) for _ in range(300)])


def trained(sentences, mesh, steps=STEPS):
    """The state after some updates with dropout, as host arrays, and the losses."""
    mesh = parallel.make(mesh)
    model = Transformer(CFG)
    optimizer = optimizers.make(OptimizerConfig(peak=1e-3, warmup=10), steps)
    lengths = batches.lengths(sentences)
    shapes = batches.shapes(lengths, DATA.tokens)
    plan = Plan(lengths, np.ones(len(lengths), bool), shapes, DATA.accumulate, seed=0)
    fresh = partial(initial_state, model, optimizer, 0)
    there = parallel.shardings(mesh, jax.eval_shape(fresh))
    state = jax.jit(fresh, out_shardings=there)()
    update = Update(Objective(model, 0.1, mesh), optimizer, DATA, state, plan.shapes)
    found = []
    held = partial(parallel.held, mesh)
    for batch in batches.stream(sentences, plan, steps, held):
        state, outcome = update(state, batch, interrupted=False)
        found.append(outcome.metrics)
    assert jax.tree.map(lambda x: x.sharding, state) == there
    return jax.device_get((state._replace(key=()), found))


@pytest.fixture(scope="module")
def alone(sentences):
    return trained(sentences, "data=1")


@pytest.mark.parametrize("mesh", MESHES)
def test_every_mesh_trains_to_the_same_state(sentences, alone, mesh):
    found = trained(sentences, mesh)
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(alone)]
    worst = {}
    for path, a, b in zip(paths, jax.tree.leaves(alone), jax.tree.leaves(found), strict=True):
        worst[path] = np.abs(a.astype(float) - b).max() / max(1e-30, np.abs(a).max())
    print(sorted(worst.items(), key=lambda x: -x[1])[:12])
    print([m["loss"] for m in alone[1]][-3:], [m["loss"] for m in found[1]][-3:])
    assert 0
