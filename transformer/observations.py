"""The network, watched at work: what its modules take and return on the way.

    memory, read = encoder(model, params, source)
    log_probs, written = decoder(model, params, shifted(target), memory)

It is the network that translates, its modules and parameters: Linen hands over what
passes between them. The only thing computed beside it are the weights of attention,
which `attend` drops, or never has where a kernel fuses it, from the same queries and
keys. Who does not watch pays nothing.
"""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from transformer import attention
from transformer.attention import KeyValues, MultiHeadAttention
from transformer.axes import Params
from transformer.embeddings import Embedding
from transformer.layers import DecoderLayer, EncoderLayer, Layout
from transformer.model import Memory, Transformer
from transformer.norms import LayerNorm
from transformer.positions import Learned, Sinusoidal, Unadded


class Stack(NamedTuple):
    """What passed through the encoder or the decoder; on the device, or in NumPy."""

    embeddings: Float[Any, "B T D"]
    """Rows of the table, scaled by √D: what a token is, wherever it stands."""
    inputs: Float[Any, "B T D"]
    """With positions, where they are added; what the first layer reads."""
    layers: Float[Any, "L B T D"]
    """What each layer returns."""
    output: Float[Any, "B T D"]
    """What leaves the stack: in a pre-norm network, the last layer's, normalised."""
    attention: Float[Any, "L B N T T"]
    """How each position looks at those of its own side; rows sum to 1."""
    cross: Float[Any, "L B N T S"] | None
    """How each looks at the source; None in the encoder."""


@partial(jax.jit, static_argnames="model")
def encoder(
    model: Transformer,
    params: Params,
    source: Int[Array, "B S"],
    layout: Layout | None = None,
) -> tuple[Memory, Stack]:
    """Reads sources that end in PAD; with a layout, as `Transformer.encode`."""
    watch = _Watch()
    with nn.intercept_methods(watch):
        memory: Any = model.apply(params, source, layout, train=False, method="encode")
    return memory, watch.stack()


@partial(jax.jit, static_argnames="model")
def decoder(
    model: Transformer, params: Params, target: Int[Array, "B T"], memory: Memory
) -> tuple[Float[Array, "B T V"], Stack]:
    """Log-probabilities of what follows each prefix of targets that begin with BOS."""
    watch = _Watch()
    with nn.intercept_methods(watch):
        logits: Any = model.apply(params, target, memory, train=False, method="decode")
    return jax.nn.log_softmax(logits), watch.stack()


class _Watch:
    """Keeps what modules return, by what it is, in the order of the calls."""

    def __init__(self) -> None:
        self.notes: dict[str, list[Array]] = defaultdict(list)

    def __call__(
        self,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        found, module = call(*args, **kwargs), context.module
        if context.method_name == "__call__":
            self._note(module, args, found)
        return found

    def _note(self, module: nn.Module, args: tuple[Any, ...], found: Any) -> None:
        match module:
            case Embedding():
                self.notes["embeddings"].append(found)
            case Sinusoidal() | Learned() | Unadded():
                self.notes["inputs"].append(found)
            case EncoderLayer():
                self.notes["layers"].append(found)
            case DecoderLayer():
                self.notes["layers"].append(found[0])
            case LayerNorm() if len(module.path) == 1:  # in no layer
                self.notes["output"].append(found)
            case MultiHeadAttention():
                self.notes[module.path[-1]].append(_weights(module, *args))

    def stack(self) -> Stack:
        (embeddings,), (inputs,) = self.notes["embeddings"], self.notes["inputs"]
        layers, cross = self.notes["layers"], self.notes["cross_attention"]
        return Stack(
            embeddings,
            inputs,
            jnp.stack(layers),
            [*layers, *self.notes["output"]][-1],
            jnp.stack(self.notes["attention"]),
            jnp.stack(cross) if cross else None,
        )


def _weights(
    module: MultiHeadAttention,
    x: Float[Array, "B T D"],
    kv: KeyValues,
    mask: Bool[Array, "#B #T S"],
    positions: Int[Array, "B T"],
) -> Float[Array, "B N T S"]:
    """Those that the module's call mixes the values with."""
    query = module.rotation(module.query(x), positions)
    return attention.weights(query, kv.key, mask)
