"""Attention mixes values by how well keys match queries, and sees only what it may."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import attention, masks
from transformer.attention import KeyValues, MultiHeadAttention
from transformer.positions import rotate

B, T, S, N, H = 2, 3, 5, 2, 4
COUNT = np.broadcast_to(np.arange(T), (B, T))
EVERYTHING = np.ones((1, 1, T), bool)

attend = jax.jit(attention.attend)
weights = jax.jit(attention.weights)


def inputs(dtype: Any = np.float32):
    """Queries, keys and values, and a mask that leaves each query a key."""
    random = np.random.default_rng(0)
    query = random.normal(size=(B, T, N, H)).astype(dtype)
    kv = KeyValues(*random.normal(size=(2, B, S, N, H)).astype(dtype))
    mask = random.random((B, T, S)) < 0.6
    mask[:, :, 0] = True
    return query, kv, mask


def attend_to_one(query, keys, values, mask):
    """Equation 1 of the paper for one query of one head."""
    scores = [query @ key / np.sqrt(len(query)) for key in keys[mask]]
    powers = np.exp(scores)
    return (powers / powers.sum()) @ values[mask]


def test_attend_is_equation_1_for_every_query_and_head():
    query, kv, mask = inputs()
    mixed = np.array(attend(query, kv, mask))
    q, k, v = (x.astype(np.float64) for x in (query, *kv))
    for b, t, n in np.ndindex(B, T, N):
        expected = attend_to_one(q[b, t, n], k[b, :, n], v[b, :, n], mask[b, t])
        np.testing.assert_allclose(mixed[b, t, n], expected, atol=1e-6)


def test_weights_sum_to_one_and_are_zero_just_where_masked():
    query, kv, mask = inputs()
    shares = np.array(weights(query, kv.key, mask))
    np.testing.assert_allclose(shares.sum(-1), np.ones((B, N, T)), rtol=1e-6)
    for n in range(N):
        np.testing.assert_array_equal(shares[:, n] > 0, mask)


def test_what_is_masked_changes_nothing():
    query, kv, _ = inputs()
    mask = np.arange(S)[None, None] < 3
    other = KeyValues(kv.key.copy(), kv.value.copy())
    other.key[:, 3:], other.value[:, 3:] = 1e6, -1e6
    np.testing.assert_array_equal(attend(query, kv, mask), attend(query, other, mask))


def test_the_order_of_what_is_seen_does_not_matter():
    query, kv, mask = inputs()
    order = [3, 0, 4, 1, 2]
    moved = KeyValues(kv.key[:, order], kv.value[:, order])
    np.testing.assert_allclose(
        attend(query, kv, mask), attend(query, moved, mask[..., order]), atol=1e-6
    )


def test_a_query_that_sees_nothing_stays_finite_and_so_do_gradients():
    query, kv, _ = inputs()

    def total(query, kv):
        return attention.attend(query, kv, jnp.zeros((1, 1, S), bool)).sum()

    found = jax.jit(jax.value_and_grad(total, (0, 1)))(query, kv)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(found))


def test_gradients_are_those_of_the_definition_and_keep_the_weights_alone():
    query, kv, mask = inputs()
    mask[0, 1] = False  # one query that sees nothing

    def defined(query, key):
        scores = jnp.einsum("BTNH,BSNH->BNTS", query, key) / np.sqrt(H)
        return jax.nn.softmax(jnp.where(mask[:, None], scores, attention.MASKED))

    query, key, mask = map(jnp.asarray, (query, kv.key, mask))
    shares, pull = jax.vjp(partial(attention.weights, mask=mask), query, key)
    expected, defined_pull = jax.vjp(defined, query, key)
    np.testing.assert_allclose(shares, expected, rtol=1e-6)
    outer = np.random.default_rng(1).normal(size=shares.shape).astype(np.float32)
    for one, other in zip(pull(outer), defined_pull(outer), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    kept = [x for x in jax.tree.leaves(pull) if x.shape == shares.shape]
    assert len(kept) == 1


def test_bfloat16_inputs_give_bfloat16_from_float32_weights():
    query, kv, mask = inputs(jnp.bfloat16)
    shares = weights(query, kv.key, mask)
    assert shares.dtype == jnp.float32
    rounded = weights(query.astype(np.float32), kv.key.astype(np.float32), mask)
    np.testing.assert_allclose(shares, rounded, atol=1e-5)
    mixed = np.array(attend(query, kv, mask))
    assert mixed.dtype == jnp.bfloat16
    np.testing.assert_allclose(mixed.astype(np.float32), attend(*inputs()), atol=0.05)


@pytest.mark.parametrize("rows", [slice(None), slice(1)], ids=["each", "one for all"])
def test_fused_by_jax_is_attend_with_its_gradients(rows):
    """In float32, which of the kernels only XLA's has; cuDNN's need a GPU."""
    query, kv, mask = inputs()
    mask = jnp.asarray(mask[rows, :1])

    def fused(query, kv, mask):
        return attention.fused(query, kv, mask, "xla")

    def total(attend, query, kv):
        return jnp.sin(attend(query, kv, mask)).sum()

    found, expected = (
        jax.jit(jax.value_and_grad(partial(total, attend), (0, 1)))(query, kv)
        for attend in (fused, attention.attend)
    )
    for leaf, right in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(leaf, right, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "length", "width", "suits"),
    [
        ("bfloat16", 128, 64, True),
        ("float16", 72, 128, True),
        ("bfloat16", 64, 64, False),  # half a tile
        ("bfloat16", 192, 64, False),
        ("float32", 128, 64, False),
        ("bfloat16", 1, 64, False),  # one decoding step
        ("bfloat16", 62, 64, False),
        ("bfloat16", 127, 64, False),
        ("bfloat16", 128, 36, False),
        ("bfloat16", 128, 136, False),
    ],
)
def test_cudnn_is_left_what_it_can_do(dtype, length, width, suits):
    query, keys = (jnp.zeros((B, t, N, width), dtype) for t in (length, 128))
    assert attention.suits_cudnn(query, KeyValues(keys, keys)) == suits


@pytest.mark.parametrize("position", [0, 2, 4])
def test_writing_replaces_one_slot_of_each_row_and_keeps_the_others(position):
    _, past, _ = inputs()
    new = KeyValues(past.key[:, :1] + 1, past.value[:, :1] - 1)
    slots = (position + np.arange(B)) % past.key.shape[1]
    after = jax.jit(attention.write)(attention.for_steps(past), new, slots)
    for was, put in zip(past, new, strict=True):
        was[np.arange(B), slots] = put[:, 0]
    jax.tree.map(np.testing.assert_array_equal, after, attention.for_steps(past))


def test_what_is_stored_is_attended_to_as_before():
    query, kv, mask = inputs()
    np.testing.assert_allclose(
        attend(query, attention.for_steps(kv), mask), attend(query, kv, mask), atol=1e-5
    )


def test_dropout_thins_the_weights_in_training_alone():
    """Each head looks at itself alone, so that its weight is 1 before it is thinned."""
    x = jax.random.normal(jax.random.key(0), (40, 1, N * H))
    module = MultiHeadAttention(N * H, N, rate=0.5)
    args = x, jnp.ones((1, 1, 1), bool), jnp.zeros((40, 1), jnp.int32)
    variables: Any = module.init(jax.random.key(0), *args, args[-1], method=itself)
    variables["params"]["output"]["kernel"] = jnp.eye(N * H).reshape(N, H, N * H)

    def run(**rest):
        kv = module.apply(variables, x, args[-1], method="keys_values")
        mixed = module.apply(variables, x, kv, args[1], args[2], **rest)
        return np.array(mixed).reshape(-1, H)

    whole = run(train=False)
    thinned = run(train=True, rngs={"dropout": jax.random.key(1)})
    gone = (thinned == 0).all(axis=-1)
    np.testing.assert_allclose(thinned, np.where(gone[:, None], 0, 2 * whole), 1e-5)
    assert 0.2 < gone.mean() < 0.8


def itself(module, x, mask, query_positions, key_positions):
    """Self-attention."""
    kv = module.keys_values(x, key_positions)
    return module(x, kv, mask, query_positions, train=False)


def make(dtype: Any = jnp.float32, **rotation):
    """A module, what it does to itself, its parameters, and states."""
    module = MultiHeadAttention(N * H, N, dtype=dtype, **rotation)
    args = jnp.zeros((B, T, N * H)), jnp.ones((1, 1, T), bool), jnp.array(COUNT)
    shapes = jax.eval_shape(
        lambda: module.init(jax.random.key(0), *args, args[-1], method=itself)
    )
    random = np.random.default_rng(1)

    def fill(leaf):
        return 0.5 * random.normal(size=leaf.shape).astype(leaf.dtype)

    variables: Any = jax.tree.map(fill, shapes)
    x = random.normal(size=(B, T, N * H)).astype(np.float32)

    @jax.jit
    def to_itself(*args) -> Any:
        return module.apply(variables, *args, method=itself)

    return module, to_itself, variables, x


def test_the_module_projects_attends_in_each_head_and_projects_the_heads_together():
    _, to_itself, variables, x = make()
    kernels = {name: of["kernel"] for name, of in variables["params"].items()}
    assert sum(kernel.size for kernel in jax.tree.leaves(variables)) == 4 * (N * H) ** 2
    y = np.array(to_itself(x, EVERYTHING, COUNT, COUNT))
    for b, t in np.ndindex(B, T):
        heads = [
            attend_to_one(
                x[b, t] @ kernels["query"][:, n],
                x[b] @ kernels["key"][:, n],
                x[b] @ kernels["value"][:, n],
                EVERYTHING[0, 0],
            )
            for n in range(N)
        ]
        expected = np.concatenate(heads) @ kernels["output"].reshape(N * H, N * H)
        np.testing.assert_allclose(y[b, t], expected, atol=1e-4)


@pytest.mark.parametrize("rows", [1, B])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_step_by_step_with_a_written_cache_is_causal_attention_at_once(rows, dtype):
    """A single row, too, whose projections are one product."""
    module, to_itself, variables, x = make(dtype, rotation=rotate)
    x, at_once = x[:rows], np.broadcast_to(COUNT[:1], (rows, T))
    whole = np.array(to_itself(x, masks.causal(T), at_once, at_once), np.float32)

    @jax.jit
    def step(x, past, t) -> Any:
        at = jnp.full((rows, 1), t)
        seen = jnp.broadcast_to(jnp.arange(T) <= t, (rows, 1, T))
        args = x, past, at[:, 0], seen, at
        return module.apply(variables, *args, method="step")

    past = attention.for_steps(KeyValues(*jnp.zeros((2, rows, T, N, H))))
    for t in range(T):
        y, past = step(x[:, t : t + 1], past, t)
        assert y.dtype == dtype
        near = {"rtol": 0, "atol": 1e-5 if dtype == jnp.float32 else 0.1}
        np.testing.assert_allclose(np.array(y, "f4")[:, 0], whole[:, t], **near)


def test_rotation_makes_attention_a_matter_of_distances():
    _, to_itself, _, x = make(rotation=rotate)
    near = np.array(to_itself(x, EVERYTHING, COUNT, COUNT))
    moved = np.array(to_itself(x, EVERYTHING, COUNT + 9, COUNT + 9))
    np.testing.assert_allclose(moved, near, atol=1e-4)
    for apart in ((COUNT + 9, COUNT), (COUNT, COUNT + 9)):
        assert np.abs(near - to_itself(x, EVERYTHING, *apart)).max() > 0.01


def test_without_rotation_positions_change_nothing():
    _, to_itself, _, x = make()
    here, there = (to_itself(x, EVERYTHING, at, at) for at in (COUNT, COUNT * 0 + 7))
    np.testing.assert_array_equal(here, there)


def test_the_module_computes_in_its_type_from_float32_parameters():
    _, to_itself, variables, x = make(jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("f4")}
    shape = jax.eval_shape(to_itself, x, EVERYTHING, COUNT, COUNT)
    assert shape.dtype == jnp.bfloat16


def test_on_a_cpu_what_bfloat16_products_give_is_attended_to_unrounded():
    module, _, variables, x = make(jnp.bfloat16)
    keys_values = jax.jit(partial(module.apply, method="keys_values"))
    kv = keys_values(variables, x, COUNT)
    assert {values.dtype for values in kv} == {np.dtype("f4")}
