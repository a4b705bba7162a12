"""An experiment, from its settings to its scores."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console

from transformer import (
    batches,
    budget,
    dataset,
    finetuning,
    folder,
    optimizers,
    pages,
    parallel,
    processes,
    settings,
    tokenizer,
    update,
    weights,
)
from transformer.checkpoints import seals
from transformer.config import Config
from transformer.dataset import Dataset
from transformer.errors import InputError
from transformer.evaluation import Evaluator
from transformer.folder import Description
from transformer.pages import corpus
from transformer.step import Objective
from transformer.tokenizer import Tokenizers
from transformer.training import Run, build


def fit(
    cfg: Config,
    path: Path,
    init_from: Path | None,
    console: Console,
    mesh: str = "auto",
    report: Path | None = None,
) -> None:
    """Trains into the model folder `path`, or continues there, and scores the result.

    With several processes, all of them call this, and see the same `path`.

    Args:
        init_from: a model folder whose network, tokenizers and weights to start from.
        mesh: the devices to use, as in `parallel.make`; others than before will do.
        report: an HTML file to write what there is to say of the data to.

    Raises:
        InputError: for files and settings that cannot work; nothing is written then.
        Interrupted: after SIGINT or SIGTERM; the state is saved.
    """
    if report is not None and (report.is_dir() or not report.parent.is_dir()):
        raise InputError(f"{report} cannot be written: name a file in a folder.")
    if init_from is not None:
        cfg = finetuning.inherited(cfg, folder.describe(init_from))
    there = parallel.make(mesh)
    parallel.check(there, cfg.model)
    test = dataset.held(cfg.data, cfg.data.test)
    cfg = _as_begun(cfg, path)
    data = processes.in_turn(lambda: _prepare(cfg, path, init_from))
    learnt = dataset.training(cfg.data)
    dataset.check(test, dataset.targets(learnt, data.tokenizers))
    console.print(data.report.render())
    for one in (*data.valid, *test):
        if one.left_out:
            console.print(f"{one.corpus}: {one.left_out:,} pairs lack a side.")
    if report is not None and processes.first():
        pages.write(report, _page(cfg, data))
    objective = build(cfg, data.tokenizers, there)
    cfg = _with_tokens(cfg, path, data, objective, console)
    init = None
    if init_from is not None:
        init = finetuning.start(cfg, init_from, data.tokenizers, there)
    score = Evaluator(cfg, objective, data.tokenizers, test, None) if test else None
    Run(cfg, path, data, console, objective, init).train(score)


def _prepare(cfg: Config, path: Path, init_from: Path | None) -> Dataset:
    """Reads the data, and makes the model folder if there is none."""
    _check_settings(cfg, path)
    data = dataset.prepare(cfg, _known(cfg, path, init_from))
    _describe(cfg, path, data, init_from)
    return data


def _going_on(path: Path) -> bool:
    """Whether there is a run to go on with; others find what process 0 has made."""
    return folder.begun(path) if processes.first() else folder.exists(path)


def _page(cfg: Config, data: Dataset) -> str:
    directions = {(one.source, one.target) for one in dataset.training(cfg.data)}
    several = len(directions) > 1
    languages = ("source", "target") if several else directions.pop()
    return corpus.page(", ".join(cfg.data.train), languages, data.report)


def _known(cfg: Config, path: Path, init_from: Path | None) -> Tokenizers | None:
    """The tokenizers of the run, or those that it inherits."""
    if _going_on(path):
        return tokenizer.load_both(path)
    if init_from is not None:
        return finetuning.tokenizers(cfg.data, init_from)
    if cfg.data.new_pieces or cfg.optimizer.state == "inherited":
        raise InputError(
            "data.new_pieces and optimizer.state=inherited need --init-from, the model "
            "that they extend."
        )
    return None


def _check_settings(cfg: Config, path: Path) -> None:
    """Raises `InputError` if `path` holds other settings, or no run, or cannot be."""
    if any(letter in str(path.resolve()) for letter in "*?["):
        raise InputError(
            f"{path.resolve()} has *, ? or [ in it, which Orbax, who writes the "
            "checkpoints, takes for a pattern. Name another --out."
        )
    if _going_on(path):
        changed = settings.differences(folder.describe(path).config, cfg)
        if changed:
            raise InputError(
                f"{path} was begun with other settings:\n  "
                + "\n  ".join(changed)
                + "\nUse these again to continue, or another --out."
            )
    elif not folder.vacant(path):
        raise InputError(f"{path} exists, but is no run. Name another --out.")


def _describe(cfg: Config, path: Path, data: Dataset, init_from: Path | None) -> None:
    """Makes the model folder, or checks that a run goes on with what it began with."""
    parent = weights.version(init_from) if init_from else ""
    going_on = _going_on(path)
    if folder.exists(path):
        before = folder.describe(path)
        if going_on:
            _check_data(path, before.data, data.fingerprint)
            _check_parent(path, before.parent, parent)
        _check_whole(path, cfg, forsaken=bool(before.parent) and not parent)
    if going_on:
        return
    vocabulary = data.tokenizers.source.size, data.tokenizers.target.size
    directions = finetuning.directions(cfg.data, init_from)
    made = Description(cfg, vocabulary, data.fingerprint, directions, parent)
    if processes.first():
        folder.create(path, made, data.tokenizers)


def _check_data(path: Path, before: dict[str, str], now: dict[str, str]) -> None:
    """Raises `InputError` if anything is no more what it was."""
    before = {dataset.KEPT: now[dataset.KEPT]} | before  # which old folders do not say
    changed = sorted({name for name, _ in before.items() ^ now.items()})
    if changed:
        raise InputError(
            f"The data has changed since {path} was begun: {', '.join(changed)}. "
            "Restore it, or start anew with another --out."
        )


def _check_parent(path: Path, before: str | None, now: str) -> None:
    """Raises `InputError` if --init-from names other weights than at the beginning."""
    if now and before not in (now, None):
        raise InputError(
            f"{path} was begun {'with other' if before else 'without'} weights "
            "of --init-from. Leave it out to continue, with the network's settings as "
            "config.json has them, or name another --out."
        )


def _check_whole(path: Path, cfg: Config, *, forsaken: bool) -> None:
    """Raises `InputError` if a run would begin anew, though not as it once began."""
    if seals(path / "checkpoints"):
        return
    later = [n for n in weights.of(path).numbers() if n > cfg.training.eval_every]
    if later:
        raise InputError(
            f"{path} has weights of update {later[-1]:,}, but no checkpoint to go on "
            "from. Begin with another --out, from these weights by --init-from."
        )
    if forsaken:
        raise InputError(
            f"{path} was begun with --init-from, and no update is saved yet. Give it "
            "again, or name another --out."
        )


def _as_begun(cfg: Config, path: Path) -> Config:
    """`cfg` with what `--data.tokens auto` came to when the run was begun."""
    if cfg.data.tokens != "auto":
        return cfg
    kept = folder.describe(path).config.data.tokens if folder.begun(path) else "auto"
    return _of_tokens(cfg, processes.agreed(kept))


def _with_tokens(
    cfg: Config, path: Path, data: Dataset, objective: Objective, console: Console
) -> Config:
    """`cfg` with the largest number that fits for `--data.tokens auto`.

    The model folder keeps it, so that a continued run goes on with the same batches.
    """
    if cfg.data.tokens != "auto":
        return cfg
    tokens = _largest(cfg, data, objective)
    console.print(f"Batches of data.tokens={tokens} target positions fit into memory.")
    cfg = _of_tokens(cfg, tokens)
    if processes.first():
        made = folder.describe(path)._replace(config=cfg)
        folder.create(path, made, data.tokenizers)
    return cfg


def _largest(cfg: Config, data: Dataset, objective: Objective) -> int:
    optimizer = optimizers.make(cfg.optimizer, cfg.training.steps)
    state = update.abstract_state(objective, optimizer, cfg.training.seed)
    lengths = batches.lengths(data.store)[data.fitting]
    compiled = partial(
        update.compiled, objective, optimizer, cfg.data.accumulate, state
    )
    least = cfg.data.max_length
    return budget.largest(
        budget.of_update(compiled, lengths),
        min(processes.each(budget.free_memory(objective.mesh))),
        least,
        max(least, budget.most_useful(lengths)),
    )


def _of_tokens(cfg: Config, tokens: int | Literal["auto"]) -> Config:
    return dataclasses.replace(cfg, data=dataclasses.replace(cfg.data, tokens=tokens))
