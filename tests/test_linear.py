"""A linear layer is Flax's, whichever way its kernel is stored or joined."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.linear import Linear, at_once, by_rows

B, T, D, N, H = 2, 3, 8, 2, 4

LAYERS: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "one axis to one": ((B, T, D), {"features": H}),
    "one axis to heads": ((B, T, D), {"features": (N, H), "use_bias": False}),
    "heads to one axis": ((B, T, N, H), {"features": D, "axes": 2, "use_bias": False}),
    "no batch": ((D,), {"features": H}),
}


@pytest.mark.parametrize(("shape", "args"), LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_it_is_flaxs_with_its_parameters_and_gradients(shape, args, dtype):
    x = jax.random.normal(jax.random.key(1), shape, dtype)
    axes = args.get("axes", 1)
    rest = {name: args[name] for name in args if name != "axes"} | {"dtype": dtype}
    flaxs = nn.DenseGeneral(axis=tuple(range(-axes, 0)), **rest)

    def all_of(layer):
        params = layer.init(jax.random.key(0), x)
        params = jax.tree.map(lambda leaf: leaf + 0.1, params)
        y, pull = jax.vjp(layer.apply, params, x)
        return y, *pull(jnp.cos(y))

    both = Linear(dtype=dtype, **args), flaxs
    found, expected = jax.jit(lambda: tuple(map(all_of, both)))()
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, right in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert (ours.shape, ours.dtype) == (right.shape, right.dtype)
        ours, right = (np.array(leaf, np.float32) for leaf in (ours, right))
        near = 1e-5 if dtype == jnp.float32 else 1e-2
        np.testing.assert_allclose(ours, right, rtol=near, atol=near)


def test_gradients_of_biases_are_sums_in_float32():
    layer: Any = Linear(1, dtype=jnp.bfloat16)
    x = jnp.zeros((1001, 1))
    y, pull = jax.vjp(lambda p: layer.apply(p, x), layer.init(jax.random.key(0), x))
    (gradient,) = pull(jnp.ones_like(y))
    assert gradient["params"]["bias"] == 1001  # which bfloat16 has not


class Several(nn.Module):
    """Layers as they are called in networks: some of one input, one of their heads."""

    dtype: Any

    def setup(self) -> None:
        heads = {"features": (N, H), "use_bias": False, "dtype": self.dtype}
        self.query, self.key = Linear(**heads), Linear(**heads)
        self.output = Linear(D, axes=2, use_bias=False, dtype=self.dtype)
        self.hidden = Linear(12, dtype=self.dtype)

    def apart(self, x):
        heads = [self.query(x), self.key(x)]
        return [*heads, self.output(heads[0] + heads[1]), self.hidden(x)]

    def together(self, x):
        heads = at_once((self.query, self.key), x)
        return [*heads, self.output(heads[0] + heads[1]), self.hidden(x)]


@pytest.mark.parametrize("rows", [(1, 1), (3, 1), (1, 3)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_joined_and_by_rows_layers_compute_the_same(rows, dtype):
    module: Any = Several(dtype)
    x = jax.random.normal(jax.random.key(1), (*rows, D))
    params = module.init(jax.random.key(0), x, method="apart")
    turned = by_rows(jax.tree.map(lambda leaf: leaf.astype(dtype), params))
    names = {name: set(layer) for name, layer in turned["params"].items()}
    assert names == {
        "query": {"rows"},
        "key": {"rows"},
        "output": {"rows" if dtype == jnp.float32 else "kernel"},
        "hidden": {"rows", "bias"},
    }
    expected = module.apply(params, x, method="apart")
    near = 1e-5 if dtype == jnp.float32 else 3e-2
    for stored in params, turned:
        for method in "apart", "together":
            apply = jax.jit(
                lambda params, method=method: module.apply(params, x, method=method)
            )
            for ours, right in zip(apply(stored), expected, strict=True):
                assert (ours.shape, ours.dtype) == (right.shape, dtype)
                ours, right = (np.array(leaf, np.float32) for leaf in (ours, right))
                np.testing.assert_allclose(ours, right, rtol=near, atol=near)


def test_layers_called_at_once_begin_with_the_same_parameters():
    x = jnp.ones((1, D))
    one, other = (
        Several(jnp.float32).init(jax.random.key(0), x, method=method)
        for method in ("apart", "together")
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)
