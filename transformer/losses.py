"""Cross-entropy against smoothed targets, plain and fused with the projection.

The plain form gives one number a token and is the definition. The fused form never
holds the scores of all tokens at once: it computes the loss of a chunk of tokens, and
in the same pass the gradients of states and table, which for a sum of losses need
nothing from later on. So memory does not grow with vocabulary × tokens, and the softmax
is computed once.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from transformer.symbols import PAD

SCORES = 2**23
"""Most scores that exist at the same time: 32 MiB, about what a cache may hold."""


def token_losses(
    logits: Float[Array, "*B V"], targets: Int[Array, "*B"], smoothing: float
) -> Float[Array, "*B"]:
    """Cross-entropy in nats of each token against (1 - ε) onehot + ε uniform.

    Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.
    """
    log_probs = jax.nn.log_softmax(logits)
    hit = jnp.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]
    return -(1 - smoothing) * hit - smoothing * log_probs.mean(axis=-1)


def projected_loss(
    states: Float[Array, "n D"],
    table: Float[Array, "V D"],
    targets: Int[Array, " n"],
    smoothing: float,
) -> Float[Array, ""]:
    """The sum of `token_losses(states @ table.T, targets, smoothing)` where not PAD."""
    return _fused(smoothing, states, table, targets)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fused(smoothing, states, table, targets):
    def add(total, chunk):
        x, labels = chunk
        loss, _ = _chunk_loss(smoothing, x, labels, table)
        return total + loss, None

    chunks = _chunks(states, targets, len(table))
    total, _ = jax.lax.scan(add, jnp.zeros(()), chunks)
    return total - smoothing * _mean_scores(states, table, targets)


def _forward(smoothing, states, table, targets):
    """The loss, and its gradients in the same pass.

    The table's gradient is summed transposed: with the long axis last, XLA:CPU's
    product is a quarter faster.
    """

    def add(carry, chunk):
        total, table_grad = carry
        x, labels = chunk
        loss, score_grads = _chunk_loss(smoothing, x, labels, table)
        x_grad = jnp.einsum("nV,VD->nD", score_grads, table.astype(x.dtype))
        table_grad += jnp.einsum(
            "nD,nV->DV", x, score_grads, preferred_element_type=jnp.float32
        )
        return (total + loss, table_grad), x_grad

    start = jnp.zeros(()), jnp.zeros(table.T.shape, jnp.float32)
    chunks = _chunks(states, targets, len(table))
    (total, table_grad), x_grads = jax.lax.scan(add, start, chunks)
    total -= smoothing * _mean_scores(states, table, targets)
    states_grad = x_grads.reshape(-1, states.shape[-1])[: len(states)]  # unchunked
    return total, (states_grad, table_grad.T.astype(table.dtype))


def _backward(smoothing, gradients, outer):
    del smoothing
    states_grad, table_grad = gradients
    return (states_grad * outer).astype(states_grad.dtype), table_grad * outer, None


_fused.defvjp(_forward, _backward)


def _chunks(
    states: Float[Array, "n D"], targets: Int[Array, " n"], vocabulary: int
) -> tuple[Float[Array, "c m D"], Int[Array, "c m"]]:
    """Equal chunks of at most `SCORES` scores, the last filled up with PAD."""
    n, width = states.shape
    count = -(-n * vocabulary // SCORES)
    size = -(-n // count)
    missing = count * size - n
    states = jnp.pad(states, ((0, missing), (0, 0)))
    targets = jnp.pad(targets, (0, missing), constant_values=PAD)
    return states.reshape(count, size, width), targets.reshape(count, size)


def _chunk_loss(
    smoothing: float,
    x: Float[Array, "n D"],
    targets: Int[Array, " n"],
    table: Float[Array, "V D"],
) -> tuple[Float[Array, ""], Float[Array, "n V"]]:
    """The summed loss, and its gradient by the scores: softmax minus smoothed target.

    The loss lacks `smoothing` times the mean scores, which `_mean_scores` gives without
    reading all scores once more. The scores of the targets are made from their rows, so
    that the powers can take the place of the scores.
    """
    scores = _scores(x, table)
    real = targets != PAD
    highest = scores.max(axis=-1)
    powers = jnp.exp(scores - highest[:, None])
    total = powers.sum(axis=-1)
    rows = table[targets].astype(x.dtype)
    chosen = jnp.einsum("nD,nD->n", x, rows, preferred_element_type=jnp.float32)
    losses = highest + jnp.log(total) - (1 - smoothing) * chosen
    hit = targets[:, None] == jax.lax.broadcasted_iota(targets.dtype, scores.shape, 1)
    uniform = smoothing / scores.shape[-1]
    smoothed = jnp.where(hit, 1 - smoothing + uniform, uniform)
    gradient = powers * (1 / total)[:, None] - smoothed
    gradient = jnp.where(real[:, None], gradient, 0).astype(x.dtype)
    return losses.sum(where=real), gradient


def _mean_scores(
    states: Float[Array, "n D"], table: Float[Array, "V D"], targets: Int[Array, " n"]
) -> Float[Array, ""]:
    """The sum over real tokens of the mean of their scores."""
    real = (targets != PAD)[:, None]
    return states.sum(axis=0, dtype=jnp.float32, where=real) @ table.mean(axis=0)


def _scores(x: Float[Array, "n D"], table: Float[Array, "V D"]) -> Float[Array, "n V"]:
    table = table.astype(x.dtype)
    return jnp.einsum("nD,VD->nV", x, table, preferred_element_type=jnp.float32)
