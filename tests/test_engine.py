"""What a request gets depends on nothing but itself, however many there are."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from transformer import ModelConfig, Transformer, parallel
from transformer.engine import Engine
from transformer.networks import Alone
from transformer.seating import Queue, Request, Sizes, most
from transformer.strategies import Beam, Greedy, Sample, Strategy
from transformer.symbols import EOS, PAD

ROWS, VOCABULARY = 4, 24
NARROW = Beam(width=3, best=2)


@struct.dataclass
class Endless:
    """A sentence does not end by itself."""

    def __call__(self, log_probs, tokens, position):
        return log_probs.at[EOS].add(-1e6)


@struct.dataclass
class Without:
    """A token of the request's own choice does not occur."""

    token: Any

    def __call__(self, log_probs, tokens, position):
        return log_probs.at[self.token].add(-1e6)


@pytest.fixture(scope="module")
def network():
    sizes: Any = {"dim": 8, "hidden_dim": 8, "num_heads": 2}
    layers: Any = {"encoder_layers": 1, "decoder_layers": 1}
    return Alone(Transformer(ModelConfig(vocab_size=VOCABULARY, **sizes, **layers)))


@pytest.fixture(scope="module")
def params(network):
    tokens = jnp.ones((1, 1), jnp.int32)
    init = partial(network.model.init, train=False)
    params = jax.jit(init)(jax.random.key(0), tokens, tokens)
    return jax.tree.map(lambda leaf: 3 * leaf, params)


@pytest.fixture(scope="module")
def small(network):
    return Engine(network, parallel.alone(), Sizes(ROWS))


def requests(count, longest=30, strategy: Strategy = NARROW, **kinds):
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, longest, count)
    ids = [[*rng.integers(4, VOCABULARY, size).tolist(), EOS] for size in sizes]
    return [
        Request(row, strategy, most(len(row)), (n, 0), **kinds)
        for n, row in enumerate(ids)
    ]


def answers(of, params, asked, seed=0):
    """Of each request, as plain lists, so that they compare to the bit."""
    found = dict(of.run(params, asked, seed))
    assert sorted(found) == list(range(len(asked)))
    return [jax.tree.map(np.ndarray.tolist, found[n]) for n in range(len(asked))]


def written(hypotheses):
    return [token for token in hypotheses.tokens[0] if token != PAD]


@pytest.mark.parametrize("strategy", [NARROW, Sample(count=2)])
def test_a_request_gets_the_same_alone_and_in_any_crowd(small, params, strategy):
    asked = requests(3 * ROWS, strategy=strategy)
    together = answers(small, params, asked)
    assert answers(small, params, asked[::-1]) == together[::-1]
    for number in (0, 5):
        assert answers(small, params, [asked[number]]) == [together[number]]
    assert len({str(written(found)) for found in together}) > 2


@pytest.mark.parametrize("count", [1, ROWS, ROWS + 1, 5 * ROWS])
@pytest.mark.parametrize("strategy", [NARROW, Sample(count=2)])
def test_the_same_is_found_in_however_many_lanes(
    network, small, params, count, strategy
):
    asked = requests(count, strategy=strategy)
    three = Engine(network, parallel.alone(), Sizes(ROWS, lanes=3))
    assert answers(three, params, asked) == answers(small, params, asked)


def test_rows_and_lanes_follow_from_sizes_and_from_how_many_there_are(
    network, params, monkeypatch
):
    rows = []

    def counted(requests, count):
        rows.append(count)
        return Queue(requests, count)

    monkeypatch.setattr("transformer.engine.Queue", counted)
    sizes = Sizes(ROWS, hypotheses=6, lanes=3)  # of two rows, as beams are three wide
    for fitting, count, expected in [
        (False, 1, [2]),
        (False, 3, [2, 2]),
        (False, 9 * ROWS, [2] * 3),
        (True, 1, [1]),
        (True, ROWS // 2, [ROWS // 2]),
        (True, ROWS, [ROWS // 2] * 2),
        (True, 9 * ROWS, [ROWS] * 3),
    ]:
        engine = Engine(network, parallel.alone(), sizes, fitting=fitting)
        rows.clear()
        answers(engine, params, [requests(1)[0]] * count)
        assert rows == expected


def test_what_is_drawn_depends_on_seed_and_place(small, params):
    (one,) = requests(1, strategy=Sample())
    asked = [one._replace(place=(line, 0)) for line in range(2 * ROWS)]
    drawn = answers(small, params, asked, seed=1)
    assert len({str(written(found)) for found in drawn}) > 1
    assert answers(small, params, asked[3:5], seed=1) == drawn[3:5]
    assert answers(small, params, asked, seed=2) != drawn


def test_a_translation_is_as_long_as_its_own_limit_allows(small, params):
    asked = requests(2 * ROWS, rules=(Endless(),))
    found = answers(small, params, asked)
    assert [len(written(one)) for one in found] == [one.limit for one in asked]
    assert len({one.limit for one in asked}) > 3


def test_what_is_too_long_for_the_first_program_is_as_if_there_were_none(
    small, params, monkeypatch
):
    asked = requests(2 * ROWS, rules=(Endless(),))
    assert any(one.limit > one.lengths[0] for one in asked)
    twice = answers(small, params, asked)
    enough = property(lambda one: (most(one.room),))
    monkeypatch.setattr(Request, "lengths", enough)
    once = answers(small, params, asked)
    for one, other in zip(twice, once, strict=True):
        assert written(one) == written(other)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5)


def test_each_request_has_its_own_rules(small, params):
    alike = requests(2 * ROWS, strategy=Greedy())
    plain = answers(small, params, alike)
    first = [written(found)[0] for found in plain]
    rules = [(Without(np.int32(token)),) for token in first]
    asked = [
        request._replace(rules=own) for request, own in zip(alike, rules, strict=True)
    ]
    for found, token in zip(answers(small, params, asked), first, strict=True):
        assert token not in written(found)


def test_requests_of_different_kinds_go_together(small, params):
    ruled = requests(3, rules=(Endless(),))
    mixed = [*requests(3), *ruled]
    expected = answers(small, params, requests(3)) + answers(small, params, ruled)
    assert answers(small, params, mixed) == expected


def test_fitting_rows_find_the_same_up_to_rounding(network, small, params):
    fitting = Engine(network, parallel.alone(), Sizes(ROWS), fitting=True)
    for count in (1, 3, 7):
        asked = requests(count)
        for one, other in zip(
            answers(fitting, params, asked),
            answers(small, params, asked),
            strict=True,
        ):
            np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)


def test_a_coverage_penalty_lowers_scores_and_never_raises_them(small, params):
    plain = Beam(width=3, best=3, alpha=0.0)
    watched = Beam(width=3, best=3, alpha=0.0, coverage=0.5)
    before = answers(small, params, requests(ROWS, strategy=plain))
    after = answers(small, params, requests(ROWS, strategy=watched))
    for one, other in zip(before, after, strict=True):
        sums = np.sum(other.log_probs, axis=-1)
        assert (np.array(other.scores) < sums).all()
        assert max(other.scores) <= max(one.scores)


def test_nothing_asked_nothing_found(small, params):
    assert answers(small, params, []) == []
