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
from webpages import curves

import transformer

ROOT = Path(__file__).parents[1]

KILLS = int(os.environ.get("KILLS", "2"))


def start(command, path):
    return subprocess.Popen(
        [*command, f"--out={path}"],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
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
    began = time.monotonic()
    finish(command, whole)
    took = time.monotonic() - began
    chance = random.Random(os.environ.get("KILL_SEED", "0"))
    survived = 0
    for _ in range(KILLS):
        process = start(command, killed)
        while not (killed / "config.json").exists() and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, took / 2))
        process.send_signal(signal.SIGKILL)
        survived += process.wait() == 0
    assert survived < KILLS
    finish(command, killed)
    assert fingerprint(killed) == fingerprint(whole)


PREPARE = """
import sys
from dataclasses import replace
from transformer import dataset, experiments, workers

if __name__ == "__main__":
    workers.FEW = 1
    cfg = experiments.quickstart()
    data = replace(cfg.data, train=(sys.argv[1],), valid=(sys.argv[2],), test=())
    model = replace(cfg.model, vocab_size=400)
    print("begun", flush=True)
    dataset.prepare(replace(cfg, data=data, model=model))
"""


def prepare(folder, cache):
    """Begins to prepare the corpus in `folder`; returns when the program is loaded."""
    names = [str(folder / "train.tsv"), str(folder / "valid.tsv")]
    process = subprocess.Popen(
        [sys.executable, str(folder / "prepare.py"), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"begun\n"
    return process


def contents(cache):
    """All that is stored under its name, whole or not."""
    return {
        str(path.relative_to(cache)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(cache.rglob("*"))
        if path.is_file() and ".draft-" not in str(path)
    }


def test_preparation_that_is_killed_leaves_nothing_that_is_not_whole(tmp_path):
    (tmp_path / "prepare.py").write_text(PREPARE)
    words = [chr(ord("a") + n) * 3 for n in range(20)]
    chance = random.Random(os.environ.get("KILL_SEED", "0"))
    pairs = [(" ".join(chance.choices(words, k=9)), f"य {n}") for n in range(12_000)]
    for name, some in (("train", pairs), ("valid", [("zzz", "क")])):
        lines = "".join(f"{source}\t{target}\n" for source, target in some)
        (tmp_path / f"{name}.tsv").write_text(lines)
    began = time.monotonic()
    assert prepare(tmp_path, tmp_path / "whole").wait() == 0
    took = time.monotonic() - began
    whole = contents(tmp_path / "whole")
    assert {name.split("/")[1] for name in whole} == {
        "selections", "stores", "tokenizers",
    }  # fmt: skip
    for _ in range(KILLS):
        process = prepare(tmp_path, tmp_path / "killed")
        time.sleep(chance.uniform(0, took / 2))
        process.kill()
        process.wait()
        assert contents(tmp_path / "killed").items() <= whole.items()
    assert prepare(tmp_path, tmp_path / "killed").wait() == 0
    assert contents(tmp_path / "killed") == whole
