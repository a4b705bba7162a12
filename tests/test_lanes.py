"""Iterators side by side: nothing but order and time depends on the lanes."""

import threading
from itertools import repeat

import pytest

from transformer.lanes import together

PATIENCE = 60
"""Seconds after which a test has failed, rather than waits."""


@pytest.mark.parametrize("lanes", [1, 2, 3, 8])
@pytest.mark.parametrize("sizes", [[], [0], [3], [2, 0, 5, 1], [1] * 9])
def test_every_item_comes_once_and_in_the_order_of_its_flow(lanes, sizes):
    flows = [iter([(flow, n) for n in range(size)]) for flow, size in enumerate(sizes)]
    found = list(together(flows, lanes))
    assert len(found) == sum(sizes)
    for flow, size in enumerate(sizes):
        assert [n for one, n in found if one == flow] == list(range(size))


def test_as_many_run_at_once_as_there_are_lanes_and_no_more():
    meeting = threading.Barrier(2, timeout=PATIENCE)
    inside, most = set(), []

    def flow(name):
        inside.add(name)
        most.append(len(inside))
        meeting.wait()  # nobody passes alone
        yield name
        inside.discard(name)

    assert sorted(together([flow(name) for name in range(6)], 2)) == list(range(6))
    assert max(most) <= 2


@pytest.mark.parametrize(("flows", "lanes"), [(1, 1), (2, 1), (1, 2)])
def test_one_flow_or_one_lane_is_the_thread_of_the_caller(flows, lanes):
    told = [(threading.current_thread() for _ in range(3)) for _ in range(flows)]
    assert set(together(told, lanes)) == {threading.current_thread()}


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_a_flow_raises_comes_to_the_caller(lanes):
    flows = [iter([1.0]), (1 / n for n in [1, 0])]
    with pytest.raises(ZeroDivisionError):
        list(together(flows, lanes))


def test_nobody_works_on_for_a_caller_who_has_left():
    before = threading.active_count()
    found = together([repeat(1), repeat(2)], 2)
    next(found)
    found.close()
    assert threading.active_count() == before
