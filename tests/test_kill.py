"""kill -9 at any moment, any number of times, changes nothing about the result."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import transformer

ROOT = Path(__file__).parents[1]

KILLS = int(os.environ.get("KILLS", "3"))


@pytest.fixture
def command(tmp_path):
    """Trains a tiny network for a few seconds, saving all the time."""
    for side, word in (("en", "a"), ("de", "b")):
        lines = [" ".join([word] * (1 + i % 9) + [str(i % 7)]) for i in range(300)]
        (tmp_path / f"train.{side}").write_text("\n".join(dict.fromkeys(lines)) + "\n")
    flags = {
        "data.train": tmp_path / "train",
        "data.valid": tmp_path / "train",
        "data.test": "None",
        "data.target": "de",
        "data.tokens": 128,
        "model.vocab-size": 290,
        "model.dim": 16,
        "model.hidden-dim": 16,
        "model.num-heads": 2,
        "training.steps": 400,
        "training.eval-every": 20,
        "training.eval-sentences": 2,
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    return [sys.executable, str(ROOT / "train.py"), "quickstart", *words]


def start(command, path):
    return subprocess.Popen(
        [*command, f"--out={path}"],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def finish(command, path):
    assert start(command, path).wait() == 0


def fingerprint(path):
    """Of the weights that translate and of all that is needed to continue."""
    leaves = jax.tree.leaves(transformer.load(path)._params)
    params = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves))
    reports = (path / "metrics.jsonl").read_text().splitlines()
    timeless = [line.partition(', "tokens a second"')[0] for line in reports]
    return params.hexdigest(), timeless


def test_a_run_that_is_killed_again_and_again_ends_like_one_that_never_was(
    command, tmp_path
):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    finish(command, whole)
    chance = random.Random(os.environ.get("KILL_SEED", "0"))
    survived = 0
    for _ in range(KILLS):
        process = start(command, killed)
        while not (killed / "config.json").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 12))
        process.send_signal(signal.SIGKILL)
        survived += process.wait() == 0
    assert survived < KILLS
    finish(command, killed)
    assert fingerprint(killed) == fingerprint(whole)
