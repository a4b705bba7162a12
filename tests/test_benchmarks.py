"""The benchmarks run, and count the operations that a program performs."""

import pytest

from benchmarks import flops, train
from benchmarks.work import Work, task
from transformer import batches


@pytest.fixture(scope="module")
def small():
    return task(Work(tokens=64, length=8, vocabulary=64, layers=1))


def test_a_measurement_reports_rates_memory_and_compilation(small):
    command = train.Command(work=Work(), windows=2, steps=1)
    result = train.measured(command, small)
    assert result["slowest_window"] <= result["tokens_per_second"]
    assert result["tokens_per_second"] <= result["fastest_window"]
    assert 0 < result["utilisation"]
    assert result["programs"] == 1
    assert "tokens/s" in train.report(result)


def test_longer_sentences_cost_more_operations_a_token(small):
    lengths = batches.lengths(small.store)
    once, twice = (flops.per_target_token(small.cfg.model, n * lengths) for n in (1, 2))
    assert once < twice < 2 * once
