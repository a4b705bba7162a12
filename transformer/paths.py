"""Names of arrays in trees of them, by which rules tell parameters apart."""

from typing import Any

import jax


def name(path: Any) -> str:
    """E.g. params/encoder_0/attention/query/kernel, of a path as JAX gives it."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
