"""Training steps of torch.nn.Transformer: python torch_transformer.py --model tiny.

Attention goes through scaled_dot_product_attention. Its dropout and that within the
feed-forward layers are switched off, as in the paper and in ours, and so are the norms
after the last layers, which a post-norm stack does not need; both save this rival time.
Padding at the end of targets needs no mask: attention is causal.
"""

import math

import common
import torch
import torch.nn.functional as F
from common import DROPOUT, LONGEST, PAD, Loss, Size
from torch import Tensor, nn


class Model(nn.Module):
    """One table for both sides and the projection, sinusoidal positions."""

    positions: Tensor
    causal: Tensor

    def __init__(self, size: Size, vocabulary: int, loss_sum: Loss) -> None:
        super().__init__()
        self.loss_sum = loss_sum
        self.table = nn.Parameter(torch.randn(vocabulary, size.dim) / size.dim**0.5)
        self.register_buffer("positions", _sinusoids(LONGEST, size.dim))
        self.register_buffer("causal", _causal(LONGEST))
        self.dropout = nn.Dropout(DROPOUT)
        self.transformer = nn.Transformer(
            size.dim,
            size.num_heads,
            size.layers,
            size.layers,
            size.hidden_dim,
            DROPOUT,
            batch_first=True,
        )
        self.transformer.encoder.norm = None
        self.transformer.decoder.norm = None
        for layer in self.transformer.modules():
            if isinstance(layer, nn.MultiheadAttention):
                layer.dropout = 0.0
            elif isinstance(
                layer, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer
            ):
                layer.dropout.p = 0.0

    def forward(
        self, source: Tensor, target: Tensor, labels: Tensor, *, padded: bool
    ) -> Tensor:
        unseen = source == PAD if padded else None
        length = target.shape[1]
        states = self.transformer(
            self._embed(source),
            self._embed(target),
            tgt_mask=self.causal[:length, :length],
            src_key_padding_mask=unseen,
            memory_key_padding_mask=unseen,
            tgt_is_causal=True,
        )
        return self.loss_sum(states, self.table, labels)

    def _embed(self, tokens: Tensor) -> Tensor:
        vectors = F.embedding(tokens, self.table) * math.sqrt(self.table.shape[1])
        return self.dropout(vectors + self.positions[: tokens.shape[1]])


def _causal(length: int) -> Tensor:
    """True where a position must not look."""
    return torch.ones(length, length, dtype=torch.bool).triu(1)


def _sinusoids(length: int, dim: int) -> Tensor:
    angles = torch.arange(length)[:, None] * 10_000.0 ** (
        -torch.arange(0, dim, 2) / dim
    )
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


if __name__ == "__main__":
    common.run("torch.nn.Transformer", Model)
