"""An update is taken whole or not at all, whichever way that is computed."""

import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import ModelConfig, Transformer, batches, optimizers, parallel, step
from transformer.batches import Shape
from transformer.config import OptimizerConfig
from transformer.losses import Criterion
from transformer.step import Objective, initial_state, train_step

DIM, HIDDEN = 24, 56
CFG = ModelConfig(
    vocab_size=43,
    dim=DIM,
    hidden_dim=HIDDEN,
    num_heads=2,
    encoder_layers=1,
    decoder_layers=1,
)
OBJECTIVE = Objective(Transformer(CFG), Criterion(0.1), parallel.alone())
OPTIMIZER = optimizers.make(OptimizerConfig(peak=0.1, warmup=1, ema=0.9), steps=10)


def batch():
    """Of tokens that are no padding."""
    return jax.tree.map(jnp.ones_like, batches.example(Shape(3, 8, 8), accumulate=1))


def state():
    return jax.jit(partial(initial_state, OBJECTIVE.model, OPTIMIZER, 0))()


def without_cpu(monkeypatch):
    """The update is chosen as it is where there is none; the rest stays what it is."""
    monkeypatch.setattr(step, "backend", SimpleNamespace(on_cpu=lambda: False))


def updated(start):
    program: Any = jax.jit(partial(train_step, OBJECTIVE, OPTIMIZER))
    return program(start, batch())[0]


@pytest.fixture(params=["branches", "values"])
def either(request, monkeypatch):
    if request.param == "values":
        without_cpu(monkeypatch)


@pytest.mark.usefixtures("either")
def test_what_is_not_finite_changes_no_bit():
    begun = updated(state())
    params = jax.tree.map(lambda leaf: leaf.at[0].set(jnp.inf), begun.params)
    spoilt = begun._replace(params=params)
    after = updated(spoilt)
    assert (after.skipped, after.skipped_in_a_row, after.step) == (1, 1, 2)
    kept, before = ((s.params, s.opt_state) for s in (after, spoilt))
    jax.tree.map(np.testing.assert_array_equal, kept, before)


def test_both_ways_make_the_same_update(monkeypatch):
    one = updated(state())
    without_cpu(monkeypatch)
    other = updated(state())
    assert one.skipped == other.skipped == 0
    for a, b in zip(*map(jax.tree.leaves, (one.params, other.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_on_a_cpu_no_kernel_and_no_moment_is_copied():
    """As by a choice of values, which keeps the old until the new are written."""
    program = jax.jit(partial(train_step, OBJECTIVE, OPTIMIZER), donate_argnums=0)
    text = program.lower(state(), batch()).compile().as_text()
    assert re.search(rf" = f32\[{DIM},{HIDDEN}\]", text or "")
    assert not re.search(rf" = f32\[{DIM},{HIDDEN}\]\S* copy\(", text or "")
