"""Several models as one: the next token has the mean of their probabilities."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import ModelConfig, Transformer, networks
from transformer.linear import by_rows
from transformer.networks import Alike, Alone, Mixed, Watching

B, K, LENGTH, VOCABULARY = 2, 3, 5, 24
SOURCE = jnp.array([[9, 5, 3, 2], [7, 2, 0, 0]])


def make(seed, **other: Any):
    sizes: Any = {"dim": 8, "hidden_dim": 8, "num_heads": 2}
    layers: Any = {"encoder_layers": 1, "decoder_layers": 1}
    settings = sizes | layers | other
    model = Transformer(ModelConfig(vocab_size=VOCABULARY, **settings))
    tokens = jnp.ones((1, 1), jnp.int32)
    init = jax.jit(partial(model.init, train=False))
    params = init(jax.random.key(seed), tokens, tokens)
    return model, jax.tree.map(lambda leaf: 3 * leaf, params)


def distributions(network, params, source=SOURCE, count=K):
    """Of the second token, after hypotheses have changed places."""

    @jax.jit
    def run(params):
        rows = len(source), count
        memory = network.encode(params, source)
        step = network.step(params, memory)
        tokens = jnp.broadcast_to(jnp.arange(5, 5 + count), rows)
        zero = jnp.zeros(rows[:1], jnp.int32)
        cache = network.cache(memory, count, LENGTH)
        _, cache = step(jnp.ones_like(tokens), zero, cache)
        parents = jnp.broadcast_to(jnp.arange(count)[::-1], rows)
        cache = network.reordered(cache, parents)
        return jax.nn.softmax(step(tokens, zero + 1, cache)[0])

    return np.asarray(run(params))


MEMBERS = {
    "alike": [make(0), make(1), make(2)],
    "of different sizes": [make(0), make(1, decoder_layers=2, norm="pre")],
}


@pytest.mark.parametrize("name", MEMBERS)
def test_an_ensemble_takes_the_mean_of_probabilities(name):
    models, params = zip(*MEMBERS[name], strict=True)
    network, together = networks.ensemble(models, params)
    assert isinstance(network, Alike if name == "alike" else Mixed)
    each = [
        distributions(Alone(model), own)
        for model, own in zip(models, params, strict=True)
    ]
    found = distributions(network, together)
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-4, atol=1e-6)
    assert np.abs(found - each[0]).max() > 1e-3


@pytest.mark.parametrize("layers", [{}, {"activation": "swiglu", "norm": "pre"}])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_ready_parameters_are_in_the_type_and_do_what_others_do(layers, dtype):
    """One hypothesis of one sentence has products of its own."""
    model, params = make(0, **layers)
    network, ready = networks.ensemble([model.clone(dtype=dtype)], [params])
    types = {leaf.ndim > 1: leaf.dtype for leaf in jax.tree.leaves(ready)}
    assert types == {True: dtype, False: jnp.float32}
    near = 1e-5 if dtype == jnp.float32 else 0.05
    several = distributions(network, ready)
    np.testing.assert_allclose(several, distributions(network, params), atol=near)
    np.testing.assert_allclose(several, distributions(Alone(model), params), atol=near)
    one = distributions(network, ready, SOURCE[:1], 1)
    np.testing.assert_allclose(one, several[:1, :1], atol=near)


def test_a_model_alone_is_no_ensemble():
    model, params = make(0)
    network, ready = networks.ensemble([model], [params])
    assert network == Alone(model)
    jax.tree.map(np.testing.assert_array_equal, ready, by_rows(params))


@pytest.mark.parametrize("layers", [{}, {"decoder_layers": 2, "distinct_layers": 1}])
def test_who_is_watched_computes_the_same_and_is_seen_to_look(layers):
    model, params = make(0, **layers)
    same = distributions(Alone(model), params)
    np.testing.assert_allclose(distributions(Watching(model), params), same, rtol=1e-5)

    @jax.jit
    def run(params):
        network = Watching(model)
        memory = network.encode(params, SOURCE)
        past, seen = network.cache(memory, K, LENGTH)
        cache = past, seen + 7  # of whoever was in these rows before
        step, zero = network.step(params, memory), jnp.zeros(B, jnp.int32)
        _, cache = step(jnp.ones((B, K), jnp.int32), zero, cache)
        _, cache = step(jnp.ones((B, K), jnp.int32), zero + 1, cache)
        return cache[1], network.gaps(cache)

    seen, gaps = run(params)
    words = np.asarray(SOURCE)[:, None] > 0
    looked = np.where(words, seen, 0).sum(axis=-1)
    np.testing.assert_allclose(looked, np.full((B, K), 2.0), rtol=1e-5)
    expected = np.where(words, np.log(np.clip(seen, 1e-9, 1)), 0).sum(axis=-1)
    np.testing.assert_allclose(gaps, expected, rtol=1e-4, atol=1e-5)
