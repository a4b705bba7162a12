"""Encoder and decoder layers, wired before or after the norm.

Post-norm is the paper's, norm(x + f(x)); pre-norm, x + f(norm(x)), keeps the residual
path free and trains without a long warm-up (Xiong et al. 2020). They are two classes
over the same parts.
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from transformer import positions
from transformer.attention import (
    KeyValues,
    MultiHeadAttention,
    Rotation,
    StepKeyValues,
)
from transformer.config import ModelConfig
from transformer.dropout import Dropout
from transformer.feed_forward import (
    FeedForward,
    GatedFeedForward,
    gelu,
    relu,
    silu,
)
from transformer.norms import LayerNorm

ROTATIONS = {
    "sinusoidal": positions.unrotated,
    "learned": positions.unrotated,
    "rotary": positions.rotate,
}

FEED_FORWARDS = {
    "relu": partial(FeedForward, activation=relu),
    "gelu": partial(FeedForward, activation=gelu),
    "swiglu": partial(GatedFeedForward, activation=silu),
}


class Layout(NamedTuple):
    """Where the tokens of a batch stand, and what each of them may look at."""

    positions: Int[Array, "B T"]
    mask: Bool[Array, "#B #T S"]


class Past(NamedTuple):
    """What a layer keeps of the steps before, and where the next one goes."""

    kv: StepKeyValues
    slots: Int[Array, " B"]


def _attention(
    cfg: ModelConfig, dtype: DTypeLike, rotation: Rotation = positions.unrotated
) -> MultiHeadAttention:
    rate = cfg.attention_dropout
    return MultiHeadAttention(cfg.dim, cfg.num_heads, rotation, rate, dtype)


def _self_attention(cfg: ModelConfig, dtype: DTypeLike) -> MultiHeadAttention:
    return _attention(cfg, dtype, ROTATIONS[cfg.positions])


def _feed_forward(cfg: ModelConfig, dtype: DTypeLike) -> nn.Module:
    make = FEED_FORWARDS[cfg.activation]
    return make(cfg.dim, cfg.hidden_dim, rate=cfg.activation_dropout, dtype=dtype)


class EncoderLayer(nn.Module):
    """The parts of an encoder layer: self-attention and feed-forward."""

    cfg: ModelConfig
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.attention_norm = LayerNorm(dtype=self.dtype)
        self.attention = _self_attention(self.cfg, self.dtype)
        self.feed_forward_norm = LayerNorm(dtype=self.dtype)
        self.feed_forward = _feed_forward(self.cfg, self.dtype)
        self.dropout = Dropout(self.cfg.dropout)


class PreNormEncoderLayer(EncoderLayer):
    def __call__(
        self,
        x: Float[Array, "B S D"],
        layout: Layout,
        *,
        train: bool,
    ) -> Float[Array, "B S D"]:
        h = self.attention_norm(x)
        kv = self.attention.keys_values(h, layout.positions)
        h = self.attention(h, kv, layout.mask, layout.positions, train=train)
        x = x + self.dropout(h, train=train)
        h = self.feed_forward(self.feed_forward_norm(x), train=train)
        return x + self.dropout(h, train=train)


class PostNormEncoderLayer(EncoderLayer):
    def __call__(
        self,
        x: Float[Array, "B S D"],
        layout: Layout,
        *,
        train: bool,
    ) -> Float[Array, "B S D"]:
        kv = self.attention.keys_values(x, layout.positions)
        h = self.attention(x, kv, layout.mask, layout.positions, train=train)
        x = self.attention_norm(x + self.dropout(h, train=train))
        h = self.feed_forward(x, train=train)
        return self.feed_forward_norm(x + self.dropout(h, train=train))


class DecoderLayer(nn.Module):
    """The parts of a decoder layer: self-attention, cross-attention, feed-forward.

    A layer returns its keys and values beside its output. With a past, the new ones are
    written behind it first; without, as in training, they are all there is, and the
    caller drops them.
    """

    cfg: ModelConfig
    dtype: DTypeLike = jnp.float32

    def setup(self) -> None:
        self.attention_norm = LayerNorm(dtype=self.dtype)
        self.attention = _self_attention(self.cfg, self.dtype)
        self.cross_norm = LayerNorm(dtype=self.dtype)
        self.cross_attention = _attention(self.cfg, self.dtype)
        self.feed_forward_norm = LayerNorm(dtype=self.dtype)
        self.feed_forward = _feed_forward(self.cfg, self.dtype)
        self.dropout = Dropout(self.cfg.dropout)

    def memory(
        self, states: Float[Array, "B S D"], positions: Int[Array, "B S"]
    ) -> KeyValues:
        """What the encoder's output offers this layer, the same for every step."""
        return self.cross_attention.keys_values(states, positions)

    def looked_back(
        self,
        h: Float[Array, "B T D"],
        layout: Layout,
        past: Past | None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], KeyValues | StepKeyValues]:
        """Self-attention, and its keys and values behind those of the steps before."""
        where = layout.mask, layout.positions
        if past is not None:
            return self.attention.step(h, past.kv, past.slots, *where)
        kv = self.attention.keys_values(h, layout.positions)
        return self.attention(h, kv, *where, train=train), kv


class PreNormDecoderLayer(DecoderLayer):
    def __call__(
        self,
        x: Float[Array, "B T D"],
        layout: Layout,
        memory: KeyValues | StepKeyValues,
        memory_mask: Bool[Array, "#B #T S"],
        past: Past | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], KeyValues | StepKeyValues]:
        h = self.attention_norm(x)
        h, kv = self.looked_back(h, layout, past, train=train)
        x = x + self.dropout(h, train=train)
        h = self.cross_norm(x)
        where = memory_mask, layout.positions
        h = self.cross_attention(h, memory, *where, train=train)
        x = x + self.dropout(h, train=train)
        h = self.feed_forward(self.feed_forward_norm(x), train=train)
        return x + self.dropout(h, train=train), kv


class PostNormDecoderLayer(DecoderLayer):
    def __call__(
        self,
        x: Float[Array, "B T D"],
        layout: Layout,
        memory: KeyValues | StepKeyValues,
        memory_mask: Bool[Array, "#B #T S"],
        past: Past | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], KeyValues | StepKeyValues]:
        h, kv = self.looked_back(x, layout, past, train=train)
        x = self.attention_norm(x + self.dropout(h, train=train))
        where = memory_mask, layout.positions
        h = self.cross_attention(x, memory, *where, train=train)
        x = self.cross_norm(x + self.dropout(h, train=train))
        h = self.feed_forward(x, train=train)
        return self.feed_forward_norm(x + self.dropout(h, train=train)), kv
