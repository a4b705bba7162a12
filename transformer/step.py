"""One update: a pure function of the state and a batch."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, Key

from transformer import backend, losses, masks, parallel
from transformer.axes import Params
from transformer.batches import Batch
from transformer.layers import Layout
from transformer.losses import Criterion
from transformer.model import Transformer
from transformer.symbols import PAD

Metrics = dict[str, Array]


class Objective(NamedTuple):
    """What is to be minimised, and on which devices."""

    model: Transformer
    criterion: Criterion
    mesh: Mesh

    @property
    def passes(self) -> int:
        """How often training reads a batch, each time with other dropout."""
        return 2 if self.criterion.consistency else 1


class TrainState(NamedTuple):
    """All that changes in training: arrays only."""

    step: Int[Array, ""]
    params: Params
    opt_state: optax.OptState
    key: Key[Array, ""]
    """Never changes: step i draws from `fold_in(key, i)`."""
    skipped: Int[Array, ""]
    """Updates left out because something was not finite."""
    skipped_in_a_row: Int[Array, ""]


def initial_state(
    model: Transformer, optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """Random parameters; the same on every machine."""
    init_key, key = jax.random.split(jax.random.key(seed))
    tokens = jnp.zeros((1, 1), jnp.int32)
    params = model.init(init_key, tokens, tokens, train=False)
    zero = jnp.zeros((), jnp.int32)
    return TrainState(zero, params, optimizer.init(params), key, zero, zero)


def loss_sum(
    objective: Objective,
    params: Params,
    part: Batch,
    key: Key[Array, ""] | None = None,
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The summed loss of a part, whose arrays are "B T", and its target tokens.

    With a `key` as in training, with dropout; without as in evaluation.
    """
    model, criterion, mesh = objective
    passes = 1 if key is None else objective.passes
    source, target = parallel.repeated(mesh, (part.source, part.target), passes)
    labels = part.labels
    rngs = {} if key is None else {"dropout": key}
    apply: Any = partial(model.apply, params, train=key is not None, rngs=rngs)
    itself = masks.segments(source.segments, source.segments)
    layout = Layout(source.positions, itself)
    memory = apply(source.tokens, layout, method="encode")
    memory = memory._replace(mask=masks.segments(target.segments, source.segments))
    itself = masks.segments(target.segments, target.segments)
    layout = Layout(target.positions, itself & masks.causal(labels.shape[1]))
    states = apply(target.tokens, memory, layout, method="states")
    table = params["params"]["embedding"]["table"]

    def of_group(states: Float[Array, "n P D"], labels: Int[Array, " n"]) -> Array:
        return losses.projected_loss(states, table, labels, criterion)

    # The loss knows tokens, not sentences; each device adds up those it holds.
    groups, width = parallel.groups(mesh), states.shape[-1]
    rows = states.reshape(-1, passes, labels.shape[1], width).swapaxes(1, 2)
    grouped = rows.reshape(groups, -1, passes, width)
    loss = jax.vmap(of_group)(grouped, labels.reshape(groups, -1)).sum()
    return loss, (labels != PAD).sum()


def gradients(
    objective: Objective, state: TrainState, batch: Batch
) -> tuple[Params, Float[Array, ""], Int[Array, ""]]:
    """Of the loss summed over all parts of a batch; also that sum, and its tokens."""
    gradient = jax.value_and_grad(partial(loss_sum, objective), has_aux=True)
    params = parallel.gather(objective.mesh, state.params)
    key = jax.random.fold_in(state.key, state.step)

    def add(total, numbered_part):
        number, part = numbered_part
        (loss, tokens), grads = gradient(params, part, jax.random.fold_in(key, number))
        grads = parallel.tables_whole(objective.mesh, grads)
        return jax.tree.map(jnp.add, total, (grads, loss, tokens)), None

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    parts = jnp.arange(batch.labels.shape[0]), batch
    start = zeros, jnp.zeros(()), jnp.zeros((), jnp.int32)
    return jax.lax.scan(add, start, parts)[0]


def train_step(
    objective: Objective,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    batch: Batch,
) -> tuple[TrainState, Metrics]:
    """One update, left out if the loss or a gradient is not finite."""
    sums, loss, tokens = gradients(objective, state, batch)
    count = jnp.maximum(tokens, 1)
    loss, norm = loss / count, optax.tree.norm(sums) / count
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)

    def learn(sums: Params, params: Params, opt_state: optax.OptState) -> Any:
        grads = jax.tree.map(lambda g: g / count, sums)
        update = optax.with_extra_args_support(optimizer).update
        updates, opt_state = update(grads, opt_state, params, norm=norm)
        return optax.apply_updates(params, updates), opt_state

    old = state.params, state.opt_state
    params, opt_state = _learnt(learn, finite, sums, *old)
    skipped = state.skipped + ~finite
    in_a_row = jnp.where(finite, 0, state.skipped_in_a_row + 1)
    new_state = TrainState(
        state.step + 1, params, opt_state, state.key, skipped, in_a_row
    )
    metrics = {"loss": loss, "gradient norm": norm, "tokens": tokens}
    return new_state, metrics | {"skipped": skipped, "skipped in a row": in_a_row}


def _learnt(
    learn: Callable[..., Any],
    finite: Bool[Array, ""],
    sums: Params,
    *old: Any,
) -> tuple[Params, optax.OptState]:
    """`learn(sums, *old)` if all is finite, and else the old parameters and moments.

    A choice between values makes XLA:CPU copy all moments before it writes new ones;
    a choice between branches would make other devices wait for the host.
    """
    if backend.on_cpu():
        return jax.lax.cond(finite, learn, lambda _, *old: old, sums, *old)
    return jax.tree.map(partial(jnp.where, finite), learn(sums, *old), old)
