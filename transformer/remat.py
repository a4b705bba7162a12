"""Rematerialisation: the backward pass computes values again instead of keeping them.

`jax.checkpoint` decides what is kept. On a GPU or TPU that is all there is to it. XLA's
CPU compiler, however, ignores the barriers that hold the recomputation back, and runs
it long before its time, so that it saves next to nothing (benchmarks/RESULTS.md). There
the recomputation gets an input that does not exist earlier: nothing, times a number of
the gradient that it is for.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

Kind = Literal["dots", "layers"]

POLICIES: dict[Kind, Callable[..., Any]] = {
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "layers": jax.checkpoint_policies.nothing_saveable,
}


def rematerialised(function: Callable[..., Any], kind: Kind) -> Callable[..., Any]:
    """`function` of arrays only, whose gradient keeps less.

    Args:
        kind: "dots" keeps results of products with parameters, "layers" only arguments.
    """
    kept = jax.checkpoint(function, policy=POLICIES[kind])

    @jax.custom_vjp
    def call(*args: Any) -> Any:
        return kept(*args)

    def forward(*args: Any) -> Any:
        return jax.vjp(kept, *args)

    def backward(pull: Callable[..., Any], gradient: Any) -> Any:
        return _not_before(gradient, pull)(gradient)

    call.defvjp(forward, backward)
    return call


def _not_before(gradient: Any, tree: Any) -> Any:
    """`tree`, which on a CPU does not exist before the gradient does."""
    return jax.lax.platform_dependent(
        gradient, tree, cpu=_add_nothing, default=lambda _, tree: tree
    )


def _add_nothing(gradient: Any, tree: Any) -> Any:
    # Not-a-number if the gradient is not finite, which spoils nothing more.
    nothing = 0 * jax.tree.leaves(gradient)[0].ravel()[0]

    def add(leaf: jax.Array) -> jax.Array:
        number = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf + nothing.astype(leaf.dtype) if number else leaf

    return jax.tree.map(add, tree)
