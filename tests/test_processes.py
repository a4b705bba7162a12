"""Two processes train as one does, whatever becomes of one of them, or of both."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import transformer
from transformer import processes
from transformer.errors import InputError
from transformer.processes import Processes

ROOT = Path(__file__).parents[1]
PATIENCE = 300

SHORT = ["--training.steps=120", "--optimizer.warmup=30"]


def start(command, path, count=1, more=((), ())):
    """That many processes which train together, each with flags of its own."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    together = ["--coordinator", f"localhost:{port}", "--processes", str(count)]
    flags = [[*together, f"--process={i}"] if count > 1 else [] for i in range(count)]
    return [
        subprocess.Popen(
            [*command, *SHORT, f"--out={path}", *own, *mine],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for own, mine in zip(flags, more, strict=False)
    ]


def ended(running):
    """Exit codes and messages, by process."""
    told = [process.communicate(timeout=PATIENCE)[1] for process in running]
    return [process.returncode for process in running], told


def wait_for_another_checkpoint(path, running):
    def sealed():
        return set(path.glob("checkpoints/*/seal.json"))

    before, since = sealed(), time.monotonic()
    while not sealed() - before:
        assert all(process.poll() is None for process in running)
        assert time.monotonic() - since < PATIENCE
        time.sleep(0.05)


def weights(path):
    return [np.asarray(x) for x in jax.tree.leaves(transformer.load(path).params)]


def test_two_processes_are_killed_continue_and_agree_with_one(command, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert ended(start(command, one))[0] == [0]

    running = start(command, two, 2)
    wait_for_another_checkpoint(two, running)
    running[1].kill()
    codes, told = ended(running)
    assert codes == [1, -signal.SIGKILL]
    assert "Another process is lost" in told[0] and "Traceback" not in told[0]

    shared = ["--mesh=tensor=2"]  # both compute the same rows
    running = start(command, two, 2, (shared, shared))
    wait_for_another_checkpoint(two, running)
    running[1].terminate()  # tells one of them; both stop after the same update
    codes, told = ended(running)
    assert codes == [130, 130]
    assert "which is saved" in told[0]

    running = start(command, two, 2)
    wait_for_another_checkpoint(two, running)
    for process in running:
        process.kill()
    assert ended(running)[0] == [-signal.SIGKILL, -signal.SIGKILL]

    assert ended(start(command, two))[0] == [0]
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5 * np.abs(a).max())


def test_what_one_of_two_processes_cannot_do_is_said_once_for_all(command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    codes, told = ended(start(command, tmp_path / "run", 2))
    assert codes == [2, 2]
    for text in told:
        assert "is no run" in " ".join(text.split()) and "Traceback" not in text

    longer = (), ["--data.max-length=100"]
    codes, told = ended(start(command, tmp_path / "other", 2, longer))
    assert codes == [2, 2]
    for text in told:
        assert "with other settings" in " ".join(text.split())
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"processes": 2}, "need --coordinator"),
        ({"coordinator": "auto", "process": 0}, "auto finds"),
        ({"coordinator": "somewhere"}, "is not HOST:PORT"),
        ({"coordinator": "somewhere:1"}, "needs --processes and --process"),
        ({"coordinator": "a:1", "processes": 2, "process": 2}, "from 0 to 1"),
    ],
)
def test_flags_that_say_too_little_or_too_much_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        processes.connect(Processes(**flags))


@pytest.mark.parametrize("mine", [False, True])
@pytest.mark.parametrize("theirs", [False, True])
def test_what_one_of_several_processes_was_told_all_know(monkeypatch, mine, theirs):
    said = {}
    client = SimpleNamespace(
        key_value_set=said.__setitem__,
        blocking_key_value_get=lambda key, _: said.get(key, json.dumps(theirs)),
    )
    monkeypatch.setattr(processes, "several", lambda: True)
    monkeypatch.setattr(processes, "_client", lambda: client)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert processes.known(told=mine) == (mine or theirs)
    assert list(said.values()) == [json.dumps(mine)]


def test_alone_there_is_nobody_to_wait_for():
    processes.connect(Processes())
    processes.meet()
    assert processes.first() and not processes.several()
    assert processes.agreed([1, "two"]) == [1, "two"]
    assert processes.known(told=True) and not processes.known(told=False)
    assert processes.in_turn(lambda: 3) == 3
