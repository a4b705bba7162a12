"""Several models as one: the next token has the mean of their probabilities."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import ModelConfig, Transformer, networks
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


def distributions(network, params):
    """Of the second token, after hypotheses have changed places."""

    @jax.jit
    def run(params):
        memory = network.encode(params, SOURCE)
        step = network.step(params, memory)
        tokens = jnp.broadcast_to(jnp.arange(5, 5 + K), (B, K))
        zero = jnp.zeros(B, jnp.int32)
        cache = network.cache(memory, K, LENGTH)
        _, cache = step(jnp.ones_like(tokens), zero, cache)
        parents = jnp.broadcast_to(jnp.arange(K)[::-1], (B, K))
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


def test_a_model_alone_is_no_ensemble():
    model, params = make(0)
    assert networks.ensemble([model], [params]) == (Alone(model), params)


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
