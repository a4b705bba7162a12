"""A model as the engine sees it: memory, cache and step, one row a sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from transformer.axes import Params
from transformer.model import Transformer, kept, reordered
from transformer.search import Cache, Step

Memory = Any
"""What is known of the sources; leaves "B …"."""


@runtime_checkable
class Network(Protocol):
    """Scores the next tokens of hypotheses. Hashable, and without parameters."""

    def encode(self, params: Params, source: Int[Array, "B S"]) -> Memory: ...

    def step(self, params: Params, memory: Memory) -> Step: ...

    def cache(self, rows: int, width: int, length: int) -> Cache: ...

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache: ...


@dataclass(frozen=True)
class Alone:
    """One model."""

    model: Transformer

    def encode(self, params: Params, source: Int[Array, "B S"]) -> Memory:
        memory: Any = self.model.apply(params, source, train=False, method="encode")
        return kept(memory)

    def step(self, params: Params, memory: Memory) -> Step:
        def step(tokens, position, cache):
            return self.model.apply(
                params, tokens, position, cache, memory, method="decode_step"
            )

        return step

    def cache(self, rows: int, width: int, length: int) -> Cache:
        return self.model.empty_cache(rows, width, length)

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache:
        return reordered(cache, parents)


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

    def cache(self, rows: int, width: int, length: int) -> Cache:
        one = self.model.empty_cache(rows, width, length)
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

    def cache(self, rows: int, width: int, length: int) -> Cache:
        return tuple(member.cache(rows, width, length) for member in self.members)

    def reordered(self, cache: Cache, parents: Int[Array, "B K"]) -> Cache:
        pairs = zip(self.members, cache, strict=True)
        return tuple(member.reordered(own, parents) for member, own in pairs)


def ensemble(
    models: Sequence[Transformer], params: Sequence[Params]
) -> tuple[Network, Params]:
    """The network of several models, and its parameters."""
    params = [_ready(model, own) for model, own in zip(models, params, strict=True)]
    first = models[0]
    if len(models) == 1:
        return Alone(first), params[0]
    if all(model == first for model in models):
        return Alike(first, len(models)), jax.tree.map(_stacked, *params)
    return Mixed(tuple(map(Alone, models))), tuple(params)


def _ready(model: Transformer, params: Params) -> Params:
    """Matrices in the type they are multiplied in, so that no step converts them."""
    ready = lambda leaf: leaf.astype(model.dtype) if leaf.ndim > 1 else leaf  # noqa: E731
    return jax.tree.map(ready, params)


def _stacked(*leaves: Array) -> Array:
    return jnp.stack(leaves)


def _mean(logits: Float[Array, "M B K V"]) -> Float[Array, "B K V"]:
    """Logarithms of the mean of the probabilities."""
    log_probs = jax.nn.log_softmax(logits.astype(jnp.float32))
    return jax.nn.logsumexp(log_probs, axis=0) - math.log(len(logits))
