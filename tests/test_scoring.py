"""A pair has one score, and it is the one that the equations give."""

import jax
import numpy as np
import pytest

from transformer import ModelConfig, Transformer, reference, scoring, weights
from transformer.symbols import EOS, UNK

LONGEST = 24
"""So that there are two shapes: of 16 and of 32 positions."""

CONFIG = ModelConfig(
    vocab_size=41,
    dim=16,
    hidden_dim=24,
    num_heads=2,
    encoder_layers=1,
    decoder_layers=1,
    norm="pre",
)
MODEL = Transformer(CONFIG)
LENGTHS = [(4, 7), (1, 1), (16, 3), (3, 17), (24, 24), (9, 9), (5, 24), (1, 5)]


@pytest.fixture(scope="module")
def params():
    random = np.random.default_rng(0)

    def fill(leaf):
        return random.normal(scale=0.5, size=leaf.shape).astype(np.float32)

    return jax.tree.map(fill, weights.shapes(MODEL))


def sentence(random, length):
    return [*random.integers(UNK + 1, 41, length - 1).tolist(), EOS]


def pairs(lengths):
    random = np.random.default_rng(1)
    return [(sentence(random, s), sentence(random, t)) for s, t in lengths]


def score(params, some):
    return scoring.score(MODEL, params, some, LONGEST)


def test_scores_are_those_of_the_reference(params):
    found = score(params, pairs(LENGTHS))
    for one, (source, target) in zip(found, pairs(LENGTHS), strict=True):
        assert one is not None
        expected = reference.rescore(CONFIG, params, source, target)
        np.testing.assert_allclose(one.log_probs, expected, rtol=1e-5, atol=1e-5)
        assert one.total == pytest.approx(expected.sum())
        assert one.mean == pytest.approx(expected.mean())


def test_the_same_score_to_the_bit_alone_in_any_order_and_company(params):
    some = pairs(LENGTHS)
    together = score(params, some)
    assert len(set(together)) == len(some)
    assert [score(params, [pair])[0] for pair in some] == together
    assert score(params, some[::-1]) == together[::-1]
    assert score(params, pairs([(7, 9), (20, 2)] * 20) + some)[40:] == together
    assert score(params, []) == []


def test_what_is_too_long_on_a_side_has_no_score_and_keeps_its_place(params):
    some = pairs(LENGTHS[:2])
    long = pairs([(LONGEST + 1, 3), (3, LONGEST + 1), (500, 500)])
    assert score(params, [*long, *some, *long]) == [
        *[None] * 3, *score(params, some), *[None] * 3,
    ]  # fmt: skip


def test_programs_are_as_many_as_there_are_powers_of_two(params, caplog):
    lengths = [(s, t) for s in range(1, 65, 7) for t in range(1, 65, 7)]
    with jax.log_compiles():
        scoring.score(MODEL, params, pairs(lengths), 64)
    compiled = [m for m in caplog.messages if m.startswith("Compiling jit(_log_probs")]
    assert len(compiled) <= len({16, 32, 64})
