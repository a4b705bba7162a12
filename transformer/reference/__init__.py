"""The network and its beam search once more: slow, readable, float64, NumPy alone.

Written from the equations, for one sentence at a time. It shares nothing with the fast
path but the settings and the names of the parameters, so that each can check the other.

    found = beam(cfg, params, source, width=4, alpha=0.6, limit=2 * len(source) + 10)
    found.best[0].tokens, found.best[0].score
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from transformer.axes import Params
from transformer.config import ModelConfig
from transformer.reference.beams import Decision, Found, Hypothesis, penalty, search
from transformer.reference.network import decode, double, encode, log_probs, projected
from transformer.symbols import BOS

__all__ = [
    "Decision",
    "Found",
    "Hypothesis",
    "beam",
    "double",
    "encode",
    "greedy",
    "log_probs",
    "penalty",
    "rescore",
    "search",
]

Array = np.ndarray


def beam(
    cfg: ModelConfig,
    params: Params,
    source: Sequence[int],
    *,
    width: int,
    alpha: float,
    limit: int,
    best: int = 1,
) -> Found:
    """What `search` finds with the network; `source` ends with EOS."""
    params = double(params)
    memory = encode(cfg, params, source)

    def follow(tokens: tuple[int, ...]) -> Float[Array, " V"]:
        states = decode(cfg, params, memory, (BOS, *tokens))
        return projected(params, states[-1:])[0]

    return search(follow, width=width, alpha=alpha, limit=limit, best=best)


def greedy(
    cfg: ModelConfig, params: Params, source: Sequence[int], limit: int
) -> Found:
    """The likeliest token at each step; the score is the sum."""
    return beam(cfg, params, source, width=1, alpha=0.0, limit=limit)


def rescore(
    cfg: ModelConfig, params: Params, source: Sequence[int], target: Sequence[int]
) -> Float[Array, " T"]:
    """Log-probability of each token of a given target; both sides end with EOS."""
    memory = encode(cfg, params, source)
    after = log_probs(cfg, params, memory, (BOS, *target[:-1]))
    return after[np.arange(len(target)), list(target)]
