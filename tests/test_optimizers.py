"""The learning rate follows its formula, and Adam is Adam."""

import inspect
import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import optimizers
from transformer.config import ModelConfig, OptimizerConfig
from transformer.errors import InputError
from transformer.model import Transformer

PARAMS = {
    "matrix": jnp.array([[1.0, -2.0], [3.0, 4.0]]),
    "bias": jnp.array([5.0, -6.0]),
}
GRADIENTS = {"matrix": [[0.1, 0.2], [-0.3, 0.1]], "bias": [0.2, -0.1]}


def make(**settings):
    cfg = OptimizerConfig(**{"peak": 0.1, "warmup": 4, "max_norm": 1e6} | settings)
    return optimizers.make(cfg, steps=20)


def rates(name, steps, **settings):
    """The learning rate of each update."""
    cfg = OptimizerConfig(**{"peak": 0.3, "warmup": 10} | settings, schedule=name)
    return np.array(
        jax.jit(jax.vmap(optimizers.schedule(cfg, steps)))(jnp.arange(steps))
    )


def scaled(factor):
    leaf: Any = lambda x: factor * jnp.array(x)  # noqa: E731
    return {name: leaf(x) for name, x in GRADIENTS.items()}


def updates(optimizer, *gradients):
    """The update for each of several gradients in turn, the parameters held."""
    state = optimizer.init(PARAMS)
    found = []
    for gradient in gradients:
        update, state = jax.jit(optimizer.update)(gradient, state, PARAMS)
        found.append(update)
    return found


def close(found, expected, rtol=1e-5, atol=0.0):
    def check(x, y):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=atol)

    jax.tree.map(check, found, expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8000), st.sampled_from([64, 512, 1024]), st.integers(1, 100_000))
def test_inverse_sqrt_is_equation_3_of_the_paper(warmup, dim, step):
    schedule = optimizers.inverse_sqrt((dim * warmup) ** -0.5, warmup)
    expected = dim**-0.5 * min(step**-0.5, step * warmup**-1.5)
    np.testing.assert_allclose(schedule(step - 1), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["inverse_sqrt", "cosine", "constant"])
def test_each_schedule_rises_linearly_to_its_peak_and_never_above_it(name):
    found = rates(name, steps=40)
    np.testing.assert_allclose(found[:10], 0.03 * np.arange(1, 11), rtol=1e-4)
    assert found.max() == pytest.approx(0.3)
    assert (np.diff(found[10:]) <= 1e-7).all()
    assert found.min() > 0


@pytest.mark.parametrize("warmup", [1, 7, 30])
@pytest.mark.parametrize("name", ["inverse_sqrt", "cosine", "constant"])
def test_the_warmup_is_the_same_whatever_the_schedule_and_every_update_learns(
    name, warmup
):
    found = rates(name, steps=30, warmup=warmup)
    expected = rates("constant", steps=30, warmup=warmup)
    np.testing.assert_allclose(found[:warmup], expected[:warmup], rtol=1e-5)
    assert (found > 0).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 50), st.integers(0, 500))
def test_the_cosine_is_symmetric_around_half_its_way_and_ends_at_zero(warmup, fall):
    steps = warmup + fall
    schedule = optimizers.cosine(0.3, warmup, steps)
    rates = np.array(schedule(jnp.arange(warmup - 1, steps + 1)))
    np.testing.assert_allclose(rates + rates[::-1], np.full(fall + 2, 0.3), atol=1e-6)
    assert rates[-1] == pytest.approx(0, abs=1e-7)


def test_a_cosine_that_could_not_fall_is_refused():
    with pytest.raises(ValueError, match="warmup=11.*steps=10"):
        optimizers.cosine(0.3, 11, 10)


def test_after_the_warmup_each_schedule_goes_its_way():
    np.testing.assert_allclose(rates("constant", 40)[9:], np.full(31, 0.3), rtol=1e-6)
    assert rates("inverse_sqrt", 40)[39] == pytest.approx(0.3 / 2)
    assert rates("cosine", 50)[49] < 0.001


def test_gradients_longer_than_the_limit_are_shortened_to_it():
    """Adam forgets a common factor, so the second of two updates tells."""
    length = float(optax.tree.norm(scaled(1.0)))
    long, short = scaled(100 / length), scaled(1 / length)
    then = scaled(-0.5 / length)
    clipped = updates(make(max_norm=1.0), long, then)
    close(clipped, updates(make(), short, then))
    unclipped = updates(make(), long, then)
    assert not np.allclose(clipped[1]["bias"], unclipped[1]["bias"], rtol=0.1)


def test_gradients_shorter_than_the_limit_are_left_alone():
    gradients = scaled(1.0), scaled(-0.5)
    close(updates(make(max_norm=0.5), *gradients), updates(make(), *gradients))


def test_weight_decay_shrinks_matrices_and_nothing_else():
    optimizer = make(weight_decay=0.01, schedule="constant", warmup=1)
    (update,) = updates(optimizer, scaled(0.0))
    close(update["matrix"], -0.1 * 0.01 * PARAMS["matrix"])
    assert not update["bias"].any()


def test_updates_are_those_of_adam_at_the_scheduled_rate():
    """Kingma & Ba 2015, algorithm 1, in float64."""
    b1, b2, eps = 0.8, 0.95, 1e-3
    factors = 1.0, -0.5, 2.0, 0.1
    found = updates(make(b1=b1, b2=b2, eps=eps), *map(scaled, factors))
    m = v = np.zeros(2)
    for t, (factor, update) in enumerate(zip(factors, found, strict=True), start=1):
        g = factor * np.array(GRADIENTS["bias"])
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        direction = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        rate = 0.1 * t / 4  # the fourth update ends the warm-up
        np.testing.assert_allclose(update["bias"], -rate * direction, rtol=1e-4)


@pytest.mark.parametrize("moments", ["float32", "bfloat16"])
def test_updates_and_states_are_those_of_optax(moments):
    """Whose state it has, so that either goes on from the other's."""
    cfg = {"max_norm": 0.3, "weight_decay": 0.01, "moments": moments}
    own = OptimizerConfig(peak=0.1, warmup=4)
    rtol = 1e-5 if moments == "float32" else 0.03  # what Optax rounds in between
    ours, theirs = (
        make(**cfg),
        optax.chain(
            optax.clip_by_global_norm(0.3),
            optax.adamw(
                optimizers.inverse_sqrt(0.1, 4),
                b2=own.b2,
                eps=own.eps,
                mu_dtype=moments,
                weight_decay=0.01,
                mask={"matrix": True, "bias": False},
            ),
        ),
    )
    found, expected = (one.init(PARAMS) for one in (ours, theirs))
    for factor in (1.0, -0.5, 2.0, 0.1):
        update, found = ours.update(scaled(factor), found, PARAMS)
        right, expected = theirs.update(scaled(factor), expected, PARAMS)
        close(update, right, rtol, atol=0.02 * rtol)
        close(found, expected, rtol)
        same = jax.tree.map(lambda a, b: a.dtype == b.dtype, found, expected)
        assert all(jax.tree.leaves(same))


def test_a_known_norm_is_not_computed_again_but_for_gradients_that_are_left_out():
    def first(optimizer, params, gradients, **known):
        state = optimizer.init(params)
        _, state = optimizer.update(gradients, state, params, **known)
        return optax.tree.get(state, "mu")

    length = float(optax.tree.norm(scaled(1.0)))
    found = first(make(max_norm=length), PARAMS, scaled(1.0), norm=4 * length)
    close(found, first(make(), PARAMS, scaled(0.25)))
    both: Any = {"params": {"encoder_0": PARAMS, "decoder_0": PARAMS}}
    gradients: Any = {"params": {"encoder_0": scaled(9), "decoder_0": scaled(1)}}
    frozen = make(max_norm=length, freeze=("encoder",))
    one = optax.tree.norm(gradients)
    found: Any = first(frozen, both, gradients, norm=one)
    close(found["params"]["decoder_0"], first(make(), PARAMS, scaled(1.0)))


KERNELS = {
    "decoder_0/cross_attention/query/kernel": (8, 2, 6),
    "decoder_0/cross_attention/output/kernel": (2, 6, 8),
    "decoder_0/feed_forward/hidden/kernel": (8, 20),
    "decoder_0/feed_forward/output/kernel": (20, 8),
}
"""Parameters that Muon reads as matrices."""

TABLES = {
    "embedding/table": (30, 8),
    "decoder_0/feed_forward/hidden/bias": (20,),
    "decoder_0/cross_norm/scale": (8,),
}
"""And those that it leaves to Adam."""


def normal(seed, shapes):
    """Parameters of such shapes, in the tree that their paths say."""
    random, tree = np.random.default_rng(seed), {}
    for path, shape in shapes.items():
        *above, name = path.split("/")
        place = tree
        for part in above:
            place = place.setdefault(part, {})
        place[name] = jnp.array(random.normal(size=shape), jnp.float32)
    return tree


def update_of(cfg, gradients, params, count=1):
    """The last of several updates by one gradient."""
    optimizer = make(**cfg)
    state, found = optimizer.init(params), None
    for _ in range(count):
        found, state = jax.jit(optimizer.update)(gradients, state, params)
    return found


MUON = {"kind": "muon", "schedule": "constant", "warmup": 1}


@pytest.mark.parametrize("path", KERNELS)
def test_muon_makes_orthogonal_matrices_as_large_as_the_updates_of_adam(path):
    """Each head has its own. Of their elements the root mean square is 0.2 rates."""
    gradients, params = (normal(seed, {path: KERNELS[path]}) for seed in (0, 1))
    (found,) = jax.tree.leaves(update_of(MUON, gradients, params, count=2))
    matrices = found.swapaxes(0, 1) if path.endswith("query/kernel") else found
    values = jnp.linalg.svd(matrices, compute_uv=False)
    assert values.max() < 2 * values.min()
    size = float(jnp.sqrt(jnp.square(found).mean()))
    assert size == pytest.approx(0.1 * 0.2, rel=0.1)


@pytest.mark.parametrize("factor", [1e-3, 50.0])
def test_muon_forgets_the_length_of_a_gradient(factor):
    gradients, params = normal(0, KERNELS), normal(1, KERNELS)
    longer = jax.tree.map(lambda x: factor * x, gradients)
    found, expected = (update_of(MUON, each, params) for each in (longer, gradients))
    close(found, expected, rtol=1e-3, atol=1e-7)


def test_muon_leaves_tables_norms_and_biases_to_adam():
    gradients, params = normal(0, TABLES), normal(1, TABLES)
    adam = MUON | {"kind": "adam"}
    found, expected = (update_of(cfg, gradients, params, 3) for cfg in (MUON, adam))
    close(found, expected)


def test_muon_decays_weights_as_adam_does():
    params = normal(1, KERNELS | TABLES)
    nothing = jax.tree.map(jnp.zeros_like, params)
    muon = MUON | {"weight_decay": 0.01}
    adam = muon | {"kind": "adam"}
    found, expected = (update_of(cfg, nothing, params) for cfg in (muon, adam))
    close(found, expected)


def test_the_first_moment_may_be_kept_in_half_the_bytes():
    whole, half = make(), make(moments="bfloat16")
    moments = {
        kind: optax.tree.get(half.init(PARAMS), kind)["matrix"].dtype
        for kind in ("mu", "nu")
    }
    assert moments == {"mu": jnp.bfloat16, "nu": jnp.float32}
    gradients = [scaled(factor) for factor in (1.0, -0.5, 2.0)]
    found, expected = (updates(one, *gradients)[-1] for one in (half, whole))
    close(found, expected, rtol=0.02)
    assert found["matrix"].dtype == jnp.float32
    assert any((found[name] != expected[name]).any() for name in found)


def test_what_is_frozen_keeps_its_bits_and_the_rest_learns_as_if_alone():
    params: Any = {"params": {"encoder_0": dict(PARAMS), "decoder_0": dict(PARAMS)}}
    gradients: Any = {"params": {"encoder_0": scaled(3), "decoder_0": scaled(1)}}
    frozen, alone = make(freeze=("encoder",), max_norm=0.1), make(max_norm=0.1)
    both: Any = params, frozen.init(params)
    one: Any = PARAMS, alone.init(PARAMS)
    for _ in range(3):
        updates, state = frozen.update(gradients, both[1], both[0])
        both = optax.apply_updates(both[0], updates), state
        updates, state = alone.update(scaled(1), one[1], one[0])
        one = optax.apply_updates(one[0], updates), state
    for name, leaf in PARAMS.items():
        after = both[0]["params"]
        assert after["encoder_0"][name].tobytes() == leaf.tobytes()
        np.testing.assert_array_equal(after["decoder_0"][name], one[0][name])
    assert optimizers.updates(both[1]) == optimizers.updates(one[1]) == 3


def test_the_moving_average_changes_no_update_and_forgets_where_it_began():
    """It is the recursion of its definition, over what the updates lead to."""
    plain, averaging = make(), make(ema=0.8)
    params, state, other = PARAMS, averaging.init(PARAMS), plain.init(PARAMS)
    expected: Any = jax.tree.map(lambda x: np.full(x.shape, np.nan), PARAMS)
    for count in range(60):
        updates, state = averaging.update(scaled(count % 3), state, params)
        same, other = plain.update(scaled(count % 3), other, params)
        jax.tree.map(np.testing.assert_array_equal, updates, same)
        params = optax.apply_updates(params, updates)
        kept = min(0.8, count / (count + 10))
        expected = jax.tree.map(
            lambda old, new, kept=kept: (
                kept * old + (1 - kept) * new if kept else np.float64(new)
            ),
            expected,
            params,
        )
        close(optimizers.average(state), expected, rtol=1e-5)
    assert optimizers.average(other) is None
    assert optimizers.updates(state) == 60


def test_what_is_frozen_is_its_own_average():
    params: Any = {"params": {"encoder_0": dict(PARAMS), "decoder_0": dict(PARAMS)}}
    gradients: Any = {"params": {"encoder_0": scaled(3), "decoder_0": scaled(1)}}
    optimizer = make(freeze=("encoder",), ema=0.9)
    state = optimizer.init(params)
    for _ in range(30):
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    average: Any = optimizers.average(state)
    jax.tree.map(np.testing.assert_array_equal, average["params"]["encoder_0"], PARAMS)
    assert (average["params"]["decoder_0"]["bias"] != PARAMS["bias"]).all()


def test_a_pattern_that_freezes_nothing_is_refused_with_what_there_is():
    params: Any = {"params": {"encoder_0": PARAMS, "decoder_0": PARAMS}}
    with pytest.raises(InputError, match="freeze names encodr.*encoder_0, decoder_0"):
        make(freeze=("encodr", "decoder")).init(params)


def test_the_examples_of_help_freeze_parameters():
    text = inspect.getsource(OptimizerConfig)
    examples = re.search(r'begin, e\.g\.\s+(\S+) or (\S+)\."""', text)
    assert examples is not None
    model = Transformer(ModelConfig(vocab_size=8, dim=4, hidden_dim=4, num_heads=2))
    row = jnp.zeros((1, 2), int)
    params = jax.eval_shape(
        partial(model.init, train=False), jax.random.key(0), row, row
    )
    make(freeze=examples.groups()).init(params)


def test_an_inherited_state_excludes_what_it_cannot_go_with():
    for other in ({"freeze": ("encoder",)}, {"schedule": "cosine"}):
        with pytest.raises(InputError, match="optimizer.state=inherited"):
            make(state="inherited", **other)
