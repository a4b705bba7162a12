"""Every test runs strictly, and in a cache of its own."""

import os

import jax
import pytest

from transformer import devices

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 8)


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keeps stores and compiled programs of tests out of the user's cache."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    devices.keep_compiled_programs()


@pytest.fixture
def key():
    return jax.random.key(0)
