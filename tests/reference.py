"""The base architecture of "Attention Is All You Need" in NumPy, float64.

Written from the equations of the paper, for one sentence at a time: no batches, no
padding, no masks but the causal one. Vectors are rows, as in the paper's x W.
"""

from typing import NamedTuple

import numpy as np


class Attention(NamedTuple):
    """Section 3.2.2: one matrix a head, and W^O."""

    W_Q: list[np.ndarray]
    W_K: list[np.ndarray]
    W_V: list[np.ndarray]
    W_O: np.ndarray


class FeedForward(NamedTuple):
    """Section 3.3."""

    W_1: np.ndarray
    b_1: np.ndarray
    W_2: np.ndarray
    b_2: np.ndarray


class Norm(NamedTuple):
    gain: np.ndarray
    bias: np.ndarray


class EncoderLayer(NamedTuple):
    attention: Attention
    attention_norm: Norm
    feed_forward: FeedForward
    feed_forward_norm: Norm


class DecoderLayer(NamedTuple):
    attention: Attention
    attention_norm: Norm
    cross_attention: Attention
    cross_norm: Norm
    feed_forward: FeedForward
    feed_forward_norm: Norm


class Parameters(NamedTuple):
    embedding: np.ndarray
    encoder: list[EncoderLayer]
    decoder: list[DecoderLayer]


def softmax(x):
    powers = np.exp(x)
    return powers / powers.sum(axis=-1, keepdims=True)


def scaled_dot_product(Q, K, V, visible):
    """Equation 1; "masking out (setting to -∞)" as section 3.2.3 has it."""
    scores = Q @ K.T / np.sqrt(K.shape[-1])
    return softmax(np.where(visible, scores, -np.inf)) @ V


def multi_head(queries, keys, p, visible):
    """Section 3.2.2; in this architecture keys and values have one source."""
    heads = [
        scaled_dot_product(queries @ W_Q, keys @ W_K, keys @ W_V, visible)
        for W_Q, W_K, W_V in zip(p.W_Q, p.W_K, p.W_V, strict=True)
    ]
    return np.concatenate(heads, axis=-1) @ p.W_O


def feed_forward(x, p):
    """Equation 2."""
    return np.maximum(0, x @ p.W_1 + p.b_1) @ p.W_2 + p.b_2


def layer_norm(x, p, eps=1e-6):
    """Ba et al. 2016, which the paper refers to."""
    mean = x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(((x - mean) ** 2).mean(axis=-1, keepdims=True) + eps)
    return p.gain * (x - mean) / deviation + p.bias


def embed(tokens, table):
    """Section 3.4 with its factor √d, plus the positions of section 3.5."""
    d = table.shape[1]
    encoding = np.empty((len(tokens), d))
    for pos in range(len(tokens)):
        for i in range(d // 2):
            angle = pos / 10_000 ** (2 * i / d)
            encoding[pos, 2 * i] = np.sin(angle)
            encoding[pos, 2 * i + 1] = np.cos(angle)
    return table[tokens] * np.sqrt(d) + encoding


def encode(source, p):
    """Section 3.1: LayerNorm(x + Sublayer(x))."""
    x = embed(source, p.embedding)
    everything = np.full((len(source), len(source)), fill_value=True)
    for layer in p.encoder:
        attended = multi_head(x, x, layer.attention, everything)
        x = layer_norm(x + attended, layer.attention_norm)
        x = layer_norm(x + feed_forward(x, layer.feed_forward), layer.feed_forward_norm)
    return x


def decode(target, memory, p):
    """Section 3.1, up to the projection onto the vocabulary."""
    x = embed(target, p.embedding)
    past = np.array([[j <= i for j in range(len(target))] for i in range(len(target))])
    everything = np.full((len(target), len(memory)), fill_value=True)
    for layer in p.decoder:
        attended = multi_head(x, x, layer.attention, past)
        x = layer_norm(x + attended, layer.attention_norm)
        attended = multi_head(x, memory, layer.cross_attention, everything)
        x = layer_norm(x + attended, layer.cross_norm)
        x = layer_norm(x + feed_forward(x, layer.feed_forward), layer.feed_forward_norm)
    return x


def transformer(source, target, p):
    """Scores of every token of the vocabulary after each prefix of `target`."""
    return decode(target, encode(source, p), p) @ p.embedding.T
