"""Where the norm stands is all that tells pre-norm from post-norm layers."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import layers
from transformer.attention import KeyValues
from transformer.config import ModelConfig
from transformer.layers import Layout

CONFIG = ModelConfig(vocab_size=10, dim=8, hidden_dim=12, num_heads=2, dropout=0.5)
B, T, S = 2, 4, 3
X = np.random.default_rng(0).normal(size=(B, T, 8)).astype(np.float32)
KINDS = {
    "pre": [layers.PreNormEncoderLayer, layers.PreNormDecoderLayer],
    "post": [layers.PostNormEncoderLayer, layers.PostNormDecoderLayer],
}


def arguments(kind):
    positions = jnp.broadcast_to(jnp.arange(T), (B, T))
    layout = Layout(positions, jnp.tri(T, dtype=bool)[None])
    memory = KeyValues(*jnp.ones((2, B, S, 2, 4))), jnp.ones((1, 1, S), bool)
    return (layout, *memory) if issubclass(kind, layers.DecoderLayer) else (layout,)


def output(kind, spread, x=X):
    """What a layer makes of `x`; kernels and biases vary by `spread` about zero."""
    layer: Any = kind(CONFIG)
    args = arguments(kind)
    random = np.random.default_rng(1)
    shapes: Any = jax.eval_shape(
        lambda: layer.init(jax.random.key(0), jnp.asarray(x), *args, train=False)
    )

    def fill(path, leaf):
        mean = path[-1].key == "scale"
        return random.normal(mean, spread, leaf.shape).astype(leaf.dtype)

    variables = jax.tree_util.tree_map_with_path(fill, shapes)
    quick = {"xla_backend_optimization_level": 0}  # to compile
    apply = jax.jit(partial(layer.apply, train=False), compiler_options=quick)
    found = apply(variables, x, *args)
    return np.array(found[0] if issubclass(kind, layers.DecoderLayer) else found)


def normalized(x):
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


@pytest.mark.parametrize("kind", KINDS["pre"])
def test_the_residual_path_of_a_pre_norm_layer_is_free(kind):
    np.testing.assert_array_equal(output(kind, spread=0), X)


@pytest.mark.parametrize("kind", KINDS["post"])
def test_what_leaves_a_post_norm_layer_is_normalised(kind):
    np.testing.assert_allclose(output(kind, spread=0), normalized(X), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS["pre"])
def test_the_first_part_of_a_pre_norm_layer_sees_its_input_normalised(kind):
    """So shifting the input only shifts the output."""
    added = output(kind, 0.5) - X
    assert np.abs(added).max() > 0.1
    np.testing.assert_allclose(output(kind, 0.5, X + 3) - (X + 3), added, atol=1e-4)
