"""A model as the engine sees it: memory, cache and step, one row a sentence."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Int

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
