"""A function mapped by several processes: nothing but time depends on how many."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transformer import workers
from transformer.errors import InputError

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("processes", "count"),
    [(1, 0), (1, 40), (2, 0), (2, workers.FEW), (2, workers.FEW + 1), (2, 40)],
)
def test_all_items_come_in_order_however_many_work(processes, count):
    found = list(workers.ordered(abs, range(-count, 0), processes))
    assert found == [(-n, n) for n in range(count, 0, -1)]


def test_few_items_start_no_process():
    found = workers.ordered(_pid, range(workers.FEW), 2)
    assert {pid for _, pid in found} == {os.getpid()}


def test_no_more_is_read_than_is_soon_needed():
    numbers = itertools.count()
    found = workers.ordered(abs, numbers, 2)
    for _ in range(workers.FEW + 1):
        next(found)
    found.close()
    assert next(numbers) <= workers.FEW + 2 + 2 * workers.AHEAD + 1


def test_an_error_in_a_worker_is_that_of_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(workers.ordered(_divide, [1] * 20 + [0], 2))


def test_a_worker_computes_on_one_core_while_this_process_may_use_all():
    before = os.environ.get("NPROC")
    found = list(workers.ordered(os.getenv, ["NPROC"] * 3, 2, few=0))
    assert found == [("NPROC", "1")] * 3
    assert os.environ.get("NPROC") == before


def test_cores_are_as_many_as_xla_is_told(monkeypatch):
    monkeypatch.delenv("NPROC", raising=False)
    every = workers.cores()
    for told, expected in [("3", 3), ("1", 1), ("", every), ("0", every), ("x", every)]:
        monkeypatch.setenv("NPROC", told)
        assert workers.cores() == expected


def test_nobody_works_on_for_a_caller_who_has_left():
    others = set(multiprocessing.active_children())
    found = workers.ordered(_slowly, itertools.count(), 2, few=0)
    next(found)
    found.close()
    assert set(multiprocessing.active_children()) <= others


def test_a_worker_that_is_killed_is_said_in_a_sentence():
    with pytest.raises(InputError, match="was killed"):
        list(workers.ordered(_kill, [signal.SIGKILL], 2, few=0))


def _kill(sign):
    os.kill(os.getpid(), sign)


def _slowly(item):
    time.sleep(item)  # the later ones would take minutes
    return item


def _pid(item):
    del item
    return os.getpid()


def _divide(item):
    return 1 // item


SCRIPT = """
import itertools, os, time
from transformer import workers

def work(item):
    time.sleep(0.01)
    return os.getpid()

if __name__ == "__main__":
    known = set()
    for _, pid in workers.ordered(work, itertools.count(), 2):
        if pid != os.getpid() and pid not in known:
            known.add(pid)
            print(pid, flush=True)
"""


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path):
    (tmp_path / "work.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "work.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    with process.stdout:
        worker = int(process.stdout.readline())
        process.kill()
        process.wait()
    for _ in range(200):
        if not _alive(worker):
            return
        time.sleep(0.05)
    raise AssertionError("the worker is still there")


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # nobody may have asked how it ended
    return not (stat.exists() and stat.read_text().split()[2] == "Z")
