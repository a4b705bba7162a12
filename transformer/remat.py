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
from jax.typing import DTypeLike

from transformer import backend

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


def made_again(function: Callable[..., Any], kept: Any, late: Any) -> Any:
    """`function(kept, late)`, whose gradient keeps these and nothing in between.

    For CPUs. Unlike `rematerialised` it holds back only what comes of `late`, and each
    row by the gradient of that row, so that devices which share rows need not meet.

    Args:
        late: a tuple of arrays whose axes are those of the result, but for the last.
    """

    @jax.custom_vjp
    def call(kept: Any, late: Any) -> Any:
        return function(kept, late)

    def forward(kept: Any, late: Any) -> Any:
        return function(kept, late), (kept, late)

    def backward(arguments: Any, gradient: Any) -> Any:
        kept, late = arguments
        nothing = 0 * gradient[..., :1]
        late = tuple(x + jnp.broadcast_to(nothing, x.shape) for x in late)
        return jax.vjp(function, kept, late)[1](gradient)

    call.defvjp(forward, backward)
    return call(kept, late)


def cheaper_than_kept(dtype: DTypeLike) -> bool:
    """Whether an element-wise pass is made again faster than its result is kept.

    So in float32 on CPUs, where XLA keeps what it is made from, too.
    """
    return dtype == jnp.float32 and backend.on_cpu()


def _not_before(gradient: Any, tree: Any) -> Any:
    """`tree`, which on a CPU does not exist before the gradient does."""
    if not backend.on_cpu():
        return tree
    # Not-a-number if the gradient is not finite, which spoils nothing more.
    nothing = 0 * jax.tree.leaves(gradient)[0].ravel()[0]

    def add(leaf: jax.Array) -> jax.Array:
        number = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf + nothing.astype(leaf.dtype) if number else leaf

    return jax.tree.map(add, tree)
