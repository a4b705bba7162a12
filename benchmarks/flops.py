"""How many operations the model asks for, whoever computes it.

Multiply-adds of one pair with s source and t target positions, EOS or BOS included
(D width, F hidden width, V vocabulary, L layers a side; m is 2 matrices in a plain and
3 in a gated feed-forward layer):

    encoder      L · (s · (4 D² + m D F)  +  2 s² D)
    decoder      L · (t · (6 D² + m D F)  +  s · 2 D²  +  2 t² D  +  2 s t D)
    projection   t · V D

4 D² are queries, keys, values and outputs; of the 8 D² of a decoder layer, the keys and
values of cross-attention belong to source positions. Terms in s², t² and s t are scores
and mixtures of each pair alone; causal attention counts in full, as is the custom.

A training step costs 3 forward passes (the backward pass has two products for each
forward one), an operation is a multiplication or an addition, so a pair costs 3 · 2 ·
its multiply-adds. Padding, dropout, norms, softmax, optimizer and recomputation count
as nothing: they are what keeps a step from the limit.
"""

import numpy as np
from jaxtyping import Float, Int

from transformer.config import ModelConfig


def multiply_adds(
    cfg: ModelConfig, lengths: Int[np.ndarray, "n 2"]
) -> Float[np.ndarray, " n"]:
    """Of one forward pass over each pair of so many source and target positions."""
    s, t = lengths.astype(float).T
    d = cfg.dim
    matrices = 3 if cfg.activation == "swiglu" else 2
    feed_forward = matrices * d * cfg.hidden_dim
    encoder = s * (4 * d**2 + feed_forward) + 2 * s**2 * d
    decoder = t * (6 * d**2 + feed_forward) + s * 2 * d**2 + 2 * (t**2 + s * t) * d
    layers = cfg.encoder_layers * encoder + cfg.decoder_layers * decoder
    return layers + t * cfg.vocab_size * d


def per_target_token(cfg: ModelConfig, lengths: Int[np.ndarray, "n 2"]) -> float:
    """Operations of a training step for each target token, over all pairs."""
    return 6 * float(multiply_adds(cfg, lengths).sum() / lengths[:, 1].sum())
