"""The Transformer: sentences in, scores of the next token out.

    params = model.init(key, source, target, train=False)
    memory = model.apply(params, source, train=False, method="encode")
    logits = model.apply(params, target, memory, train=False, method="decode")

    memory, cache = memory_for_steps(memory), model.empty_cache(batch, count, length)
    logits, cache = model.apply(
        params, tokens, position, cache, memory, method="decode_step"
    )

`train` switches dropout on, and rematerialisation, where `remat` asks for it.

Parameters of the paper's models, with its shared vocabulary of V = 37,000 pieces and no
biases in attention (D width, F hidden width, L layers a side):

                                                             base      big
    embedding       V D                                      18.94 M    37.89 M
    encoder layer   4 D² + (2 D F + F + D) + 2 · 2 D       L 3.15 M   L 12.59 M
    decoder layer   8 D² + (2 D F + F + D) + 3 · 2 D       L 4.20 M   L 16.79 M
    total, L = 6                                             63.05 M   214.17 M

The paper's table 3 rounds these to 65 M and 213 M.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from transformer import backend, layers, masks, positions
from transformer.attention import KeyValues, StepKeyValues, for_steps
from transformer.config import ModelConfig
from transformer.dropout import Dropout
from transformer.embeddings import Embedding
from transformer.layers import Layout, Past
from transformer.norms import LayerNorm
from transformer.remat import Kind, rematerialised


class Memory(NamedTuple):
    """What the decoder sees of the source: keys and values for each of its layers."""

    layers: tuple[KeyValues, ...]
    mask: Bool[Array, "#B #T S"]


class StepMemory(NamedTuple):
    """The same, its keys and values laid out for steps of one token."""

    layers: tuple[StepKeyValues, ...]
    mask: Bool[Array, "#B #T S"]


class Cache(NamedTuple):
    """The decoder's past: what the K hypotheses of a sentence wrote, step by step.

    Slot t K + k holds what hypothesis k wrote at step t; it stays there. When
    hypotheses change places, only the note of who descends from whom does.
    """

    layers: tuple[StepKeyValues, ...]
    ancestors: Int[Array, "B K T"]
    """Which hypothesis of step t each hypothesis goes back to."""


def memory_for_steps(memory: Memory) -> StepMemory:
    """The memory as `decode_step` takes it."""
    return StepMemory(tuple(for_steps(kv) for kv in memory.layers), memory.mask)


def reordered(cache: Cache, parents: Int[Array, "B K"]) -> Cache:
    """The cache when each hypothesis goes on from that of its parent."""
    pick = jax.vmap(lambda ancestors, parents: ancestors[parents])
    return cache._replace(ancestors=pick(cache.ancestors, parents))


def _layer_classes(cfg: ModelConfig) -> tuple[type[nn.Module], type[nn.Module]]:
    if cfg.norm == "pre":
        return layers.PreNormEncoderLayer, layers.PreNormDecoderLayer
    return layers.PostNormEncoderLayer, layers.PostNormDecoderLayer


def _final_norm(cfg: ModelConfig, dtype: DTypeLike) -> Callable[[Array], Array]:
    """A pre-norm stack leaves its sum unnormalised; a post-norm one does not."""
    return LayerNorm(dtype=dtype) if cfg.norm == "pre" else lambda x: x


def _position_module(cfg: ModelConfig) -> nn.Module:
    match cfg.positions:
        case "sinusoidal":
            return positions.Sinusoidal(cfg.dim)
        case "learned":
            return positions.Learned(cfg.dim, cfg.max_positions)
        case "rotary":
            return positions.Unadded()


def _count(tokens: Int[Array, "B T"]) -> Int[Array, "B T"]:
    """Positions 0, 1, 2, … in every row."""
    return jnp.broadcast_to(jnp.arange(tokens.shape[1])[None], tokens.shape)


def _own(
    layer: Callable[..., nn.Module], cfg: ModelConfig, dtype: DTypeLike, count: int
) -> list[nn.Module]:
    """Of so many layers those with parameters of their own."""
    return [layer(cfg, dtype) for _ in range(min(count, cfg.distinct_layers or count))]


def _in_turn(cfg: ModelConfig, own: Sequence[Any], count: int) -> list[Any]:
    """For each of so many layers that of its owner."""
    return [own[cfg.owner(number)] for number in range(count)]


def _keep_less(layer: nn.Module, kind: Kind, *args: Any, reused: bool) -> Any:
    """`layer(*args, train=True)`, whose gradient keeps less."""
    module, variables = layer.unbind()
    assert layer.scope is not None
    rngs: Any = layer.scope.rngs
    if reused and layer.has_rng("dropout"):  # or it would drop what its first use did
        rngs = {"dropout": layer.make_rng("dropout")}

    def run(variables: Any, rngs: Any, *args: Any) -> Any:
        return module.apply(variables, *args, train=True, rngs=rngs)

    return rematerialised(run, kind)(variables, rngs, *args)


class Transformer(nn.Module):
    """ "Attention Is All You Need", figure 1. Computes in `dtype`.

    Args:
        remat: what the backward pass computes again; see `TrainingConfig.remat`.
    """

    cfg: ModelConfig
    dtype: DTypeLike = jnp.float32
    remat: Literal["none", "dots", "layers"] = "none"

    def setup(self) -> None:
        cfg, dtype = self.cfg, self.dtype
        encoder_layer, decoder_layer = _layer_classes(cfg)
        self.embedding = Embedding(cfg.vocab_size, cfg.dim, dtype)
        if cfg.source_vocab_size is not None:
            self.source_embedding = Embedding(cfg.source_vocab_size, cfg.dim, dtype)
        self.source_positions = _position_module(cfg)
        self.target_positions = _position_module(cfg)
        self.encoder = _own(encoder_layer, cfg, dtype, cfg.encoder_layers)
        self.encoder_norm = _final_norm(cfg, dtype)
        self.decoder = _own(decoder_layer, cfg, dtype, cfg.decoder_layers)
        self.decoder_norm = _final_norm(cfg, dtype)
        self.dropout = Dropout(cfg.dropout)

    def __call__(
        self, source: Int[Array, "B S"], target: Int[Array, "B T"], *, train: bool
    ) -> Float[Array, "B T V"]:
        """Scores of the token after each prefix of `target`, given `source`."""
        return self.decode(target, self.encode(source, train=train), train=train)

    def encode(
        self,
        source: Int[Array, "B S"],
        layout: Layout | None = None,
        *,
        train: bool,
    ) -> Memory:
        """Reads the source. Without a layout, rows are sentences that end in PAD."""
        if layout is None:
            layout = Layout(_count(source), masks.padding(source))
        shared = self.cfg.source_vocab_size is None
        embedding = self.embedding if shared else self.source_embedding
        x = self.source_positions(embedding(source), layout.positions)
        x = self.dropout(x, train=train)
        stack = _in_turn(self.cfg, self.encoder, self.cfg.encoder_layers)
        for number, layer in enumerate(stack):
            x = self._run(number, layer, x, layout, train=train)
        x = self.encoder_norm(x)
        own = [layer.memory(x, layout.positions) for layer in self.decoder]
        kvs = _in_turn(self.cfg, own, self.cfg.decoder_layers)
        return Memory(tuple(kvs), layout.mask)

    def decode(
        self,
        target: Int[Array, "B T"],
        memory: Memory,
        layout: Layout | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B T V"]:
        """Scores of the token after each prefix of `target`, all at once.

        Without a layout, rows are sentences that begin with BOS and end in PAD.
        """
        return self.logits(self.states(target, memory, layout, train=train))

    def states(
        self,
        target: Int[Array, "B T"],
        memory: Memory,
        layout: Layout | None = None,
        *,
        train: bool,
    ) -> Float[Array, "B T D"]:
        """What `decode` projects onto the vocabulary: for a loss that fuses the two."""
        if layout is None:
            layout = Layout(_count(target), masks.causal(target.shape[1]))
        x, _ = self._decoder(target, memory, layout, train=train)
        return x

    def logits(self, states: Float[Array, "B T D"]) -> Float[Array, "B T V"]:
        return self.embedding.logits(states)

    def decode_step(
        self,
        tokens: Int[Array, "B K"],
        position: Int[Array, " B"],
        cache: Cache,
        memory: StepMemory,
    ) -> tuple[Float[Array, "B K V"], Cache]:
        """Scores of what follows `tokens`, which stand at `position` of their rows.

        The K hypotheses of a sentence are to attention what positions are: queries
        over the same keys, of which each sees its own.
        """
        batch, count = tokens.shape
        *_, length = cache.ancestors.shape
        now = jnp.arange(length)[None, None] == position[:, None, None]
        itself = jnp.arange(count)[None, :, None]
        ancestors = jnp.where(now, itself, cache.ancestors)
        rows = jnp.broadcast_to(position[:, None], tokens.shape)
        layout = Layout(rows, masks.descent(ancestors, position))
        pasts = tuple(Past(kv, position * count) for kv in cache.layers)
        x, kvs = self._decoder(tokens, memory, layout, pasts, train=False)
        return self.logits(x), Cache(kvs, ancestors)

    def empty_cache(self, batch: int, count: int, length: int) -> Cache:
        """Room for `length` steps of `count` hypotheses; needs no parameters."""
        heads, width = self.cfg.num_heads, self.cfg.dim // self.cfg.num_heads
        slots = length * count
        empty = StepKeyValues(
            jnp.zeros((batch, heads, width, slots), backend.wide(self.dtype)),
            jnp.zeros((batch, heads, slots, width), backend.wide(self.dtype)),
        )
        ancestors = jnp.zeros((batch, count, length), jnp.int32)
        return Cache((empty,) * self.cfg.decoder_layers, ancestors)

    def _decoder(
        self,
        target: Int[Array, "B T"],
        memory: Memory | StepMemory,
        layout: Layout,
        pasts: tuple[Past | None, ...] | None = None,
        *,
        train: bool,
    ) -> tuple[Float[Array, "B T D"], tuple[Any, ...]]:
        x = self.target_positions(self.embedding(target), layout.positions)
        x = self.dropout(x, train=train)
        pasts = pasts or (None,) * self.cfg.decoder_layers
        stack, kvs = _in_turn(self.cfg, self.decoder, self.cfg.decoder_layers), []
        each = enumerate(zip(stack, memory.layers, pasts, strict=True))
        for number, (layer, kv, past) in each:
            args = x, layout, kv, memory.mask, past
            x, new = self._run(number, layer, *args, train=train)
            kvs.append(new)
        return self.decoder_norm(x), tuple(kvs)

    def _run(self, number: int, layer: nn.Module, *args: Any, train: bool) -> Any:
        """The one place where rematerialisation goes around the layers."""
        if self.remat == "none" or not train:
            return layer(*args, train=train)
        reused = number != self.cfg.owner(number)
        return _keep_less(layer, self.remat, *args, reused=reused)
