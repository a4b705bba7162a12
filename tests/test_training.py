"""Runs end to end on a small corpus: continuing, interrupting, averaging, failing."""

import dataclasses
import json
import shutil
import signal
from functools import partial
from itertools import pairwise

import jax
import numpy as np
import pytest
from rich.console import Console
from webpages import Page, curves

from transformer import (
    budget,
    checkpoints,
    dataset,
    experiments,
    folder,
    optimizers,
    parallel,
    processes,
    tokenizer,
    training,
    update,
    weights,
)
from transformer.config import DataConfig, OptimizerConfig, TrainingConfig
from transformer.errors import InputError
from transformer.fit import _prepare
from transformer.fit import fit as fit_on
from transformer.loading import load

QUIET = Console(quiet=True)

fit = partial(fit_on, mesh="data=2")

TIMES = {"tokens a second", "waiting for data"}

NOUNS = {"dog": "Hund", "cat": "Katze", "bird": "Vogel", "horse": "Pferd"}
VERBS = {"sees": "sieht", "likes": "mag", "hears": "hört", "follows": "verfolgt"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Every noun does everything to every other noun."""
    prefix = tmp_path_factory.mktemp("corpus") / "train"
    pairs = [
        (f"the {a} {v} the {b}", f"{NOUNS[a]} {VERBS[v]} {NOUNS[b]}")
        for a in NOUNS
        for v in VERBS
        for b in NOUNS
        if a != b
    ]
    for side, text in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
        prefix.with_suffix(f".{side}").write_text("\n".join(text) + "\n")
    return prefix


@pytest.fixture(scope="module")
def cfg(corpus):
    """Eight updates with everything that a run does on its way."""
    quickstart = experiments.quickstart()
    model = dataclasses.replace(
        quickstart.model,
        vocab_size=320,
        dim=16,
        hidden_dim=16,
        num_heads=2,
        encoder_layers=1,
        decoder_layers=1,
    )
    return dataclasses.replace(
        quickstart,
        model=model,
        data=DataConfig(
            train=(str(corpus),),
            valid=(str(corpus),),
            target="de",
            tokens=128,
            max_length=64,
            keep=("overlap",),
        ),
        optimizer=OptimizerConfig(peak=1e-2, warmup=4, ema=0.5),
        training=TrainingConfig(
            steps=8,
            consistency=1.0,
            eval_every=3,
            eval_sentences=4,
            average=2,
            log_every=2,
        ),
    )


def with_training(cfg, **changes):
    changed = dataclasses.replace(cfg.training, **changes)
    return dataclasses.replace(cfg, training=changed)


def reports(path):
    return list(map(json.loads, (path / "metrics.jsonl").read_text().splitlines()))


def everything(path, cfg):
    """All arrays of the newest checkpoint, and of the weights."""
    states = checkpoints.Checkpoints(path / "checkpoints", pytest.fail)
    number = states.newest()
    params = load(path).params
    run = continued(cfg, path)
    leaves = jax.tree.leaves((run._state._replace(key=()), params))
    return number, [np.asarray(leaf) for leaf in leaves]


def continued(cfg, path):
    """The run in a folder, before it goes on."""
    data = dataset.prepare(cfg, tokenizer.load_both(path))
    objective = training.build(cfg, data.tokenizers, parallel.make())
    return training.Run(cfg, path, data, QUIET, objective)


def assert_same(one, other):
    assert one[0] == other[0]
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(a, b)


class PowerCut(Exception):
    """Nothing after it is executed."""


def fit_until(cfg, path, step, monkeypatch, mesh="data=2"):
    """Trains, and dies just after update `step` has run."""
    real = training.Run._write

    def write(self, journal, number, metrics):
        if number >= step:
            for saving in (self._checkpoints, self._weights):
                saving.wait()  # a thread would live on and write into the next run's
            raise PowerCut
        real(self, journal, number, metrics)

    with monkeypatch.context() as patched, pytest.raises(PowerCut):
        patched.setattr(training.Run, "_write", write)
        fit(cfg, path, None, QUIET, mesh=mesh)


@pytest.fixture(scope="module")
def finished(cfg, tmp_path_factory):
    """A run that nothing disturbed."""
    path = tmp_path_factory.mktemp("runs") / "uninterrupted"
    fit(cfg, path, None, QUIET)
    return path


@pytest.fixture
def uninterrupted(finished, tmp_path):
    """A copy of it, to do things to."""
    return shutil.copytree(finished, tmp_path / "uninterrupted")


def assert_begins_like(path, whole):
    """The curves of a stopped run are the beginnings of the whole one's."""
    assert "Stopped" in (path / "report.html").read_text("utf-8")
    for key, chart in curves(path).items():
        for part, curve in zip(chart["curves"], whole[key]["curves"], strict=True):
            steps = [step for step, _ in part["points"]]
            assert all(one < other for one, other in pairwise(steps))
            assert part["points"] == curve["points"][: len(steps)] != []


def test_a_continued_run_equals_an_uninterrupted_one(
    cfg, uninterrupted, tmp_path, monkeypatch
):
    path, whole = tmp_path / "cut", curves(uninterrupted)
    for step in (2, 5, 5, 8):
        fit_until(cfg, path, step, monkeypatch)
        assert_begins_like(path, whole)
    fit(cfg, path, None, QUIET)
    assert_same(everything(path, cfg), everything(uninterrupted, cfg))
    timeless = [
        [{k: v for k, v in line.items() if k not in TIMES} for line in lines]
        for lines in (reports(path), reports(uninterrupted))
    ]
    assert timeless[0] == timeless[1]
    assert curves(path) == whole


def test_the_loop_asks_devices_for_nothing_but_metrics_it_names(
    cfg, tmp_path, monkeypatch
):
    """All else would have to wait for the update under way."""

    def within(guard, real):
        def run(*args):
            with jax.transfer_guard(guard):
                return real(*args)

        return run

    for name, guard in {"_loop": "disallow", "_validate": "allow"}.items():
        monkeypatch.setattr(training.Run, name, within(guard, vars(training.Run)[name]))
    fit(cfg, tmp_path / "run", None, QUIET)


def test_the_largest_batch_that_fits_is_found_once_and_kept(cfg, tmp_path, monkeypatch):
    auto = dataclasses.replace(cfg.data, tokens="auto")
    auto = dataclasses.replace(cfg, data=auto)
    fit_until(auto, tmp_path / "run", 4, monkeypatch)
    tokens = folder.describe(tmp_path / "run").config.data.tokens
    assert isinstance(tokens, int) and tokens > cfg.data.max_length
    monkeypatch.setattr(budget, "free_memory", lambda mesh: 0)
    fit(auto, tmp_path / "run", None, QUIET)
    assert reports(tmp_path / "run")[-1]["step"] == cfg.training.steps
    with pytest.raises(InputError, match="are free"):
        fit(auto, tmp_path / "other", None, QUIET)


def test_a_run_continues_on_other_devices(cfg, uninterrupted, tmp_path, monkeypatch):
    path = tmp_path / "moved"
    fit_until(cfg, path, 4, monkeypatch, "fsdp=4,tensor=2")
    fit(cfg, path, None, QUIET, mesh="data=3")
    found, expected = everything(path, cfg), everything(uninterrupted, cfg)
    assert found[0] == expected[0]
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_every_evaluation_translates_the_same_sentences(finished):
    evaluated = [r["samples"] for r in reports(finished) if r["kind"] == "validation"]
    sources = {tuple(source for source, _, _ in samples) for samples in evaluated}
    [kept] = sources
    assert len(evaluated) == 3
    assert kept[0] == "how are you"
    page = Page((finished / "report.html").read_text("utf-8"))
    assert page.texts("h3") == list(kept)


def test_reports_say_how_long_data_was_waited_for(finished):
    trained = [r for r in reports(finished) if r["kind"] == "training"]
    assert all(0 <= report["waiting for data"] < 1 for report in trained)


def test_a_signal_saves_the_state_and_the_run_continues_from_it(
    cfg, uninterrupted, tmp_path, monkeypatch
):
    path, real = tmp_path / "signalled", training.Run._write

    def write(self, journal, number, metrics):
        real(self, journal, number, metrics)
        if number in (1, 4):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(training.Run, "_write", write)
    for step in (2, 5):
        with pytest.raises(training.Interrupted, match=f"update {step}"):
            fit(cfg, path, None, QUIET)
    fit(cfg, path, None, QUIET)
    assert_same(everything(path, cfg), everything(uninterrupted, cfg))


@pytest.mark.parametrize("part", ["_validate", "_finish"])
def test_a_signal_after_the_last_update_stops_the_run_too(
    cfg, uninterrupted, tmp_path, monkeypatch, part
):
    path, real = tmp_path / "run", getattr(training.Run, part)

    def signalled(self, *arguments):
        if int(self._state.step) == cfg.training.steps:
            signal.raise_signal(signal.SIGTERM)
        return real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training.Run, part, signalled)
        with pytest.raises(training.Interrupted, match="update 8"):
            fit(cfg, path, None, QUIET)
    fit(cfg, path, None, QUIET)
    assert_same(everything(path, cfg), everything(uninterrupted, cfg))


def test_processes_that_hear_of_a_signal_late_stop_though_all_updates_validate(
    cfg, tmp_path, monkeypatch
):
    def as_of_several(interrupts, before):
        del interrupts  # each knows only what the update told all of them
        return before is not None and bool(before.interrupted)

    real = training.Run._write

    def write(self, journal, number, metrics):
        real(self, journal, number, metrics)
        if number == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(training, "_stopping", as_of_several)
    monkeypatch.setattr(training.Run, "_write", write)
    with pytest.raises(training.Interrupted, match="update 4"):
        fit(with_training(cfg, eval_every=1), tmp_path / "run", None, QUIET)
    assert [report["step"] for report in reports(tmp_path / "run")][-1] == 4


def test_a_run_that_cannot_go_on_does_not_begin_anew(cfg, uninterrupted):
    for seal in (uninterrupted / "checkpoints").glob("*/seal.json"):
        seal.unlink()
    (best,) = (uninterrupted / "weights").iterdir()
    best.rename(best.with_name("8"))  # from the first evaluation they may be alone
    with pytest.raises(InputError, match="has weights of update 8"):
        fit(cfg, uninterrupted, None, QUIET)
    shutil.rmtree(uninterrupted / "weights")
    made = folder.describe(uninterrupted)._replace(parent="of others")
    folder.create(uninterrupted, made, tokenizer.load_both(uninterrupted))
    with pytest.raises(InputError, match="begun with --init-from"):
        fit(cfg, uninterrupted, None, QUIET)


def test_a_finished_run_that_is_started_again_changes_nothing(cfg, uninterrupted):
    before = everything(uninterrupted, cfg)
    fit(cfg, uninterrupted, None, QUIET)
    assert_same(everything(uninterrupted, cfg), before)


def test_a_damaged_checkpoint_costs_only_the_work_since_the_one_before(
    cfg, uninterrupted
):
    before = everything(uninterrupted, cfg)
    newest = uninterrupted / "checkpoints" / str(cfg.training.steps)
    victim = max(newest.rglob("*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1])
    fit(cfg, uninterrupted, None, QUIET)
    assert_same(everything(uninterrupted, cfg), before)


def test_the_loss_falls_and_one_corpus_can_be_learned_by_heart(cfg, tmp_path):
    cfg = with_training(
        cfg,
        steps=250,
        eval_every=125,
        label_smoothing=0.0,
        consistency=0.0,
        eval_sentences=48,
    )
    model = dataclasses.replace(cfg.model, dropout=0.0, dim=32, hidden_dim=64)
    fit(dataclasses.replace(cfg, model=model), tmp_path / "run", None, QUIET)
    validation = [r for r in reports(tmp_path / "run") if r["kind"] == "validation"]
    assert validation[-1]["loss"] < 0.05
    assert validation[-1]["chrf"] > 99
    [found] = load(tmp_path / "run").translate(["the cat hears the horse"])
    assert found.text == "Katze hört Pferd"


def test_patience_stops_the_run(cfg, tmp_path):
    optimizer = dataclasses.replace(cfg.optimizer, peak=1e-12)
    cfg = dataclasses.replace(cfg, optimizer=optimizer)
    cfg = with_training(cfg, steps=50, eval_every=2, patience=2, metric="bleu")
    fit(cfg, tmp_path / "run", None, QUIET)
    assert max(report["step"] for report in reports(tmp_path / "run")) == 6


def test_the_moving_average_is_what_is_evaluated_and_kept(cfg, uninterrupted):
    run = continued(cfg, uninterrupted)
    average = optimizers.average(run._state.opt_state)
    assert average is not None
    [last] = [r for r in reports(uninterrupted) if r["kind"] == "validation"][-1:]
    found = run._evaluate(average).mean("loss")
    assert found == pytest.approx(last["loss"], rel=1e-6)
    assert found != pytest.approx(run._evaluate(run._state.params).mean("loss"), 1e-4)


def test_the_average_is_of_the_last_checkpoints(cfg, uninterrupted):
    run = continued(cfg, uninterrupted)
    like = {weights.NAME: run._state.params}
    one, other = (
        run._checkpoints.load(number, like)[0][weights.NAME] for number in (3, 6)
    )
    assert run._checkpoints.regular() == [3, 6]
    average = weights.mean([one, other])
    for a, b, c in zip(*map(jax.tree.leaves, (one, other, average)), strict=True):
        np.testing.assert_allclose((a + b) / 2, c, rtol=1e-6, atol=1e-8)
    equal = weights.mean([one] * 7)  # e.g. of parameters that are frozen
    for a, b in zip(*map(jax.tree.leaves, (one, equal)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_other_settings_are_refused_and_named(cfg, uninterrupted):
    with pytest.raises(InputError, match=r"optimizer.peak 0.5 \(was 0.01\)"):
        other = dataclasses.replace(cfg.optimizer, peak=0.5)
        fit(dataclasses.replace(cfg, optimizer=other), uninterrupted, None, QUIET)


def test_changed_data_is_refused(cfg, corpus, tmp_path):
    for side in ("en", "de"):
        text = corpus.with_suffix(f".{side}").read_text()
        (tmp_path / f"own.{side}").write_text(text)
    data = dataclasses.replace(cfg.data, train=(str(tmp_path / "own"),))
    cfg = dataclasses.replace(cfg, data=data)
    fit(cfg, tmp_path / "run", None, QUIET)
    for side in ("en", "de"):
        with (tmp_path / f"own.{side}").open("a") as file:
            file.write(f"new {side}\n")
    with pytest.raises(InputError, match="data has changed"):
        fit(cfg, tmp_path / "run", None, QUIET)


def test_pairs_that_are_dropped_for_another_test_set_are_changed_data(
    cfg, corpus, tmp_path
):
    data = dataclasses.replace(cfg.data, keep=(), test=(str(tmp_path / "own"),))
    data = dataclasses.replace(data, valid=(str(tmp_path / "valid"),))
    cfg = dataclasses.replace(with_training(cfg, steps=4), data=data)
    english, german = (
        corpus.with_suffix(f".{side}").read_text().splitlines() for side in ("en", "de")
    )

    def held_out(name, line):
        (tmp_path / f"{name}.en").write_text(english[line] + "\n")
        (tmp_path / f"{name}.de").write_text(german[line] + "\n")

    held_out("valid", 0)
    held_out("own", 1)
    fit(cfg, tmp_path / "run", None, QUIET)
    held_out("own", 2)
    with pytest.raises(InputError, match="data has changed .*: which pairs are kept"):
        fit(cfg, tmp_path / "run", None, QUIET)
    described = folder.describe(tmp_path / "run")
    without = {k: v for k, v in described.data.items() if k != dataset.KEPT}
    older = described._replace(data=without)
    folder.create(tmp_path / "run", older, tokenizer.load_both(tmp_path / "run"))
    fit(cfg, tmp_path / "run", None, QUIET)  # a folder from before goes on


def test_a_run_that_learnt_nothing_may_begin_otherwise(cfg, uninterrupted, tmp_path):
    path = tmp_path / "run"
    frozen = dataclasses.replace(cfg.optimizer, freeze=("nothing",))
    with pytest.raises(InputError, match="no parameter begins so"):
        fit(dataclasses.replace(cfg, optimizer=frozen), path, None, QUIET)
    assert folder.exists(path)
    fit(cfg, path, None, QUIET)
    assert_same(everything(path, cfg), everything(uninterrupted, cfg))


def test_other_processes_take_what_the_first_has_made_and_write_nothing(
    cfg, corpus, tmp_path, monkeypatch
):
    for side in (".en", ".de"):
        shutil.copy(corpus.with_suffix(side), tmp_path / f"own{side}")
    data = dataclasses.replace(cfg.data, train=(str(tmp_path / "own"),))
    cfg = dataclasses.replace(cfg, data=data)
    _prepare(cfg, tmp_path / "run", None)
    monkeypatch.setattr(processes, "first", lambda: False)
    monkeypatch.setattr(folder, "create", lambda *_: pytest.fail("written again"))
    _prepare(cfg, tmp_path / "run", None)
    for side in (".en", ".de"):
        with (tmp_path / f"own{side}").open("a") as more:
            more.write("Mustermann\n")
    with pytest.raises(InputError, match="data has changed"):
        _prepare(cfg, tmp_path / "run", None)


def test_a_run_goes_on_from_the_weights_it_began_with(cfg, uninterrupted, tmp_path):
    cfg, path = with_training(cfg, steps=4, eval_every=4), tmp_path / "run"
    fit(cfg, path, None, QUIET)
    with pytest.raises(InputError, match="begun without weights of --init-from"):
        fit(cfg, path, uninterrupted, QUIET)
    fit(cfg, tmp_path / "child", path, QUIET)
    fit(cfg, tmp_path / "child", path, QUIET)
    with pytest.raises(InputError, match="begun with other weights of --init-from"):
        fit(cfg, tmp_path / "child", uninterrupted, QUIET)


def test_a_folder_that_orbax_would_take_for_a_pattern_is_refused(cfg, tmp_path):
    with pytest.raises(InputError, match=r"\[2\].* Name another --out"):
        fit(cfg, tmp_path / "run [2]", None, QUIET)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_run_is_not_touched(cfg, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is no run"):
        fit(cfg, tmp_path, None, QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_bad_data_leaves_nothing_behind(cfg, tmp_path):
    data = dataclasses.replace(cfg.data, train=(str(tmp_path / "missing"),))
    with pytest.raises(InputError, match=r"missing.en does not exist"):
        fit(dataclasses.replace(cfg, data=data), tmp_path / "run", None, QUIET)
    assert not (tmp_path / "run").exists()


def test_fine_tuning_starts_from_the_other_models_weights(cfg, uninterrupted, tmp_path):
    optimizer = dataclasses.replace(cfg.optimizer, peak=1e-12, state="inherited")
    child = dataclasses.replace(
        with_training(cfg, steps=2, log_every=1),
        optimizer=optimizer,
        data=dataclasses.replace(cfg.data, new_pieces=5),
        model=dataclasses.replace(cfg.model, dim=64, dropout=0.3),
    )
    fit(child, tmp_path / "child", uninterrupted, QUIET)
    described = folder.describe(tmp_path / "child")
    assert described.model.dim == cfg.model.dim
    assert described.model.dropout == 0.3
    parent, tuned = load(uninterrupted), load(tmp_path / "child")
    added = tuned.tokenizers.target.size - parent.tokenizers.target.size
    assert 0 < added <= 5
    leaves = map(jax.tree.leaves, (parent.params, tuned.params))
    for a, b in zip(*leaves, strict=True):
        assert len(b) - len(a) in (0, added)
        np.testing.assert_allclose(a, b[: len(a)], atol=1e-9)
    rate = optimizers.schedule(optimizer, cfg.training.steps)
    said = [r["learning rate"] for r in reports(tmp_path / "child") if "skipped" in r]
    assert said == pytest.approx([np.asarray(rate(step)).item() for step in (8, 9)])


def test_updates_that_are_not_finite_are_skipped_and_end_the_run(cfg, tmp_path):
    optimizer = dataclasses.replace(cfg.optimizer, peak=1e30, warmup=1)
    cfg = dataclasses.replace(cfg, optimizer=optimizer)
    cfg = with_training(cfg, steps=40, eval_every=40, log_every=1)
    with pytest.raises(InputError, match=r"optimizer.peak below 1e\+30"):
        fit(cfg, tmp_path / "run", None, QUIET)
    assert 0 < max(report["skipped"] for report in reports(tmp_path / "run")) < 40


def test_a_batch_that_does_not_fit_says_what_to_change(cfg):
    with pytest.raises(InputError) as raised, update.fitting(cfg.data):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")
    message = str(raised.value)
    assert "data.tokens=128" in message and "data.accumulate" in message
    assert "if a checkpoint is saved already, with another --out" in message
    with pytest.raises(jax.errors.JaxRuntimeError), update.fitting(cfg.data):
        raise jax.errors.JaxRuntimeError("INTERNAL: bug")
