"""The largest batch that fits, on made-up memories and on a real program."""

import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transformer import (
    ModelConfig,
    Transformer,
    batches,
    budget,
    optimizers,
    parallel,
    update,
)
from transformer.config import OptimizerConfig
from transformer.errors import InputError
from transformer.losses import Criterion
from transformer.step import Objective

BYTES = st.integers(0, 10**12)
LEAST = st.integers(1, 1000)
TIMES = st.integers(1, 10**6)


@example(base=0, slope=0, memory=0, least=1, times=3)
@given(base=BYTES, slope=st.integers(0, 10**7), memory=BYTES, least=LEAST, times=TIMES)
def test_what_is_found_fits_and_nothing_a_tenth_larger_does(
    base, slope, memory, least, times
):
    def linear(tokens):
        return base + slope * tokens

    most = least * times
    if linear(least) > memory:
        with pytest.raises(InputError, match="data.max_length"):
            budget.largest(linear, memory, least, most)
        return
    found = budget.largest(linear, memory, least, most)
    assert least <= found <= most and linear(found) <= memory
    larger = min(most, -(-11 * found // 10))  # whole tokens
    assert larger == found or 1.1 * found >= most or linear(larger) > memory


@given(
    steps=st.lists(st.integers(0, 10**6), min_size=1),
    power=st.floats(0.1, 4),
    memory=st.integers(0, 10**9),
    least=LEAST,
    times=TIMES,
)
def test_whatever_memory_does_what_is_found_fits(steps, power, memory, least, times):
    tried = []

    def odd(tokens):
        tried.append(tokens)
        return int(tokens**power) + steps[tokens % len(steps)]

    if odd(least) > memory:
        return
    tried.clear()
    found = budget.largest(odd, memory, least, least * times)
    assert found in tried and odd(found) <= memory
    assert len(tried) <= budget.TRIES + 1


def test_a_line_takes_three_programs_and_the_budget_is_readable():
    tried = []

    def linear(tokens):
        tried.append(tokens)
        return 1_000_000 + 777 * tokens

    assert budget.largest(linear, 100_000_000, 128, 10**9) == 120_000
    assert tried == [128, 256, 120_000]


def test_a_corpus_smaller_than_the_memory_is_one_batch():
    lengths = np.array([[3, 5], [9, 2]])
    assert budget.most_useful(lengths) == 14
    assert budget.largest(lambda _: 0, 1, least=9, most=14) == 14


def test_the_memory_of_a_real_update_grows_with_its_tokens_and_counts_the_state():
    cfg = ModelConfig(
        vocab_size=43,
        dim=16,
        hidden_dim=24,
        num_heads=2,
        encoder_layers=1,
        decoder_layers=1,
    )
    optimizer = optimizers.make(OptimizerConfig(peak=1e-3, warmup=4), steps=9)
    objective = Objective(Transformer(cfg), Criterion(0.1), parallel.make("data=1"))
    state = update.abstract_state(objective, optimizer, 0)
    compiled = partial(update.compiled, objective, optimizer, 1, state)
    lengths = np.full((50, 2), 8)
    needed = budget.of_update(compiled, lengths)
    small, large = needed(64), needed(512)
    weights = sum(x.size for x in jax.tree.leaves(state.params))
    assert 3 * 4 * weights < small  # Adam keeps two more numbers for each
    assert small < large < 8 * small
    found = budget.largest(
        needed, (small + large) // 2, 64, budget.most_useful(lengths)
    )
    assert 64 < found < 512
    assert batches.shapes(lengths, found)[0].rows > 2


def test_a_container_leaves_less_than_the_machine_has(tmp_path, monkeypatch):
    one, eight = parallel.make("data=1"), parallel.make("data=8")
    machine = budget.free_memory(one)
    assert machine > 1e6
    assert budget.free_memory(eight) == pytest.approx(machine / 8, rel=0.2)
    for names in budget.CONTROL_GROUPS.values():
        monkeypatch.setattr(budget, "CONTROL_GROUPS", {tmp_path: names})
        limit, used, cached = names
        (tmp_path / f"memory.{limit}").write_text("5000\n")
        (tmp_path / f"memory.{used}").write_text("3000\n")
        (tmp_path / "memory.stat").write_text(f"cache 7\n{cached} 1000\n")
        assert budget.free_memory(one) == budget.SHARE * 3000
        assert budget.free_memory(eight) == int(budget.SHARE * (3000 // 8))
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setattr(budget, "CONTROL_GROUPS", {tmp_path: ("max", "current", "")})
    assert budget.free_memory(one) > 1e6


def test_files_that_are_cached_are_memory_to_be_had(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "CONTROL_GROUPS", {})
    monkeypatch.setattr(budget, "MEMORY", tmp_path / "meminfo")
    told = "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 5000 kB\nHugePages: 0\n"
    (tmp_path / "meminfo").write_text(told)
    assert budget.free_memory(parallel.alone()) == budget.SHARE * 1024 * 5000


def test_a_program_that_cannot_even_be_compiled_is_too_large():
    def compiled(shape) -> Any:
        if shape.rows > 100:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: hbm")
        analysis = SimpleNamespace(
            temp_size_in_bytes=shape.rows,
            argument_size_in_bytes=0,
            output_size_in_bytes=0,
            alias_size_in_bytes=0,
        )
        return SimpleNamespace(memory_analysis=lambda: analysis)

    lengths = np.full((10_000, 2), 8)
    needed: Any = budget.of_update(compiled, lengths)
    assert needed(64) < 100 and needed(80_000) == sys.maxsize
    found = budget.largest(needed, 10**9, 64, budget.most_useful(lengths))
    assert needed(found) <= 100 and needed(2 * found) == sys.maxsize


def test_copies_share_half_of_memory_or_what_a_container_leaves(monkeypatch):
    page, pages = 4096, 2 * 2**30 // 4096 * 10
    memory = {"SC_PAGE_SIZE": page, "SC_PHYS_PAGES": pages}
    monkeypatch.setattr(budget.os, "sysconf", memory.__getitem__)
    monkeypatch.setattr(budget, "_container_room", lambda: 2**40)
    params = {"kernel": np.broadcast_to(np.zeros(()), (2**30 // 8,))}
    assert budget.copies({}) == 10
    assert budget.copies(params) == 2
    monkeypatch.setattr(budget, "_container_room", lambda: 2**31)
    assert budget.copies({}) == 2
    assert budget.copies(params) == 0
