"""Shares of corpora, and how often an epoch takes each of their pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer import mixture

SIZES = st.lists(st.integers(1, 10**7), min_size=1, max_size=9)


@given(SIZES, st.floats(0.1, 100))
def test_shares_make_one_and_an_epoch_is_as_long_as_the_corpora(sizes, temperature):
    shares = mixture.shares([1.0] * len(sizes), sizes, temperature)
    assert shares.sum() == pytest.approx(1)
    rates = mixture.rates(shares, sizes)
    assert rates @ np.array(sizes) == pytest.approx(sum(sizes), rel=1e-3)


@given(SIZES)
def test_without_weights_every_pair_comes_once(sizes):
    rates = mixture.rates(mixture.shares([1.0] * len(sizes), sizes, 1.0), sizes)
    assert (rates == 1).all()


@given(SIZES)
def test_a_high_temperature_leaves_the_weights_alone(sizes):
    weights = [1.0 + number for number in range(len(sizes))]
    shares = mixture.shares(weights, sizes, 1e9)
    np.testing.assert_allclose(shares, np.array(weights) / sum(weights), rtol=1e-5)


def test_a_weight_says_how_often_pairs_come_beside_others():
    rates = mixture.rates(mixture.shares([1.0, 3.0], [900, 100], 1.0), [900, 100])
    assert rates[1] / rates[0] == pytest.approx(3, rel=1e-5)


def test_temperature_raises_the_small_and_lowers_the_large():
    cold, warm = (mixture.shares([1.0, 1.0], [900, 100], t) for t in (1.0, 5.0))
    assert cold[1] < warm[1] < 0.5
    assert warm[1] / warm[0] == pytest.approx((100 / 900) ** 0.2)
