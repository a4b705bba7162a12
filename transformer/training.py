"""The training run: order, files and devices around the pure step."""

import logging
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from rich.console import Console

from transformer import (
    batches,
    devices,
    folder,
    optimizers,
    parallel,
    processes,
    weights,
)
from transformer.axes import Params
from transformer.batches import Batch
from transformer.checkpoints import Checkpoints, Items
from transformer.config import Config
from transformer.dataset import Dataset
from transformer.errors import InputError
from transformer.evaluation import Evaluator
from transformer.interrupts import Interrupts
from transformer.journal import Journal, Silence
from transformer.losses import Criterion
from transformer.model import Transformer
from transformer.pages.run import About
from transformer.progress import Progress
from transformer.step import Metrics, Objective, TrainState
from transformer.strategies import Beam
from transformer.tokenizer import Tokenizers
from transformer.update import Outcome, Update, abstract_state, first_state, fitting
from transformer.weights import NAME

log = logging.getLogger(__name__)

STATE = "training"
"""The item of every checkpoint that holds what only training needs."""

MOST_SKIPPED = 10
"""Updates in a row that may be left out before the run stops."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; its state is saved."""


class Start(NamedTuple):
    """What a run begins with instead of chance."""

    params: Params
    opt_state: optax.OptState | None = None


class Run:
    """One training run in one folder, new or continued.

    Args:
        objective: its mesh may be another than before.
        init: what to start a new run from, instead of random parameters.
    """

    def __init__(
        self,
        cfg: Config,
        path: Path,
        data: Dataset,
        console: Console,
        objective: Objective,
        init: Start | None = None,
    ) -> None:
        self._cfg, self._path, self._console = cfg, path, console
        self._objective, self._report = objective, data.report
        self._optimizer = optimizers.make(cfg.optimizer, cfg.training.steps)
        self._evaluate = Evaluator(
            cfg, objective, data.tokenizers, data.valid, cfg.training.eval_sentences
        )
        self._plan = data.plan(cfg)
        held = partial(parallel.held, objective.mesh)
        self._padding = self._plan.padding(partial(parallel.filled, objective.mesh))
        self._stream = batches.stream(data.store, self._plan, cfg.training.steps, held)
        self._weights = weights.of(path)
        self._checkpoints = Checkpoints(
            path / "checkpoints",
            log.warning,
            keep=cfg.training.average,
            every=cfg.training.eval_every,
        )
        self._progress, self._waited = Progress(), 0.0
        self._state = self._begin(init)
        inherited = optimizers.updates(self._state.opt_state) - (
            int(self._state.step) - int(self._state.skipped)
        )
        rate = optimizers.schedule(cfg.optimizer, cfg.training.steps)
        # All at once: in the loop a device would first finish the update under way.
        self._rates = np.asarray(rate(inherited + np.arange(cfg.training.steps)))

    def train(self, test: Evaluator | None) -> None:
        """Trains to the end, keeps the weights to translate with, and scores them.

        Args:
            test: scores them, by beam search; None if there is no test set.

        Raises:
            Interrupted: after SIGINT or SIGTERM; the state is saved.
            InputError: if a batch does not fit, or updates stay not finite.
        """
        update = self._compile()
        journal = self._journal()
        processes.meet()  # compiling may have taken some longer than others
        with journal:
            with Interrupts() as interrupts, processes.company():
                self._loop(journal, update, interrupts)
                self._heed(interrupts)
                params = self._finish(journal)
                self._heed(interrupts)
            if test:
                journal.test(int(self._state.step), test(params, Beam()))

    def _loop(
        self, journal: Journal | Silence, update: Update, interrupts: Interrupts
    ) -> None:
        cfg, first = self._cfg.training, int(self._state.step)
        outcome: Outcome | None = None
        for step in range(first + 1, cfg.steps + 1):
            if self._out_of_patience():
                break
            batch, before = self._next(), outcome
            self._state, outcome = update(
                self._state, batch, interrupted=interrupts.received
            )
            if before and before.metrics:  # the device works on this one meanwhile
                self._write(journal, step - 1, before.metrics)
            stopping = _stopping(interrupts, before)
            validating = step % cfg.eval_every == 0 or step == cfg.steps
            if validating or stopping:
                self._write(journal, step, outcome.metrics)
                outcome = outcome._replace(metrics={})
            if validating:
                self._validate(journal, step)
            elif stopping:
                self._save(step)
            if stopping:
                self._leave(step)

    def _next(self) -> Batch:
        start = time.perf_counter()
        batch = next(self._stream)
        self._waited += time.perf_counter() - start
        return batch

    def _heed(self, interrupts: Interrupts) -> None:
        """Stops if a signal came when there was no update left to stop after."""
        if processes.known(told=interrupts.received):
            self._leave(int(self._state.step))

    def _leave(self, step: int) -> NoReturn:
        self._checkpoints.wait()
        self._weights.wait()
        raise Interrupted(
            f"Stopped after update {step:,}, which is saved. "
            "The same command continues."
        )

    def _begin(self, init: Start | None) -> TrainState:
        """The state of the newest intact checkpoint, or a new one."""
        made_of = self._objective, self._optimizer, self._cfg.training.seed
        number = self._checkpoints.to_go_on_from()
        if number is None:
            state = first_state(*made_of)
            if init is None:
                return state
            opt_state = state.opt_state if init.opt_state is None else init.opt_state
            return state._replace(params=init.params, opt_state=opt_state)
        like = abstract_state(*made_of)
        items, notes = self._checkpoints.load(number, _items(like))
        self._progress = Progress(**notes["progress"])
        self._stream.set_state(notes["data"])
        self._console.print(f"Continuing after update {number:,}.")
        return items[STATE]._replace(params=items[NAME])

    def _save(self, step: int) -> None:
        notes = {
            "progress": self._progress._asdict(),
            "data": self._stream.get_state(),
        }
        self._checkpoints.save(step, _items(self._state), notes)

    def _compile(self) -> Update:
        shapes = self._plan.shapes
        self._console.print(
            f"Devices: [b]{devices.description(self._objective.mesh)}[/b], "
            f"{jnp.dtype(self._objective.model.dtype)}. "
            f"{count(self._state.params):,} parameters. Compiling {len(shapes)} "
            f"training and {self._evaluate.compilations} evaluation programs."
        )
        update = Update(
            self._objective, self._optimizer, self._cfg.data, self._state, shapes
        )
        self._console.print(f"Compiled for training in {update.seconds:.1f} s.")
        return update

    def _journal(self) -> Journal | Silence:
        if not processes.first():
            return Silence()
        about = About(
            self._path.resolve().name,
            self._cfg,
            self._report,
            count(self._state.params),
            f"{devices.description(self._objective.mesh)}, "
            f"{jnp.dtype(self._objective.model.dtype)}",
        )
        return Journal(self._path, self._console, about, first=int(self._state.step))

    def _write(self, journal: Journal | Silence, step: int, metrics: Metrics) -> None:
        with fitting(self._cfg.data):
            values = {name: x.item() for name, x in jax.device_get(metrics).items()}
        if values["skipped in a row"] >= MOST_SKIPPED:
            raise InputError(
                f"The loss or its gradient was not finite in {MOST_SKIPPED} updates in "
                f"a row, the last of them {step}. Begin with an optimizer.peak below "
                f"{self._cfg.optimizer.peak} in another --out; the last checkpoint, if "
                "there is one, is intact."
            )
        waited, self._waited = self._waited, 0.0
        rate = self._rates[step - 1].item()
        values |= {"learning rate": rate, "padding": self._padding}
        journal.step(step, values, waited)

    def _validate(self, journal: Journal | Silence, step: int) -> None:
        """Evaluates, keeps the weights if they are the best, and saves the state."""
        params = self._learnt()
        result = self._evaluate(params)
        journal.evaluation(step, "validation", result)
        merit = result.merit(self._cfg.training.metric)
        self._progress = self._progress.after(step, merit)
        self._checkpoints.wait()  # or there may be weights that no state goes with
        if self._progress.best_step == step:
            self._weights.save(step, {NAME: params}, {"step": step})
        self._save(step)

    def _learnt(self) -> Params:
        """What an update leaves to translate with: the moving average, if any."""
        average = optimizers.average(self._state.opt_state)
        return self._state.params if average is None else average

    def _out_of_patience(self) -> bool:
        patience = self._cfg.training.patience
        return patience is not None and self._progress.since_best >= patience

    def _finish(self, journal: Journal | Silence) -> Params:
        """Averages the last checkpoints, and keeps the average if it is the best."""
        for saving in (self._checkpoints, self._weights):
            saving.wait()
        numbers = self._checkpoints.regular()
        step, like = int(self._state.step), {NAME: self._state.params}
        if len(numbers) > 1:
            loaded = (self._checkpoints.load(n, like)[0][NAME] for n in numbers)
            average = weights.mean(loaded)
            result = self._evaluate(average)
            journal.evaluation(step, f"average of {len(numbers)}", result)
            if self._progress.improved(result.merit(self._cfg.training.metric)):
                self._weights.save(step, {NAME: average}, {"averaged": numbers})
                self._weights.wait()
        return weights.load(self._path, self._objective.model, self._objective.mesh)


def build(cfg: Config, tokenizers: Tokenizers, mesh: Mesh) -> Objective:
    """The network for a vocabulary, and what it is to learn."""
    sizes = tokenizers.source.size, tokenizers.target.size
    dtype = devices.dtype(cfg.training.precision)
    model = Transformer(folder.sized(cfg.model, sizes), dtype, cfg.training.remat)
    criterion = Criterion(cfg.training.label_smoothing, cfg.training.consistency)
    return Objective(model, criterion, mesh)


def count(params: Params) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _stopping(interrupts: Interrupts, before: Outcome | None) -> bool:
    """Whether to stop now: one process knows at once, several agree an update later."""
    if not processes.several():
        return interrupts.received
    return before is not None and bool(before.interrupted)


def _items(state: TrainState) -> Items:
    """Parameters apart from what only training needs."""
    return {NAME: state.params, STATE: state._replace(params=())}
