"""A model as the engine sees it: memory, cache and step, one row a sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from transformer import attention, backend
from transformer.axes import Params
from transformer.errors import InputError
from transformer.linear import by_rows
from transformer.model import Transformer, memory_for_steps, reordered
from transformer.search import Cache, Step, Worth, gather

Memory = Any
"""What is known of the sources; leaves "B …"."""


@runtime_checkable
class Network(Protocol):
    """Scores the next tokens of hypotheses. Hashable, and without parameters."""

    def encode(self, params: Params, source: Int[Array, "B S"]) -> Memory: ...

    def step(self, params: Params, memory: Memory) -> Step: ...

    def cache(self, memory: Memory, width: int, length: int) -> Cache: ...

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache: ...


@dataclass(frozen=True)
class Alone:
    """One model."""

    model: Transformer

    def encode(self, params: Params, source: Int[Array, "B S"]) -> Memory:
        memory: Any = self.model.apply(params, source, train=False, method="encode")
        return memory_for_steps(memory)

    def step(self, params: Params, memory: Memory) -> Step:
        def step(tokens, position, cache):
            return self.model.apply(
                params, tokens, position, cache, memory, method="decode_step"
            )

        return step

    def cache(self, memory: Memory, width: int, length: int) -> Cache:
        return self.model.empty_cache(memory.mask.shape[0], width, length)

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache:
        return reordered(cache, parents)


@dataclass(frozen=True)
class Watching(Alone):
    """One model, and how much of the source each hypothesis has looked at.

    The attention of the last decoder layer, the mean of its heads. The network computes
    with its weights but keeps none, so they are computed again from what it does keep.
    """

    def step(self, params: Params, memory: Memory) -> Step:
        cfg = self.model.cfg
        layer = f"decoder_{cfg.owner(cfg.decoder_layers - 1)}"
        unseen = jnp.where(memory.mask, 0.0, 1.0)  # there is no need to look at PAD
        key = memory.layers[-1].key.transpose(0, 3, 1, 2)

        def wanted(module: nn.Module, method: str) -> bool:
            del method
            return module.path == (layer, "cross_attention", "query")

        def step(tokens, position, cache):
            past, seen = cache
            args = params, tokens, position, past, memory
            found: Any = self.model.apply(
                *args,
                method="decode_step",
                capture_intermediates=wanted,
                mutable="intermediates",
            )
            (logits, past), inner = found
            inner = inner["intermediates"][layer]["cross_attention"]
            *_, query = inner["query"]["__call__"]  # of the last use of the layer
            look = attention.weights(query, key, memory.mask).mean(axis=1)
            seen = jnp.where(position[:, None, None] == 0, unseen, seen)
            return logits, (past, seen + look)

        return step

    def cache(self, memory: Memory, width: int, length: int) -> Cache:
        past = super().cache(memory, width, length)
        seen = jnp.zeros((memory.mask.shape[0], width, memory.mask.shape[-1]))
        return past, seen

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache:
        past, seen = cache
        return super().reordered(past, parents), gather(seen, parents)

    def gaps(self, cache: Cache) -> Float[Array, "B K"]:
        """Wu et al. 2016, equation 14: below 0 if parts of the source were not seen."""
        _, seen = cache
        return jnp.log(jnp.clip(seen, 1e-9, 1.0)).sum(axis=-1)


def penalised(network: Network, coverage: float) -> tuple[Network, Worth | None]:
    """What keeps count of what it looks at, and GNMT's coverage penalty of that weight.

    Without a weight, the network as it is. Raises `InputError` for several models.
    """
    if not coverage:
        return network, None
    if not isinstance(network, Alone):
        raise InputError("A coverage penalty takes one model, not several.")
    watching = Watching(network.model)
    return watching, lambda cache: coverage * watching.gaps(cache)


@dataclass(frozen=True)
class Alike:
    """Several trainings of one model, as one program: parameters are stacked, "M …".

    The next token's probability is the mean of theirs.
    """

    model: Transformer
    count: int

    def encode(self, params: Params, source: Int[Array, "B S"]) -> Memory:
        encode = jax.vmap(Alone(self.model).encode, in_axes=(0, None), out_axes=1)
        return encode(params, source)

    def step(self, params: Params, memory: Memory) -> Step:
        def one(params, memory, tokens, position, cache):
            return Alone(self.model).step(params, memory)(tokens, position, cache)

        every = jax.vmap(one, in_axes=(0, 1, None, None, 1), out_axes=(0, 1))

        def step(tokens, position, cache):
            logits, cache = every(params, memory, tokens, position, cache)
            return _mean(logits), cache

        return step

    def cache(self, memory: Memory, width: int, length: int) -> Cache:
        one = self.model.empty_cache(memory.mask.shape[0], width, length)
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.count, axis=1), one)

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache:
        return jax.vmap(reordered, in_axes=(1, None), out_axes=1)(cache, parents)


@dataclass(frozen=True)
class Mixed:
    """Several models of one vocabulary; parameters are a tuple of theirs.

    The next token's probability is the mean of theirs.
    """

    members: tuple[Network, ...]

    def encode(self, params: Params, source: Int[Array, "B S"]) -> Memory:
        both = zip(self.members, params, strict=True)
        return tuple(member.encode(own, source) for member, own in both)

    def step(self, params: Params, memory: Memory) -> Step:
        each = zip(self.members, params, memory, strict=True)
        steps = [member.step(own, known) for member, own, known in each]

        def step(tokens, position, cache):
            pairs = zip(steps, cache, strict=True)
            found = [step(tokens, position, own) for step, own in pairs]
            logits, cache = zip(*found, strict=True)
            return _mean(jnp.stack(logits)), cache

        return step

    def cache(self, memory: Memory, width: int, length: int) -> Cache:
        both = zip(self.members, memory, strict=True)
        return tuple(member.cache(own, width, length) for member, own in both)

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache:
        pairs = zip(self.members, cache, strict=True)
        return tuple(member.reordered(own, parents) for member, own in pairs)


def ensemble(
    models: Sequence[Transformer], params: Sequence[Params]
) -> tuple[Network, Params]:
    """The network of several models, and its parameters."""
    both = zip(models, params, strict=True)
    params = [_ready(model.dtype, own) for model, own in both]
    first = models[0]
    if len(models) == 1:
        return Alone(first), params[0]
    if all(model == first for model in models):
        return Alike(first, len(models)), jax.tree.map(_stacked, *params)
    return Mixed(tuple(map(Alone, models))), tuple(params)


@partial(jax.jit, static_argnums=0)
def _ready(dtype: DTypeLike, params: Params) -> Params:
    """Matrices as they are multiplied fastest, so that no step converts them."""
    ready = lambda leaf: leaf.astype(dtype) if leaf.ndim > 1 else leaf  # noqa: E731
    params = jax.tree.map(ready, params)
    return by_rows(params) if backend.on_cpu() else params


def _stacked(*leaves: Array) -> Array:
    return jnp.stack(leaves)


def _mean(logits: Float[Array, "M B K V"]) -> Float[Array, "B K V"]:
    """Logarithms of the mean of the probabilities."""
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
    return jax.nn.logsumexp(log_probs, axis=0) - math.log(len(logits))
