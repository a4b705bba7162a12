"""What the machine decides: number types, batch rows, and where programs are kept."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from transformer.store import cache


def on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def dtype(precision: str) -> DTypeLike:
    """The type of the products for a `TrainingConfig.precision`."""
    if precision == "auto":
        return jnp.float32 if on_cpu() else jnp.bfloat16
    return jnp.dtype(precision)


def decoding_rows() -> int:
    """Sentences decoded together: enough to fill the device, few enough to wait for."""
    return 16 if on_cpu() else 128


def description() -> str:
    """E.g. "2 × NVIDIA H200", for people."""
    devices = jax.devices()
    return f"{len(devices)} × {devices[0].device_kind} ({devices[0].platform})"


def keep_compiled_programs() -> None:
    """A program compiled once on this machine is loaded the next time."""
    jax.config.update("jax_compilation_cache_dir", str(cache() / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
