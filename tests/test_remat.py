"""Recomputing instead of keeping changes memory, and nothing else."""

import dataclasses
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import transformer.model
from transformer import ModelConfig, Transformer, dropout, parallel
from transformer.batches import Batch, Packed
from transformer.losses import Criterion
from transformer.model import memory_for_steps
from transformer.remat import POLICIES, rematerialised
from transformer.step import Objective, loss_sum

KINDS = pytest.mark.parametrize("kind", POLICIES)


def packed(tokens):
    positions = np.broadcast_to(np.arange(tokens.shape[-1]), tokens.shape)
    return Packed(tokens, np.ones_like(tokens), positions)


def batch(rows, length):
    source, target, labels = np.random.default_rng(0).integers(
        4, 43, (3, rows, length), np.int32
    )
    return Batch(packed(source), packed(target), labels)


def model(norm, kind):
    cfg = ModelConfig(
        vocab_size=43,
        dim=16,
        hidden_dim=24,
        num_heads=2,
        encoder_layers=1,
        decoder_layers=2,
        norm=norm,
        dropout=0.3,
    )
    return Transformer(cfg, remat=kind)


@lru_cache
def parameters(norm) -> Any:
    tokens = jnp.zeros((1, 1), jnp.int32)
    init = jax.jit(partial(model(norm, "none").init, train=False))
    return init(jax.random.key(0), tokens, tokens)


@lru_cache
def loss_and_gradients(norm, kind) -> Any:
    """As a compiled function of the key of dropout."""
    loss = partial(
        loss_sum, Objective(model(norm, kind), Criterion(0.1), parallel.alone())
    )
    program = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def run(seed):
        args = parameters(norm), batch(3, 8), jax.random.key(seed)
        (value, _), gradients = program(*args)
        return value, gradients

    return run


def test_two_readings_of_a_token_are_compared_with_each_other():
    """Without dropout they are equal, and so no farther apart than one is."""

    def found(criterion):
        network = Transformer(
            dataclasses.replace(model("pre", "none").cfg, dropout=0.0)
        )
        objective = Objective(network, criterion, parallel.alone())
        loss = jax.jit(partial(loss_sum, objective))
        return loss(parameters("pre"), batch(3, 8), jax.random.key(0))

    once, twice = found(Criterion(0.1)), found(Criterion(0.1, consistency=5.0))
    np.testing.assert_allclose(twice[0], once[0], rtol=1e-5)
    assert twice[1] == once[1]


@pytest.mark.parametrize("norm", ["pre", "post"])
@KINDS
def test_loss_and_gradients_are_the_same_dropout_included(norm, kind):
    value, gradients = loss_and_gradients(norm, "none")(1)
    other, others = loss_and_gradients(norm, kind)(1)
    np.testing.assert_allclose(value, other, rtol=1e-6)
    jax.tree.map(
        partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-4), gradients, others
    )
    different, _ = loss_and_gradients(norm, kind)(2)
    assert abs(value - different) > 1e-3


@KINDS
def test_layers_that_share_draw_their_own_dropout(kind, monkeypatch):
    """As many keys as without sharing, of which none comes twice."""
    keys, real = [], dropout.keep_mask

    def drawn(key, shape, rate):
        keys.append(jax.random.key_data(key).tobytes())
        return real(key, shape, rate)

    monkeypatch.setattr(dropout, "keep_mask", drawn)
    monkeypatch.setattr(transformer.model, "rematerialised", lambda run, kind: run)
    shared = dataclasses.replace(model("pre", kind).cfg, distinct_layers=1)
    tokens, rngs = jnp.ones((1, 3), jnp.int32), {"dropout": jax.random.key(0)}
    network: Any = Transformer(shared, remat=kind)
    network.apply(parameters("pre"), tokens, tokens, train=True, rngs=rngs)
    assert len(set(keys)) == len(keys) == 10


@KINDS
def test_translating_runs_the_very_same_program(kind):
    def program(kind):
        net = model("post", kind)

        def run(params, source, tokens):
            memory: Any = net.apply(params, source, train=False, method="encode")
            cache, position = net.empty_cache(2, 1, 5), jnp.ones(2, jnp.int32)
            args = tokens, position, cache, memory_for_steps(memory)
            return net.apply(params, *args, method="decode_step")

        source, tokens = jnp.ones((2, 4), jnp.int32), jnp.ones((2, 1), jnp.int32)
        return str(jax.make_jaxpr(run)(parameters("post"), source, tokens))

    assert program(kind) == program("none")


def test_each_kind_needs_less_memory_than_the_one_before():
    """Without the wait for the gradient all three would need about as much."""

    def temporary_bytes(kind):
        loss = partial(
            loss_sum, Objective(model("post", kind), Criterion(0.1), parallel.alone())
        )
        program = jax.jit(jax.grad(loss, has_aux=True)).lower(
            parameters("post"), batch(256, 16), jax.random.key(0)
        )
        analysis: Any = program.compile().memory_analysis()
        return analysis.temp_size_in_bytes

    none, dots, layers = map(temporary_bytes, ("none", "dots", "layers"))
    assert dots < 0.9 * none
    assert layers < 0.7 * none and layers < dots


@KINDS
def test_gradients_that_are_not_finite_stay_so(kind):
    def loss(x):
        return rematerialised(jnp.sin, kind)(x).sum() * jnp.inf

    assert not np.isfinite(jax.grad(loss)(jnp.ones(3))).any()
