"""Who watches the network sees what it computes with."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from transformer import masks, observations, scoring
from transformer.layers import Layout
from transformer.symbols import BOS, EOS, PAD

SOURCE = jnp.array([[9, 8, 7, EOS], [9, EOS, PAD, PAD]])
TARGET = jnp.array([[5, 6, EOS, PAD], [7, 7, 7, EOS]])
CONFIGS = [
    {"norm": "pre", "positions": "sinusoidal"},
    {"norm": "post", "positions": "rotary", "activation": "swiglu"},
    {"norm": "post", "positions": "learned", "decoder_layers": 1},
]


@pytest.fixture(scope="module", params=CONFIGS, ids=lambda cfg: cfg["positions"])
def translator(request):
    return tiny.translator(**request.param)


@pytest.fixture(scope="module")
def seen(translator):
    model, params = translator.model, translator.params
    memory, read = observations.encoder(model, params, SOURCE)
    shifted = scoring.shifted(TARGET)
    log_probs, written = observations.decoder(model, params, shifted, memory)
    return jax.device_get((log_probs, read, written))


def test_the_distributions_are_those_of_the_network(translator, seen):
    shifted = scoring.shifted(TARGET)
    assert (shifted[:, 0] == BOS).all()
    logits = translator.model.apply(translator.params, SOURCE, shifted, train=False)
    expected = np.asarray(jax.nn.log_softmax(logits))
    np.testing.assert_allclose(seen[0], expected, rtol=1e-4)


def test_every_layer_is_seen_and_the_last_one_leaves_the_stack(translator, seen):
    cfg = translator.model.cfg
    for stack, layers in zip(seen[1:], (2, cfg.decoder_layers), strict=True):
        assert stack.layers.shape == (layers, 2, 4, cfg.dim)
        assert stack.attention.shape == (layers, 2, cfg.num_heads, 4, 4)
        same = np.array_equal(stack.layers[-1], stack.output)
        assert same == (cfg.norm == "post")
        added = not np.array_equal(stack.inputs, stack.embeddings)
        assert added == (cfg.positions != "rotary")


def test_looks_sum_to_one_and_none_goes_to_padding_or_to_the_future(seen):
    _, read, written = seen
    for weights in (read.attention, written.attention, written.cross):
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert read.cross is None
    for weights in (read.attention, written.cross):
        assert (weights[:, 1, :, :, 2:] == 0).all()
    assert (np.triu(written.attention, 1) == 0).all()


def test_without_positions_a_sentence_is_a_bag_of_words(translator):
    model, params = translator.model, translator.params
    order = np.array([2, 0, 1, 3])

    def output(source, places):
        layout = Layout(jnp.asarray(places)[None], masks.padding(source))
        return np.asarray(observations.encoder(model, params, source, layout)[1].output)

    one, other = SOURCE[:1], SOURCE[:1, order]
    nowhere, there = np.zeros(4, int), np.arange(4)
    unordered = output(one, nowhere)[:, order], output(other, nowhere)
    np.testing.assert_allclose(*unordered, atol=1e-5)
    ordered = output(one, there)[:, order], output(other, there)
    assert np.abs(ordered[0] - ordered[1]).max() > 1e-2
