"""Each experiment is a whole set of settings that makes a network."""

import json

import jax
import jax.numpy as jnp
import pytest
import sacrebleu

from transformer import experiments, settings
from transformer.config import Config
from transformer.model import Transformer

EXPERIMENTS = pytest.mark.parametrize("name", experiments.ALL)


@EXPERIMENTS
def test_an_experiment_says_what_it_is_and_has_settings(name):
    make = experiments.ALL[name]
    assert make.__name__ == name.replace("-", "_")
    assert (make.__doc__ or "").strip()
    assert isinstance(make(), Config)
    assert make() == make()


@EXPERIMENTS
def test_the_settings_of_an_experiment_can_be_written_and_read(name):
    cfg = experiments.ALL[name]()
    assert settings.from_dict(json.loads(json.dumps(settings.to_dict(cfg)))) == cfg


@EXPERIMENTS
def test_the_network_of_an_experiment_scores_every_token(name, key):
    cfg = experiments.ALL[name]()
    model = Transformer(cfg.model)
    source, target = jnp.zeros((2, 5), int), jnp.zeros((2, 7), int)
    logits, variables = jax.eval_shape(
        lambda: model.init_with_output(key, source, target, train=False)
    )
    assert logits.shape == (2, 7, cfg.model.vocab_size)
    tables = [leaf for leaf in jax.tree.leaves(variables) if leaf.ndim == 2]
    assert any(leaf.shape == (cfg.model.vocab_size, cfg.model.dim) for leaf in tables)


@EXPERIMENTS
def test_an_experiment_warms_up_and_is_evaluated_before_it_ends(name):
    cfg = experiments.ALL[name]()
    assert cfg.optimizer.warmup < cfg.training.steps
    assert cfg.training.eval_every <= cfg.training.steps


def test_experiments_differ():
    made = [make() for make in experiments.ALL.values()]
    assert all(one != other for i, one in enumerate(made) for other in made[i + 1 :])


def test_the_first_experiment_needs_no_files():
    data = experiments.quickstart().data
    for name in (*data.train, *data.valid, *data.test):
        assert name.startswith("phrasebook:")


@EXPERIMENTS
def test_the_corpora_of_an_experiment_can_have_their_languages(name):
    """Those elsewhere are not fetched: only that their names can be is looked at."""
    data = experiments.ALL[name]().data
    for corpus in (*data.train, *data.valid, *data.test):
        kind, _, rest = corpus.partition(":")
        if kind == "hf":
            sides = {data.source, data.target}
            assert set(rest.partition("#")[0].rsplit("/")[-1].split("-")) == sides
        if kind == "sacrebleu":
            pairs = sacrebleu.DATASETS[rest].langpairs
            assert f"{data.source}-{data.target}" in pairs
