"""Ways to choose continuations, on tables of random scores."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer.errors import InputError
from transformer.search import IMPOSSIBLE, Likeliest
from transformer.selects import Branch, Diverse, narrowed
from transformer.symbols import BOS, EOS, PAD, UNK

VOCABULARY, LENGTH, WIDTH = 9, 5, 4
WORDS = range(UNK + 1, VOCABULARY)
KEY = jax.random.key(0)

property_test = partial(settings, deadline=None, max_examples=20)
seeds = st.integers(0, 2**32 - 1)


@jax.jit
def chosen(select, sums, tokens, position):
    return select(sums, sums, tokens, position, KEY)


def random_step(seed):
    """Scores after some hypotheses, of which some have ended or died."""
    rng = np.random.default_rng(seed)
    position = int(rng.integers(1, LENGTH))
    tokens = np.full((WIDTH, LENGTH), PAD, np.int32)
    tokens[:, :position] = rng.choice(WORDS, size=(WIDTH, position))
    ended, dead = rng.random((2, WIDTH)) < 0.3
    tokens[ended, position - 1] = EOS
    sums = rng.normal(scale=3, size=(WIDTH, VOCABULARY)).astype(np.float32)
    sums[ended | dead] = IMPOSSIBLE
    sums[:, [PAD, BOS, UNK]] = IMPOSSIBLE
    return jnp.array(sums), jnp.array(tokens), jnp.int32(position)


def one_group(sums, tokens, taken, strength):
    """By definition: places of one group, the best first, and tokens it took."""
    costs = sums - strength * np.array([taken.count(v) for v in range(VOCABULARY)])
    left = len(sums) - (tokens == EOS).any(axis=1).sum()
    order = np.argsort(-costs, axis=None, kind="stable")[:left]
    places = [tuple(map(int, divmod(place, VOCABULARY))) for place in order]
    return [place for place in places if sums[place] > IMPOSSIBLE]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("strength", [0.0, 2.5])
@property_test()
@given(seed=seeds)
def test_groups_pay_for_tokens_that_earlier_groups_took(groups, strength, seed):
    sums, tokens, position = random_step(seed)
    scores, parents, new = map(
        np.asarray, chosen(Diverse(groups, strength), sums, tokens, position)
    )
    sums, tokens = np.asarray(sums), np.asarray(tokens)
    each, taken = WIDTH // groups, []
    for first in range(0, WIDTH, each):
        group = slice(first, first + each)
        expected = one_group(sums[group], tokens[group], taken, strength)
        real = scores[group] > IMPOSSIBLE
        found = zip(parents[group][real] - first, new[group][real], strict=True)
        assert [*found] == expected
        np.testing.assert_array_equal(
            scores[group][real], [sums[group][place] for place in expected]
        )
        taken += [token for _, token in expected]
    kept = tokens[parents]
    ends = (tokens == EOS).any(axis=1).sum()
    assert (kept[scores <= IMPOSSIBLE] == EOS).any(axis=1).sum() == ends


def beam(select, table, width):
    return tables.beam(select, table, width=width, limit=LENGTH)


@property_test(max_examples=10)
@given(seeds)
def test_without_strength_each_group_is_a_beam_of_its_own(seed):
    table = tables.random(seed, VOCABULARY)
    together = beam(Diverse(2, 0.0), table, 2 * WIDTH)
    alone = beam(Likeliest(), table, WIDTH)
    assert sorted(together) == sorted([*alone, *alone])
    assert len(alone) == WIDTH


@property_test(max_examples=10)
@given(seeds)
def test_groups_begin_with_different_tokens_if_strength_is_great(seed):
    table = tables.random(seed, VOCABULARY)
    found = beam(Diverse(WIDTH, 1e3), table, WIDTH)
    assert len({one.tokens[0] for one in found}) == WIDTH
    for one in found:
        expected = tables.score(table, one.tokens)
        np.testing.assert_allclose(one.score, expected, rtol=1e-4)


def greedy(table, beginning):
    """By definition."""
    tokens = list(beginning)
    while EOS not in tokens:
        scores = tables.following(table, tokens)
        possible = [EOS] if len(tokens) + 1 == LENGTH else [EOS, *WORDS]
        tokens.append(max(possible, key=lambda token: scores[token]))
    return tuple(tokens)


@pytest.mark.parametrize("position", range(LENGTH))
@property_test(max_examples=10)
@given(seeds)
def test_a_branch_goes_on_with_the_likeliest_tokens_at_its_position(position, seed):
    table = tables.random(seed, VOCABULARY)
    found = beam(Branch.of(position), table, WIDTH)
    best = greedy(table, ())
    expected = {best}
    if len(best) > position and position + 1 < LENGTH:
        scores = tables.following(table, best[:position])
        ranked = sorted((EOS, *WORDS), key=lambda token: -scores[token])[:WIDTH]
        expected = {greedy(table, (*best[:position], token)) for token in ranked}
        assert len(expected) == WIDTH
    assert {one.tokens for one in found} == expected
    assert len(found) == len(expected)


@property_test()
@given(seeds)
def test_a_beam_narrows_by_what_has_ended_and_keeps_it(seed):
    sums, tokens, _ = random_step(seed)
    before = sums[:, EOS], jnp.arange(WIDTH)[::-1], jnp.full(WIDTH, EOS)
    scores, parents, new = map(np.asarray, narrowed(before, tokens))
    ended = (np.asarray(tokens) == EOS).any(axis=1)
    left = WIDTH - ended.sum()
    real = (np.arange(WIDTH) < left) & (np.asarray(sums[:, EOS]) > IMPOSSIBLE)
    for part, whole in zip((scores, parents, new), before, strict=True):
        np.testing.assert_array_equal(part[real], np.asarray(whole)[real])
    assert (scores[~real] == IMPOSSIBLE).all()
    assert (new[~real] == PAD).all()
    assert set(parents[left:].tolist()) == set(np.flatnonzero(ended).tolist())
    assert not ended[parents[:left][~real[:left]]].any()


@pytest.mark.parametrize("groups, strength", [(0, 1.0), (2, -1.0), (2, np.inf)])
def test_no_groups_or_a_negative_strength_are_errors(groups, strength):
    with pytest.raises(InputError, match="Diverse beams need"):
        Diverse(groups, strength)


def test_groups_must_share_the_beam_evenly():
    with pytest.raises(InputError, match="multiple of 3"):
        chosen(Diverse(3, 1.0), *random_step(0))
