"""Cross-entropy against smoothed targets, plain and fused with the projection.

The plain form gives one number a token and is the definition. The fused form never
holds the scores of all tokens at once: it computes the loss of a chunk of tokens, and
in the same pass the gradients of states and table, which for a sum of losses need
nothing from later on. So memory does not grow with vocabulary × tokens, and the softmax
is computed once.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from transformer import backend, products
from transformer.symbols import PAD

SCORES = 2**23
"""Most scores that exist at the same time: 32 MiB, about what a cache may hold. A GPU
is faster with four times as many (benchmarks/RESULTS.md)."""


def token_losses(
    logits: Float[Array, "*B V"], targets: Int[Array, "*B"], smoothing: float
) -> Float[Array, "*B"]:
    """Cross-entropy in nats of each token against (1 - ε) onehot + ε uniform.

    Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.
    """
    log_probs = jax.nn.log_softmax(logits)
    hit = jnp.take_along_axis(log_probs, targets[..., None], axis=-1)[..., 0]
    return -(1 - smoothing) * hit - smoothing * log_probs.mean(axis=-1)


class Criterion(NamedTuple):
    """What is asked of a prediction."""

    smoothing: float
    consistency: float = 0.0
    """The weight of how far two predictions of a token are apart."""


def projected_loss(
    states: Float[Array, "n P D"],
    table: Float[Array, "V D"],
    targets: Int[Array, " n"],
    criterion: Criterion,
) -> Float[Array, ""]:
    """The sum over tokens that are not PAD of what P predictions of each cost.

    That is the mean of their `token_losses(states @ table.T, targets, smoothing)`. With
    `consistency` two of them, made with other dropout, also cost a quarter of it times
    KL(p‖q) + KL(q‖p) of their distributions: half of what Liang et al. 2021, "R-Drop",
    minimise (equation 4, with its α), and so one loss in size.
    """
    _, passes, width = states.shape
    if passes == 1:  # as in evaluation: there is nothing to be consistent with
        criterion = criterion._replace(consistency=0.0)
    labels = jnp.repeat(targets, passes)
    total: Any = _fused(criterion, states.reshape(-1, width), table, labels)
    return total / passes


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fused(criterion, states, table, targets):
    def add(total, chunk):
        x, labels = chunk
        loss, _ = _chunk_loss(criterion, x, labels, narrow)
        return total + loss, None

    narrow = table.astype(states.dtype)  # once, not in every chunk
    chunks = _chunks(states, targets, len(table))
    total, _ = jax.lax.scan(add, jnp.zeros(()), chunks)
    return total - criterion.smoothing * _mean_scores(states, table, targets)


def _forward(criterion, states, table, targets):
    """The loss, and its gradients in the same pass.

    The table's gradient is summed transposed: with the long axis last, XLA:CPU's
    product is a quarter faster.
    """

    def add(carry, chunk):
        total, table_grad = carry
        x, labels = chunk
        loss, score_grads = _chunk_loss(criterion, x, labels, narrow)
        x_grad = products.multiply(score_grads, narrow)
        table_grad += products.outer_sum(x, score_grads, jnp.float32)
        return (total + loss, table_grad), x_grad

    narrow = table.astype(states.dtype)  # once, not in every chunk
    start = jnp.zeros(()), jnp.zeros(table.T.shape, jnp.float32)
    chunks = _chunks(states, targets, len(table))
    (total, table_grad), x_grads = jax.lax.scan(add, start, chunks)
    total -= criterion.smoothing * _mean_scores(states, table, targets)
    states_grad = x_grads.reshape(-1, states.shape[-1])[: len(states)]  # unchunked
    return total, (states_grad, table_grad.T.astype(table.dtype))


def _backward(criterion, gradients, outer):
    del criterion
    states_grad, table_grad = gradients
    return (states_grad * outer).astype(states_grad.dtype), table_grad * outer, None


_fused.defvjp(_forward, _backward)


def _chunks(
    states: Float[Array, "n D"], targets: Int[Array, " n"], vocabulary: int
) -> tuple[Float[Array, "c m D"], Int[Array, "c m"]]:
    """Equal chunks of a limited number of scores, the last filled up with PAD.

    Their size is even, so that two predictions of a token stay together.
    """
    n, width = states.shape
    most = SCORES if backend.on_cpu() else 4 * SCORES
    count = -(-n * vocabulary // most)
    size = 2 * -(-n // (2 * count))
    missing = count * size - n
    states = jnp.pad(states, ((0, missing), (0, 0)))
    targets = jnp.pad(targets, (0, missing), constant_values=PAD)
    return states.reshape(count, size, width), targets.reshape(count, size)


def _chunk_loss(
    criterion: Criterion,
    x: Float[Array, "n D"],
    targets: Int[Array, " n"],
    table: Float[Array, "V D"],
) -> tuple[Float[Array, ""], Float[Array, "n V"]]:
    """The summed loss, and its gradient by the scores: softmax minus smoothed target.

    The loss lacks `smoothing` times the mean scores, which `_mean_scores` gives without
    reading all scores once more. The scores of the targets are made from their rows, so
    that the powers can take the place of the scores.
    """
    smoothing, consistency = criterion
    scores = products.multiply_rows(x, table, jnp.float32)
    real = targets != PAD
    highest = scores.max(axis=-1)
    powers = jnp.exp(scores - highest[:, None])
    total = powers.sum(axis=-1)
    rows = table[targets]
    chosen = jnp.einsum("nD,nD->n", x, rows, preferred_element_type=jnp.float32)
    losses = highest + jnp.log(total) - (1 - smoothing) * chosen
    hit = targets[:, None] == jax.lax.broadcasted_iota(targets.dtype, scores.shape, 1)
    uniform = smoothing / scores.shape[-1]
    smoothed = jnp.where(hit, 1 - smoothing + uniform, uniform)
    probs = powers * (1 / total)[:, None]
    gradient = probs - smoothed
    if consistency:
        log_probs = scores - (highest + jnp.log(total))[:, None]
        apart, apart_gradient = _divergence(probs, log_probs)
        losses += consistency / 4 * apart
        gradient += consistency / 2 * apart_gradient
    gradient = jnp.where(real[:, None], gradient, 0).astype(x.dtype)
    return losses.sum(where=real), gradient


def _divergence(
    probs: Float[Array, "n V"], log_probs: Float[Array, "n V"]
) -> tuple[Float[Array, " n"], Float[Array, "n V"]]:
    """KL(p‖q) + KL(q‖p) of rows 2i and 2i + 1, at both, and its gradient by scores.

    With w = log p - log q that is Σ (p - q) w, and the gradient by the scores of p is
    p (w - Σ p w) + p - q.
    """

    def exchanged(x: Float[Array, "n V"]) -> Float[Array, "n V"]:
        return x.reshape(-1, 2, x.shape[-1])[:, ::-1].reshape(x.shape)

    differences = probs - exchanged(probs)
    ratios = log_probs - exchanged(log_probs)
    mean = (probs * ratios).sum(axis=-1, keepdims=True)
    gradient = probs * (ratios - mean) + differences
    return (differences * ratios).sum(axis=-1), gradient


def _mean_scores(
    states: Float[Array, "n D"], table: Float[Array, "V D"], targets: Int[Array, " n"]
) -> Float[Array, ""]:
    """The sum over real tokens of the mean of their scores."""
    real = (targets != PAD)[:, None]
    return states.sum(axis=0, dtype=jnp.float32, where=real) @ table.mean(axis=0)
