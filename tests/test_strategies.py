"""Ways to search are values: checked, equal if alike, and wired to the right parts."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import search
from transformer.errors import InputError
from transformer.search import Ask, Likeliest
from transformer.strategies import Beam, Greedy, Sample, Strategy

VOCABULARY, LENGTH = 9, 5
TABLE = 2 * jax.random.normal(jax.random.key(1), (3, LENGTH, VOCABULARY, VOCABULARY))
LIMITS = jnp.array([LENGTH, LENGTH, 3])
KEYS = jax.random.split(jax.random.key(0), 3)


def step(tokens, position, rows):
    """Scores that depend on the sentence, the position and the token before."""
    return TABLE[rows, position[:, None], tokens], rows


@partial(jax.jit, static_argnames=("width", "best", "penalty"))
def found(select, *, width, best, penalty):
    rows = jnp.repeat(jnp.arange(3)[:, None], width, axis=1)
    ask = Ask(LIMITS, KEYS, select=select)
    sizes: Any = {"length": LENGTH, "width": width, "best": best}
    return search.beam(step, rows, ask, penalty=penalty, **sizes)


def translations(of):
    sizes = {"width": of.width, "best": of.best}
    return found(of.select, penalty=of.penalty, **sizes)


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("values", [(4, 0), (4, 5), (0, 0), (0, 1), (-1, 1)])
def test_a_beam_finds_no_more_than_it_is_wide(values):
    width, best = values
    with pytest.raises(InputError, match=f"{best}"):
        Beam(width=width, best=best)


def test_a_length_penalty_below_zero_is_refused():
    with pytest.raises(InputError, match="-0.1"):
        Beam(alpha=-0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
        {"epsilon": 1.0},
        {"epsilon": -0.1},
    ],
)
def test_sampling_refuses_what_means_nothing_and_names_it(wrong):
    (value,) = wrong.values()
    with pytest.raises(InputError, match=str(value)):
        Sample(**wrong)


def test_the_ends_of_the_ranges_are_allowed():
    Beam(width=1, best=1, alpha=0.0)
    Beam(width=3, best=3)
    Sample(count=1, temperature=1e-3, top_k=1, top_p=1.0)


@pytest.mark.parametrize("kind", [Beam, Greedy, Sample])
def test_equal_strategies_share_a_compiled_program(kind):
    traced = []

    def program(x, strategy):
        traced.append(strategy)
        return x

    compiled = jax.jit(program, static_argnames="strategy")
    compiled(jnp.zeros(1), strategy=kind())
    compiled(jnp.zeros(1), strategy=kind())
    assert len(traced) == 1
    assert isinstance(kind(), Strategy)


def test_strategies_that_differ_in_anything_are_not_equal():
    different = {
        Greedy(),
        *(Beam(), Beam(width=5), Beam(best=2), Beam(alpha=0.0)),
        *(Sample(), Sample(count=2), Sample(temperature=2.0)),
        *(Sample(top_k=2), Sample(top_p=0.5), Sample(epsilon=0.01)),
    }
    assert len(different) == 10 + 1


def test_a_beam_passes_all_its_settings_on():
    expected = found(Likeliest(), width=4, best=3, penalty=search.gnmt(1.5))
    assert_equal(translations(Beam(width=4, best=3, alpha=1.5)), expected)


@pytest.mark.parametrize(
    "narrow",
    [
        Sample(top_k=1),
        Sample(top_p=1e-6),
        Sample(temperature=1e-3),
        Sample(epsilon=0.999),
    ],
)
def test_each_filter_can_narrow_sampling_down_to_greedy(narrow):
    assert_equal(translations(narrow), translations(Greedy()))
    assert (translations(Sample()).tokens != translations(Greedy()).tokens).any()


def test_count_is_the_number_of_samples():
    three = jax.eval_shape(lambda: translations(Sample(count=3)))
    assert three.tokens.shape == (3, 3, LENGTH)
