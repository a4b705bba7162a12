"""Our model is the paper's: it agrees with a second one, written from the equations."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import reference

from transformer import ModelConfig, Transformer
from transformer.symbols import PAD

CONFIG = ModelConfig(
    vocab_size=41,
    dim=16,
    hidden_dim=24,
    num_heads=2,
    encoder_layers=2,
    decoder_layers=2,
)


def random_parameters(model, random):
    """Of every array, also of those that begin as zeros or ones."""
    tokens = jnp.zeros((1, 1), jnp.int32)
    init = jax.eval_shape(
        lambda: model.init(jax.random.key(0), tokens, tokens, train=False)
    )

    def fill(leaf):
        return random.normal(scale=0.4, size=leaf.shape).astype(np.float32)

    return jax.tree.map(fill, init)


def attention(p):
    def heads(name):
        return list(np.moveaxis(p[name]["kernel"], 1, 0))

    joined = p["output"]["kernel"].reshape(-1, CONFIG.dim)
    return reference.Attention(heads("query"), heads("key"), heads("value"), joined)


def norm(p):
    return reference.Norm(p["scale"], p["bias"])


def feed_forward(p):
    hidden, output = p["hidden"], p["output"]
    return reference.FeedForward(
        hidden["kernel"], hidden["bias"], output["kernel"], output["bias"]
    )


CONVERT = {
    "attention": attention,
    "attention_norm": norm,
    "cross_attention": attention,
    "cross_norm": norm,
    "feed_forward": feed_forward,
    "feed_forward_norm": norm,
}


def paper_names(variables):
    """The parameters of our model, as the paper calls them, in float64."""
    p = jax.tree.map(lambda leaf: leaf.astype(np.float64), variables)["params"]

    def stack(name, kind):
        layers = [p[f"{name}_{i}"] for i in range(2)]
        return [kind(**{f: CONVERT[f](q[f]) for f in kind._fields}) for q in layers]

    encoder = stack("encoder", reference.EncoderLayer)
    decoder = stack("decoder", reference.DecoderLayer)
    return reference.Parameters(p["embedding"]["table"], encoder, decoder)


def sentences(random, lengths):
    return [random.integers(PAD + 1, CONFIG.vocab_size, length) for length in lengths]


def padded(rows):
    width = max(map(len, rows))
    return np.array([np.pad(row, (0, width - len(row))) for row in rows])


def test_a_padded_batch_in_float32_agrees_with_the_equations_sentence_by_sentence():
    random = np.random.default_rng(0)
    model: Any = Transformer(CONFIG)
    variables = random_parameters(model, random)
    sources = sentences(random, [7, 1, 4, 9, 5])
    targets = sentences(random, [3, 6, 1, 8, 5])

    quick = {"xla_backend_optimization_level": 0}  # to compile
    run = jax.jit(partial(model.apply, train=False), compiler_options=quick)
    logits = np.array(run(variables, padded(sources), padded(targets)))
    parameters = paper_names(variables)
    for ours, source, target in zip(logits, sources, targets, strict=True):
        expected = reference.transformer(source, target, parameters)
        scale = np.abs(expected).max()
        difference = ours[: len(target)] - expected
        assert np.abs(difference).max() < 1e-5 * scale
