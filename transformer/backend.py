"""Which kind of device computes, where the fastest form of something depends on it.

Asked while tracing: `lax.platform_dependent` would trace all forms, those too that need
a library which is not there, and keep what the gradients of all of them need.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

AMPERE = 8.0
"""Its compute capability."""


def on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def on_nvidia() -> bool:
    """On a card of Ampere's kind or later, which compute in bfloat16."""
    device = jax.local_devices()[0]
    named = device.device_kind.startswith("NVIDIA")
    return named and float(device.compute_capability) >= AMPERE


def wide(dtype: DTypeLike) -> DTypeLike:
    """The type of what a layer in `dtype` adds, compares and scores.

    XLA:CPU has no arithmetic in bfloat16 but products of matrices; all else, batches of
    such products too, it would convert before and round after.
    """
    return jnp.float32 if on_cpu() else dtype
