"""kill -9 at any moment, any number of times, changes nothing about the result."""

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
from webpages import curves

import transformer

ROOT = Path(__file__).parents[1]

KILLS = int(os.environ.get("KILLS", "3"))


def start(command, path):
    return subprocess.Popen(
        [*command, f"--out={path}"],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": ""},
    )


def finish(command, path):
    assert start(command, path).wait() == 0


def fingerprint(path):
    """Of the weights that translate, of what was reported, and of what is shown."""
    leaves = jax.tree.leaves(transformer.load(path).params)
    params = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves))
    reports = (path / "metrics.jsonl").read_text().splitlines()
    timeless = [line.partition(', "tokens a second"')[0] for line in reports]
    return params.hexdigest(), timeless, curves(path)


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
