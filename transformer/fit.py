"""An experiment, from its settings to its scores."""

import dataclasses
from pathlib import Path

from rich.console import Console

from transformer import (
    config,
    dataset,
    folder,
    parallel,
    processes,
    tokenizer,
    weights,
)
from transformer.cleaning import Pair
from transformer.config import Config
from transformer.dataset import Dataset
from transformer.errors import InputError
from transformer.evaluation import Evaluation, Evaluator
from transformer.folder import Description
from transformer.journal import show_samples
from transformer.strategies import Beam
from transformer.training import Run, build


def fit(
    cfg: Config,
    path: Path,
    init_from: Path | None,
    console: Console,
    mesh: str = "auto",
) -> None:
    """Trains into the model folder `path`, or continues there, and scores the result.

    With several processes, all of them call this, and see the same `path`.

    Args:
        init_from: a model folder whose network, tokenizers and weights to start from.
        mesh: the devices to use, as in `parallel.make`; others than before will do.

    Raises:
        InputError: for files and settings that cannot work; nothing is written then.
        Interrupted: after SIGINT or SIGTERM; the state is saved.
    """
    if init_from is not None:
        cfg = _inherit(cfg, folder.describe(init_from))
    there = parallel.make(mesh)
    parallel.check(there, cfg.model)
    test = _test_pairs(cfg)
    data = processes.in_turn(lambda: _prepare(cfg, path, init_from))
    console.print(data.report.render())
    model = build(cfg, data.tokenizers)
    init = weights.load(init_from, model, there) if init_from else None
    params = Run(cfg, path, data, console, there, init).train()
    if test:
        evaluate = Evaluator(cfg, model, data.tokenizers, test, len(test), there)
        _print(console, evaluate(params, Beam()))


def _prepare(cfg: Config, path: Path, init_from: Path | None) -> Dataset:
    """Reads the data, and makes the model folder if there is none."""
    _check_settings(cfg, path)
    known = next((p for p in (path, init_from) if p and folder.exists(p)), None)
    data = dataset.prepare(cfg, tokenizer.load_both(known) if known else None)
    _describe(cfg, path, data)
    return data


def _inherit(cfg: Config, parent: Description) -> Config:
    """`cfg` with the network of another model; only dropout stays its own."""
    model = dataclasses.replace(parent.config.model, dropout=cfg.model.dropout)
    return dataclasses.replace(cfg, model=model)


def _check_settings(cfg: Config, path: Path) -> None:
    """Raises `InputError` if `path` holds other settings, or no run."""
    if folder.exists(path):
        changed = config.differences(folder.describe(path).config, cfg)
        if changed:
            raise InputError(
                f"{path} was begun with other settings:\n  "
                + "\n  ".join(changed)
                + "\nUse these again to continue, or another --out."
            )
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists, but is no run. Name another --out.")


def _test_pairs(cfg: Config) -> list[Pair]:
    if cfg.data.test is None:
        return []
    return dataset.evaluation_pairs(dataset.corpus(cfg.data, cfg.data.test))


def _describe(cfg: Config, path: Path, data: Dataset) -> None:
    """Makes the model folder, or checks that the data is still what it was."""
    if not folder.exists(path):
        vocabulary = data.tokenizers.source.size, data.tokenizers.target.size
        described = Description(cfg, vocabulary, data.fingerprint)
        folder.create(path, described, data.tokenizers)
        return
    before = folder.describe(path).data
    changed = sorted(set(before.items()) ^ set(data.fingerprint.items()))
    if changed:
        names = ", ".join(sorted({name for name, _ in changed}))
        raise InputError(
            f"The training data has changed since {path} was begun: {names}. "
            "Restore it, or start anew with another --out."
        )


def _print(console: Console, result: Evaluation) -> None:
    console.print("[b]test[/b]", highlight=False)
    show_samples(console, result)
    for score in (result.bleu, result.chrf):
        console.print(f"  {score}", highlight=False, markup=False)
