"""Over the epochs nothing comes more often than anything else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from transformer.portions import Portion

PORTIONS = st.builds(Portion, st.integers(0, 5), st.integers(1, 30), st.integers(1, 99))


@given(PORTIONS)
def test_counts_never_differ_by_more_than_one(portion):
    counts = np.zeros(portion.size, int)
    for epoch in range(7):
        drawn = portion.drawn([3, 0], epoch) - portion.begin
        assert len(drawn) == portion.taken
        counts += np.bincount(drawn, minlength=portion.size)
        assert np.ptp(counts) <= 1


@given(PORTIONS, st.integers(0, 9))
def test_an_epoch_is_a_function_of_its_number(portion, epoch):
    np.testing.assert_array_equal(*(portion.drawn([3, 0], epoch) for _ in range(2)))


def test_the_seed_decides_which_ones_come_first():
    half = Portion(0, 100, 50)
    assert set(half.drawn([0], 0)) != set(half.drawn([1], 0))
