"""The network for one sentence: no cache, no batch, no mask but the causal one.

Vectors are rows, as in the paper's x W; p holds the parameters of the part at hand.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf

import numpy as np
from jaxtyping import Bool, Float

from transformer.axes import Params
from transformer.config import ModelConfig

Array = np.ndarray


def double(params: Params) -> Params:
    """The parameters in float64. Called once before many calls, it saves their time."""
    if isinstance(params, Mapping):
        return {name: double(part) for name, part in params.items()}
    return np.asarray(params, np.float64)


def softmax(x: Float[Array, "*B S"]) -> Float[Array, "*B S"]:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(x: Float[Array, "*B V"]) -> Float[Array, "*B V"]:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def layer_norm(x: Float[Array, "T D"], p: Params) -> Float[Array, "T D"]:
    """Ba et al. 2016, with Flax's ε of 1e-6 under the root."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return p["scale"] * (x - mean) / np.sqrt(variance + 1e-6) + p["bias"]


def angles(length: int, dim: int) -> Float[Array, "T half"]:
    """t / 10000^(2i / dim) for each position t and each pair of dimensions i."""
    rates = 10_000.0 ** (np.arange(0, dim, 2) / dim)
    return np.arange(length)[:, None] / rates


def rotated(x: Float[Array, "N T H"]) -> Float[Array, "N T H"]:
    """Su et al. 2021, equation 34: pairs as complex numbers, times e^(i angle)."""
    pairs = x[..., 0::2] + 1j * x[..., 1::2]
    pairs = pairs * np.exp(1j * angles(*x.shape[1:]))
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)


def heads(x: Float[Array, "T D"], p: Params) -> Float[Array, "N T H"]:
    """x W of every head."""
    return np.tensordot(x, p["kernel"], axes=1).swapaxes(0, 1)


def unrotated(x: Float[Array, "N T H"]) -> Float[Array, "N T H"]:
    return x


def attention(
    queries: Float[Array, "T D"],
    memory: Float[Array, "S D"],
    p: Params,
    visible: Bool[Array, "T S"],
    turn: Callable[[Float[Array, "N T H"]], Float[Array, "N T H"]] = unrotated,
) -> Float[Array, "T D"]:
    """Section 3.2 of the paper: equation 1 in every head, then W^O."""
    Q, K = turn(heads(queries, p["query"])), turn(heads(memory, p["key"]))
    scores = Q @ K.swapaxes(1, 2) / np.sqrt(Q.shape[-1])
    mixture = softmax(np.where(visible, scores, -inf)) @ heads(memory, p["value"])
    return np.tensordot(mixture.swapaxes(0, 1), p["output"]["kernel"], axes=2)


def self_attention(
    cfg: ModelConfig,
    x: Float[Array, "T D"],
    p: Params,
    visible: Bool[Array, "T T"],
) -> Float[Array, "T D"]:
    turn = rotated if cfg.positions == "rotary" else unrotated
    return attention(x, x, p, visible, turn)


def feed_forward(
    cfg: ModelConfig, x: Float[Array, "T D"], p: Params
) -> Float[Array, "T D"]:
    """Equation 2 of the paper, or equation 6 of Shazeer 2020 (no biases)."""
    hidden = x @ p["hidden"]["kernel"]
    if cfg.activation == "swiglu":
        gate = x @ p["gate"]["kernel"]
        return (gate / (1 + np.exp(-gate)) * hidden) @ p["output"]["kernel"]
    hidden = hidden + p["hidden"]["bias"]
    if cfg.activation == "relu":
        hidden = np.maximum(0, hidden)
    else:  # gelu: Hendrycks and Gimpel 2016, section 2, with tanh
        cubic = hidden + 0.044715 * hidden**3
        hidden = hidden / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * cubic))
    return hidden @ p["output"]["kernel"] + p["output"]["bias"]


def residual(
    cfg: ModelConfig,
    x: Float[Array, "T D"],
    part: Callable[[Float[Array, "T D"]], Float[Array, "T D"]],
    norm: Params,
) -> Float[Array, "T D"]:
    """LayerNorm(x + Sublayer(x)), section 3.1, or x + Sublayer(LayerNorm(x))."""
    if cfg.norm == "post":
        return layer_norm(x + part(x), norm)
    return x + part(layer_norm(x, norm))


def embed(
    cfg: ModelConfig, tokens: Sequence[int], p: Params, side: str
) -> Float[Array, "T D"]:
    """Section 3.4 with its factor √D, plus the positions of section 3.5 if added."""
    own = side == "source" and cfg.source_vocab_size is not None
    table = p["source_embedding" if own else "embedding"]["table"]
    x = table[list(tokens)] * np.sqrt(cfg.dim)
    if cfg.positions == "learned":
        last = cfg.max_positions - 1
        x = x + p[f"{side}_positions"]["table"][np.arange(len(x)).clip(max=last)]
    if cfg.positions == "sinusoidal":
        waves = angles(len(x), cfg.dim)
        x[:, 0::2] += np.sin(waves)
        x[:, 1::2] += np.cos(waves)
    return x


def encode(
    cfg: ModelConfig, params: Params, source: Sequence[int]
) -> Float[Array, "S D"]:
    """What the decoder sees of a source, whose ids end with EOS."""
    p = double(params)["params"]
    x = embed(cfg, source, p, "source")
    everything = np.ones((len(x), len(x)), bool)
    for number in range(cfg.encoder_layers):
        layer = p[f"encoder_{cfg.owner(number)}"]
        look = partial(self_attention, cfg, p=layer["attention"], visible=everything)
        x = residual(cfg, x, look, layer["attention_norm"])
        think = partial(feed_forward, cfg, p=layer["feed_forward"])
        x = residual(cfg, x, think, layer["feed_forward_norm"])
    return x if cfg.norm == "post" else layer_norm(x, p["encoder_norm"])


def decode(
    cfg: ModelConfig,
    params: Params,
    memory: Float[Array, "S D"],
    prefix: Sequence[int],
) -> Float[Array, "T D"]:
    """States after each token of a prefix, which begins with BOS."""
    p = double(params)["params"]
    x = embed(cfg, prefix, p, "target")
    past = np.tri(len(x), dtype=bool)
    everything = np.ones((len(x), len(memory)), bool)
    for number in range(cfg.decoder_layers):
        layer = p[f"decoder_{cfg.owner(number)}"]
        look = partial(self_attention, cfg, p=layer["attention"], visible=past)
        x = residual(cfg, x, look, layer["attention_norm"])
        read = partial(
            attention, memory=memory, p=layer["cross_attention"], visible=everything
        )
        x = residual(cfg, x, read, layer["cross_norm"])
        think = partial(feed_forward, cfg, p=layer["feed_forward"])
        x = residual(cfg, x, think, layer["feed_forward_norm"])
    return x if cfg.norm == "post" else layer_norm(x, p["decoder_norm"])


def log_probs(
    cfg: ModelConfig,
    params: Params,
    memory: Float[Array, "S D"],
    prefix: Sequence[int],
) -> Float[Array, "T V"]:
    """Of what follows each token of a prefix, which begins with BOS."""
    return projected(params, decode(cfg, params, memory, prefix))


def projected(params: Params, states: Float[Array, "T D"]) -> Float[Array, "T V"]:
    """Section 3.4: the rows of the embedding are also those of the projection."""
    return log_softmax(states @ double(params["params"]["embedding"]["table"]).T)
