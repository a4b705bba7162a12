"""The Transformer as a whole, in every variant."""

import re
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import ModelConfig, Transformer, masks, model
from transformer.layers import Layout
from transformer.model import memory_for_steps, reordered
from transformer.symbols import PAD


def tiny(**settings: Any):
    sizes: Any = {"vocab_size": 43, "dim": 16, "hidden_dim": 24, "num_heads": 2}
    depth = {"encoder_layers": 1, "decoder_layers": 1, "max_positions": 32}
    return ModelConfig(**sizes | depth | settings)


VARIANTS = {
    "paper": tiny(decoder_layers=2),
    "pre-norm learned gelu, two vocabularies": tiny(
        norm="pre", positions="learned", activation="gelu", source_vocab_size=47
    ),
    "shared layers": tiny(encoder_layers=2, decoder_layers=3, distinct_layers=2),
    "pre-norm rotary swiglu": tiny(norm="pre", positions="rotary", activation="swiglu"),
}
EVERY_VARIANT = pytest.mark.parametrize("name", VARIANTS)

# Two sentence pairs and room behind them. A row of packed ones holds the first, then
# the second, and one of padded ones may have its room in front.
B, WIDTH = 2, 8
SOURCE = np.array([[9, 5, 30, 2, 0, 0, 0, 0], [7, 7, 4, 0, 0, 0, 0, 0]])
TARGET = np.array([[1, 8, 19, 0, 0, 0, 0, 0], [1, 5, 40, 6, 22, 0, 0, 0]])
SOURCE_LENGTHS, TARGET_LENGTHS = (4, 3), (3, 5)

# These programs take longer to compile than to run.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@lru_cache
def make(name, dtype: Any = jnp.float32) -> Any:
    """A model, and parameters of which none is special."""
    net = Transformer(VARIANTS[name], dtype)
    tokens = jnp.zeros((1, 1), jnp.int32)
    shapes = jax.eval_shape(
        lambda: net.init(jax.random.key(0), tokens, tokens, train=False)
    )
    random = np.random.default_rng(0)

    def fill(path, leaf):
        mean = path[-1].key == "scale"
        return random.normal(mean, 0.3, leaf.shape).astype(leaf.dtype)

    return net, jax.tree_util.tree_map_with_path(fill, shapes)


@lru_cache
def forward(name, dtype: Any = jnp.float32):
    """Logits of source and target, laid out as the model does without being told."""
    net, variables = make(name, dtype)
    run = jit(partial(net.apply, train=False))
    return lambda *tokens: np.array(run(variables, *tokens))


@lru_cache
def forward_laid_out(name):
    """Logits of source and target with a layout each, and a mask between the two."""
    net, variables = make(name)

    @jit
    def run(variables, source, source_layout, target, target_layout, memory_mask):
        apply = partial(net.apply, variables, train=False)
        memory = apply(source, source_layout, method="encode")
        memory = memory._replace(mask=memory_mask)
        return apply(target, memory, target_layout, method="decode")

    return lambda *args: np.array(run(variables, *args))


def real_logits(logits):
    """Those of the first sentence, then those of the second, without PAD."""
    return np.concatenate([x[:n] for x, n in zip(logits, TARGET_LENGTHS, strict=True)])


@EVERY_VARIANT
def test_later_target_tokens_do_not_change_earlier_logits(name):
    other = TARGET.copy()
    other[:, 2] += 1
    before, after = forward(name)(SOURCE, TARGET), forward(name)(SOURCE, other)
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert (before[:, 2:] != after[:, 2:]).any(axis=-1).all()


@EVERY_VARIANT
def test_every_source_token_changes_every_logit(name):
    before = forward(name)(SOURCE, TARGET)
    for column in range(3):
        other = SOURCE.copy()
        other[:, column] -= 1
        after = forward(name)(other, TARGET)
        assert (before != after).any(axis=-1).all()


@EVERY_VARIANT
def test_padding_changes_nothing(name):
    wide = forward(name)(SOURCE, TARGET)
    narrow = forward(name)(SOURCE[:, :4], TARGET[:, :5])
    np.testing.assert_allclose(wide[:, :5], narrow, atol=1e-4)


@EVERY_VARIANT
def test_a_source_of_nothing_but_padding_gives_finite_logits(name):
    assert np.isfinite(forward(name)(SOURCE * 0, TARGET)).all()


def packed(tokens, lengths):
    """Both sentences in a row, segment numbers, and positions that begin anew."""
    pairs = list(zip(tokens, lengths, strict=True))
    row = np.concatenate([sentence[:n] for sentence, n in pairs])
    segments = np.repeat([1, 2], lengths)
    positions = np.concatenate([np.arange(n) for n in lengths])
    room = WIDTH - len(row)
    rows = (np.pad(x, (0, room)) for x in (row, segments, positions))
    return [jnp.array([row] * B) for row in rows]


@EVERY_VARIANT
def test_sentences_packed_in_one_row_are_as_alone(name):
    source, source_segments, source_positions = packed(SOURCE, SOURCE_LENGTHS)
    target, target_segments, target_positions = packed(TARGET, TARGET_LENGTHS)
    own = masks.segments(target_segments, target_segments)
    logits = forward_laid_out(name)(
        source,
        Layout(source_positions, masks.segments(source_segments, source_segments)),
        target,
        Layout(target_positions, own & masks.causal(WIDTH)),
        masks.segments(target_segments, source_segments),
    )
    alone = real_logits(forward(name)(SOURCE, TARGET))
    np.testing.assert_allclose(logits[0], alone, atol=1e-4)


def moved_right(tokens, lengths):
    """The room of each row in front of its sentence, and positions from there."""
    room = [WIDTH - n for n in lengths]
    rows = [np.roll(row, n) for row, n in zip(tokens, room, strict=True)]
    positions = np.maximum(np.arange(WIDTH) - np.array(room)[:, None], 0)
    return np.stack(rows), jnp.array(positions)


def seen(tokens):
    return jnp.array(np.broadcast_to((tokens != PAD)[:, None], (B, WIDTH, WIDTH)))


@EVERY_VARIANT
def test_sentences_at_the_right_of_their_rows_are_as_at_the_left(name):
    source, source_positions = moved_right(SOURCE, SOURCE_LENGTHS)
    target, target_positions = moved_right(TARGET, TARGET_LENGTHS)
    logits = forward_laid_out(name)(
        source,
        Layout(source_positions, seen(source)),
        target,
        Layout(target_positions, seen(target) & masks.causal(WIDTH)),
        seen(source),
    )
    back = [np.roll(row, n, 0) for row, n in zip(logits, TARGET_LENGTHS, strict=True)]
    expected = real_logits(forward(name)(SOURCE, TARGET))
    np.testing.assert_allclose(real_logits(back), expected, atol=1e-4)


@EVERY_VARIANT
def test_rotary_positions_count_only_by_their_distances_and_others_do_not(name):
    count = jnp.array([range(WIDTH)] * B)

    def logits(source_shift, target_shift):
        return forward_laid_out(name)(
            SOURCE,
            Layout(count + source_shift, seen(SOURCE)),
            TARGET,
            Layout(count + target_shift, seen(TARGET) & masks.causal(WIDTH)),
            seen(SOURCE),
        )

    rotary = VARIANTS[name].positions == "rotary"
    for shifts in ((7, 0), (0, 5)):
        assert np.allclose(logits(0, 0), logits(*shifts), atol=1e-3) == rotary


@EVERY_VARIANT
def test_decoding_step_by_step_is_decoding_at_once(name):
    net, variables = make(name)

    @jit
    def by_steps(variables, source, target):
        apply = partial(net.apply, variables)
        memory = memory_for_steps(apply(source, train=False, method="encode"))

        def step(cache, column):
            position, tokens = column
            args = tokens[:, None], jnp.full(B, position), cache, memory
            logits, cache = apply(*args, method="decode_step")
            return cache, logits[:, 0]

        columns = jnp.arange(WIDTH), target.T
        _, logits = jax.lax.scan(step, net.empty_cache(B, 1, WIDTH), columns)
        return logits.swapaxes(0, 1)

    logits = by_steps(variables, SOURCE, TARGET)
    np.testing.assert_allclose(logits, forward(name)(SOURCE, TARGET), atol=1e-4)


@EVERY_VARIANT
def test_hypotheses_that_change_places_keep_their_own_past(name):
    """K of them, at other positions in each row, against decoding each alone."""
    net, variables = make(name)
    count, rng = 3, np.random.default_rng(0)
    starts = jnp.arange(B) % 2  # every other row begins a step later
    tokens = jnp.asarray(rng.integers(4, 40, (WIDTH - 1, B, count)), jnp.int32)
    parents = jnp.asarray(rng.integers(0, count, (WIDTH - 1, B, count)), jnp.int32)

    @jit
    def by_steps(variables, source):
        memory = memory_for_steps(
            net.apply(variables, source, train=False, method="encode")
        )

        def step(cache, at):
            number, tokens, parents = at
            position = jnp.maximum(number - starts, 0)
            args = tokens, position, cache, memory
            logits, cache = net.apply(variables, *args, method="decode_step")
            return reordered(cache, parents), logits

        columns = jnp.arange(WIDTH - 1), tokens, parents
        return jax.lax.scan(step, net.empty_cache(B, count, WIDTH), columns)[1]

    logits = by_steps(variables, SOURCE)
    for row, k in np.ndindex(B, count):
        last, path, slot = WIDTH - 2, [], k
        for number in range(last, int(starts[row]) - 1, -1):
            path.append(int(tokens[number, row, slot]))
            slot = int(parents[number - 1, row, slot]) if number else slot
        target = jnp.zeros((B, WIDTH), jnp.int32)
        target = target.at[row, : len(path)].set(jnp.array(path[::-1]))
        expected = forward(name)(SOURCE, target)[row, len(path) - 1]
        np.testing.assert_allclose(logits[last, row, k], expected, atol=1e-4)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_norms_and_positions_combine(norm, positions):
    cfg = tiny(norm=norm, positions=positions)
    _, logits = shapes_of(cfg)
    assert (logits.shape, logits.dtype) == ((1, 3, 43), jnp.float32)


def shapes_of(cfg, dtype: Any = jnp.float32) -> Any:
    """Shapes of parameters and logits; no array is made."""
    net = Transformer(cfg, dtype)
    source, target = jnp.zeros((1, 2), jnp.int32), jnp.zeros((1, 3), jnp.int32)
    init = partial(net.init_with_output, train=False)
    logits, variables = jax.eval_shape(init, jax.random.key(0), source, target)
    return variables, logits


BASE = ModelConfig(vocab_size=37_000)
BIG = ModelConfig(vocab_size=37_000, dim=1024, hidden_dim=4096, num_heads=16)


@pytest.mark.parametrize(("cfg", "column", "paper"), [(BASE, 1, 65), (BIG, 2, 213)])
def test_the_papers_models_have_the_parameters_that_the_docstring_counts(
    cfg, column, paper
):
    variables, _ = shapes_of(cfg)
    count = sum(leaf.size for leaf in jax.tree.leaves(variables))
    assert count == pytest.approx(paper * 1e6, rel=0.031)
    V, D, F = cfg.vocab_size, cfg.dim, cfg.hidden_dim
    feed_forward = 2 * D * F + F + D
    encoder_layer = 4 * D**2 + feed_forward + 2 * 2 * D
    decoder_layer = 8 * D**2 + feed_forward + 3 * 2 * D
    assert count == V * D + 6 * (encoder_layer + decoder_layer)
    stated = re.search(r"total.* ([\d.]+) M +([\d.]+) M", model.__doc__ or "")
    assert stated is not None
    assert float(stated[column]) == pytest.approx(count / 1e6, rel=1e-3)


def test_parameters_are_float32_whatever_the_computing_type():
    variables, logits = shapes_of(VARIANTS["paper"], jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert logits.dtype == jnp.float32


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_a_new_model_knows_next_to_nothing(norm):
    """Its loss on random targets is near that of the uniform distribution."""
    net = Transformer(tiny(dim=32, norm=norm))
    random = np.random.default_rng(0)
    source, target, labels = random.integers(3, 43, (3, 16, 12))
    init = jit(partial(net.init_with_output, train=False))
    logits, _ = init(jax.random.key(0, impl="rbg"), source, target)
    log_probs = np.array(jax.nn.log_softmax(logits))
    loss = -np.take_along_axis(log_probs, labels[..., None], axis=-1).mean()
    assert np.log(43) - 0.1 < loss < np.log(43) + 1


def test_bfloat16_is_close_to_float32():
    name = "pre-norm rotary swiglu"
    exact = forward(name)(SOURCE, TARGET)
    low = forward(name, jnp.bfloat16)(SOURCE, TARGET)
    assert np.abs(low - exact).max() < 0.05 * np.abs(exact).max()
    assert (low != exact).any()


def test_train_switches_dropout_on_and_the_key_decides_what_is_dropped():
    net, variables = make("paper")

    @jit
    def run(variables, source, target, key):
        rngs = {"dropout": key}
        return net.apply(variables, source, target, train=True, rngs=rngs)

    keys = (jax.random.key(seed, impl="rbg") for seed in (0, 0, 1))
    first, again, other = (
        np.array(run(variables, SOURCE, TARGET, key)) for key in keys
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any(axis=-1).all()


@EVERY_VARIANT
def test_dropout_follows_both_embeddings_and_every_part_of_every_layer(name):
    """Section 5.4 of the paper."""
    net, variables = make(name)
    rngs = {"dropout": jax.random.key(0)}
    program = jax.make_jaxpr(partial(net.apply, train=True, rngs=rngs))(
        variables, jnp.array(SOURCE), jnp.array(TARGET)
    )
    draws = str(program).count("random_bits[")
    cfg = VARIANTS[name]
    assert draws == 2 + 2 * cfg.encoder_layers + 3 * cfg.decoder_layers


def test_layers_that_share_are_layers_that_are_alike():
    """The third of three with two distinct ones is the first again."""
    _, variables = make("shared layers")
    alone: Any = Transformer(tiny(encoder_layers=2, decoder_layers=3))
    params = variables["params"] | {"decoder_2": variables["params"]["decoder_0"]}
    found = jit(partial(alone.apply, train=False))({"params": params}, SOURCE, TARGET)
    expected = forward("shared layers")(SOURCE, TARGET)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_without_dropout_training_is_no_different():
    _, variables = make("paper")
    net: Any = Transformer(tiny(decoder_layers=2, dropout=0.0))
    logits = jit(partial(net.apply, train=True))(variables, SOURCE, TARGET)
    np.testing.assert_allclose(logits, forward("paper")(SOURCE, TARGET), atol=1e-5)
