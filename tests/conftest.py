"""Every test runs strictly, and in a cache of its own."""

import os
import sys
from pathlib import Path

# Programs of tests take longer to compile than to run. To be said before JAX begins.
os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

from transformer import devices  # noqa: E402

ROOT = Path(__file__).parents[1]

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 8)


LONGEST = [
    "test_processes.py",
    "test_kill.py",
    "test_training.py",
    "test_benchmarks.py",
]
"""Begun first, so that no worker is left with one of them when the others are done."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory, worker_id):
    """Keeps stores and compiled programs of tests out of the user's cache.

    All workers of a run have the same, so that one may load what another compiled.
    """
    own = tmp_path_factory.getbasetemp()
    run = own if worker_id == "master" else own.parent
    os.environ["XDG_CACHE_HOME"] = str(run / "cache")
    devices.keep_compiled_programs()


@pytest.fixture
def key():
    return jax.random.key(0)


@pytest.fixture
def command(tmp_path):
    """Trains a tiny network for a few seconds, saving all the time."""
    for side, word in (("en", "a"), ("de", "b")):
        lines = [" ".join([word] * (1 + i % 9) + [str(i % 7)]) for i in range(300)]
        (tmp_path / f"train.{side}").write_text("\n".join(dict.fromkeys(lines)) + "\n")
    flags = {
        "data.train": tmp_path / "train",
        "data.valid": tmp_path / "train",
        "data.target": "de",
        "data.keep": "overlap",
        "data.tokens": 128,
        "model.vocab-size": 290,
        "model.dim": 16,
        "model.hidden-dim": 16,
        "model.num-heads": 2,
        "model.encoder-layers": 1,
        "model.decoder-layers": 1,
        "training.steps": 200,
        "training.eval-every": 20,
        "training.eval-sentences": 2,
    }
    words = [f"--{name}={value}" for name, value in flags.items()]
    return [sys.executable, str(ROOT / "train.py"), "quickstart", *words, "--data.test"]
