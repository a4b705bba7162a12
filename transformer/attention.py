"""Scaled dot-product attention, and the multi-head module around it.

Self-attention, cross-attention and cached decoding are one module: what differs is
who supplies the keys and values, so that is an argument.

    kv = attention.keys_values(x, positions)             # self-attention
    kv = memory                                          # cross: once per sentence
    y = attention(x, kv, mask, positions, train=False)
    y, kv = attention.step(x, past, slots, mask, t)      # one decoding step
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from transformer import backend
from transformer.dropout import Dropout
from transformer.linear import Linear, at_once
from transformer.positions import unrotated

MASKED = jnp.finfo(jnp.float32).min
"""The score of what must not be seen: finite, so that a row of nothing stays finite."""

SHORTEST = 64
"""Rows from which cuDNN pays (benchmarks/RESULTS.md)."""

TILE = 128
"""Keys of a tile of cuDNN's."""

Rotation = Callable[
    [Float[Array, "B T N H"], Int[Array, "B T"]], Float[Array, "B T N H"]
]

Dropped = Callable[[Float[Array, "B N T S"]], Float[Array, "B N T S"]]
"""Dropout of the weights."""


class KeyValues(NamedTuple):
    """What queries attend to."""

    key: Float[Array, "B S N H"]
    value: Float[Array, "B S N H"]


class StepKeyValues(NamedTuple):
    """The same for one-token steps, which so transpose nothing: slots or heads last."""

    key: Float[Array, "B N H S"]
    value: Float[Array, "B N S H"]


def weights(
    query: Float[Array, "B T N H"],
    key: Float[Array, "B S N H"],
    mask: Bool[Array, "#B #T S"],
) -> Float[Array, "B N T S"]:
    """softmax(Q Kᵀ / √H) over the positions where `mask` is True, in float32."""
    scores = jnp.einsum(
        "BTNH,BSNH->BNTS", query, key, preferred_element_type=jnp.float32
    )
    return softmax(query.shape[-1], scores, mask)


def softmax_by_definition(
    width: int, scores: Float[Array, "B N T S"], mask: Bool[Array, "#B #T S"]
) -> Float[Array, "B N T S"]:
    """What `softmax` computes."""
    return jax.nn.softmax(jnp.where(mask[:, None], scores / math.sqrt(width), MASKED))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def softmax(
    width: int, scores: Float[Array, "B N T S"], mask: Bool[Array, "#B #T S"]
) -> Float[Array, "B N T S"]:
    """Of scores / √`width` where `mask` is True; the others become zero.

    The gradient keeps the result alone; of JAX's own XLA:CPU keeps three such arrays.
    """
    return softmax_by_definition(width, scores, mask)


def _forward(width, scores, mask):
    found = softmax_by_definition(width, scores, mask)
    return found, (found, mask)


def _backward(width, kept, gradient):
    found, mask = kept
    product = found * gradient
    along = product - found * product.sum(axis=-1, keepdims=True)
    return jnp.where(mask[:, None], along / math.sqrt(width), 0), None


softmax.defvjp(_forward, _backward)


def attend(
    query: Float[Array, "B T N H"],
    kv: KeyValues | StepKeyValues,
    mask: Bool[Array, "#B #T S"],
    dropout: Dropped | None = None,
) -> Float[Array, "B T N H"]:
    """softmax(Q Kᵀ / √H) V, equation 1 of the paper.

    The one place where scores, softmax and values meet, so also the one place that
    chooses a fused kernel where there is one.

    Args:
        dropout: what the weights go through in training; no kernel fuses it.
    """
    if isinstance(kv, StepKeyValues):
        return _attend_stored(query, kv, mask)
    if dropout is None and backend.on_nvidia() and suits_cudnn(query, kv):
        return fused(query, kv, mask, "cudnn")
    mixture = weights(query, kv.key, mask).astype(query.dtype)
    if dropout is not None:
        mixture = dropout(mixture)
    return jnp.einsum("BNTS,BSNH->BTNH", mixture, kv.value)


def _attend_stored(
    query: Float[Array, "B T N H"], kv: StepKeyValues, mask: Bool[Array, "#B #T S"]
) -> Float[Array, "B T N H"]:
    """The heads come first in every product, so that nothing stored is transposed."""
    dtype, query = query.dtype, query.swapaxes(1, 2)
    scores = jnp.einsum(
        "BNTH,BNHS->BNTS", query, kv.key, preferred_element_type=jnp.float32
    )
    mixture: Any = softmax(query.shape[-1], scores, mask)
    mixed = jnp.einsum(
        "BNTS,BNSH->BNTH",
        mixture.astype(kv.value.dtype),
        kv.value,
        preferred_element_type=jnp.float32,
    )
    return mixed.astype(dtype).swapaxes(1, 2)


def fused(
    query: Float[Array, "B T N H"],
    kv: KeyValues,
    mask: Bool[Array, "#B #T S"],
    implementation: Literal["cudnn", "xla"],
) -> Float[Array, "B T N H"]:
    """What `attend` computes, by JAX's attention: in cuDNN the weights never exist."""
    length = query.shape[1], kv.key.shape[1]
    mask = jnp.broadcast_to(mask, (mask.shape[0], *length))  # cuDNN broadcasts no T
    return jax.nn.dot_product_attention(
        query, kv.key, kv.value, mask=mask[:, None], implementation=implementation
    )


def suits_cudnn(query: Float[Array, "B T N H"], kv: KeyValues) -> bool:
    """Whether cuDNN has a kernel for these, its gradient included.

    What JAX 0.10 asks for with a mask; and rows long enough for it to be the faster.
    With a last tile that is half full, gradients of queries that see nothing are not
    numbers on Hopper: https://github.com/pytorch/pytorch/issues/196678.
    """
    *_, heads_width = query.shape
    lengths = query.shape[1], kv.key.shape[1]
    return (
        query.dtype in (jnp.bfloat16, jnp.float16)
        and heads_width % 8 == 0
        and heads_width <= 128
        and not any(
            length % 2 or length < SHORTEST or length % TILE == TILE // 2
            for length in lengths
        )
    )


def for_steps(kv: KeyValues) -> StepKeyValues:
    """As `attend` reads them fastest when queries come one by one."""
    return StepKeyValues(kv.key.transpose(0, 2, 3, 1), kv.value.swapaxes(1, 2))


def write(
    past: StepKeyValues, new: KeyValues, slots: Int[Array, " B"]
) -> StepKeyValues:
    """Returns `past` with `new` stored from a slot on, in each row another one."""
    put = jax.vmap(jax.lax.dynamic_update_slice_in_dim, in_axes=(0, 0, 0, None))
    key, value = for_steps(new)
    return StepKeyValues(put(past.key, key, slots, 2), put(past.value, value, slots, 1))


class MultiHeadAttention(nn.Module):
    """Attention by several heads at once, section 3.2.2 of the paper; no biases.

    Args:
        dim: D, the width of the model.
        num_heads: N; each head is D / N wide.
        rotation: what turns queries and keys by their positions, e.g. `rotate`.
        rate: the share of weights that dropout zeroes in training.
        dtype: the type of the products; parameters are float32.
    """

    dim: int
    num_heads: int
    rotation: Rotation = unrotated
    rate: float = 0.0
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        linear = partial(Linear, use_bias=False, dtype=self.dtype)
        heads = (self.num_heads, self.dim // self.num_heads)
        inner = partial(linear, heads, result=backend.wide(self.dtype))
        self.query, self.key, self.value = inner(), inner(), inner()
        self.output = linear(self.dim, axes=2)
        self.dropout = Dropout(self.rate)

    def keys_values(
        self, x: Float[Array, "B S D"], positions: Int[Array, "B S"]
    ) -> KeyValues:
        """What `x`, standing at `positions`, offers to be looked at."""
        return KeyValues(self.rotation(self.key(x), positions), self.value(x))

    def __call__(
        self,
        x: Float[Array, "B T D"],
        kv: KeyValues | StepKeyValues,
        mask: Bool[Array, "#B #T S"],
        positions: Int[Array, "B T"],
        *,
        train: bool,
    ) -> Float[Array, "B T D"]:
        query = self.rotation(self.query(x), positions)
        drops = train and self.rate > 0
        dropout = partial(self.dropout, train=train) if drops else None
        return self.output(attend(query, kv, mask, dropout))

    def step(
        self,
        x: Float[Array, "B T D"],
        past: StepKeyValues,
        slots: Int[Array, " B"],
        mask: Bool[Array, "#B #T S"],
        positions: Int[Array, "B T"],
    ) -> tuple[Float[Array, "B T D"], StepKeyValues]:
        """Self-attention of what comes behind `past`, and the past with it.

        Args:
            slots: where `x` is written to, in each row; S counts all slots.
        """
        query, key, value = at_once((self.query, self.key, self.value), x)
        query, key = (self.rotation(x, positions) for x in (query, key))
        kv = write(past, KeyValues(key, value), slots)
        return self.output(attend(query, kv, mask)), kv
