"""Settings: refused with the reason, written and read back, compared."""

import copy
import dataclasses
import json
import math
import re

import pytest

from transformer import settings
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.errors import InputError

SMALL = Config(
    model=ModelConfig(vocab_size=50, dim=16, num_heads=2),
    optimizer=OptimizerConfig(peak=1e-3, warmup=10),
    training=TrainingConfig(steps=20),
)
POSITIVE = [
    *[("model", name) for name in ("vocab_size", "dim", "hidden_dim", "num_heads")],
    *[("model", name) for name in ("encoder_layers", "decoder_layers")],
    *[("model", name) for name in ("max_positions", "source_vocab_size")],
    *[("data", name) for name in ("max_length", "tokens", "accumulate")],
    ("data", "tokenizer_sentences"),
    *[("optimizer", name) for name in ("peak", "warmup", "eps", "max_norm")],
    *[("training", name) for name in ("steps", "log_every", "eval_every")],
    *[("training", name) for name in ("eval_sentences", "average", "patience")],
]
SHARES = [
    ("model", "dropout"),
    ("optimizer", "b1"),
    ("optimizer", "b2"),
    ("training", "label_smoothing"),
]
OTHER = {
    "model": {"source_vocab_size": 40, "norm": "pre", "activation": "swiglu"},
    "data": {
        "train": ("a.tsv", "b"),
        "test": ("b.tsv",),
        "target": "de",
        "tokenizer": "unigram",
    },
    "optimizer": {"schedule": "cosine", "weight_decay": 0.25},
    "training": {"patience": 3, "seed": 7, "precision": "bfloat16", "metric": "bleu"},
}


def changed(section, **others):
    """`SMALL` with other settings in one section."""
    part = dataclasses.replace(getattr(SMALL, section), **others)
    return dataclasses.replace(SMALL, **{section: part})


def all_changed():
    cfg = SMALL
    for section, other in OTHER.items():
        part = dataclasses.replace(getattr(cfg, section), **other)
        cfg = dataclasses.replace(cfg, **{section: part})
    return cfg


@pytest.mark.parametrize(("section", "name"), POSITIVE)
def test_sizes_and_counts_below_one_are_refused_by_name(section, name):
    kind = float if name in ("peak", "eps", "max_norm") else int
    for value in (kind(0), kind(-1)):
        with pytest.raises(
            InputError, match=f"^{section}.{name}={value} must be above zero"
        ):
            changed(section, **{name: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["peak", "eps", "max_norm", "weight_decay"])
def test_rates_and_bounds_that_are_no_numbers_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"^optimizer.{name}={value} must be"):
        changed("optimizer", **{name: value})


@pytest.mark.parametrize("pattern", ["(encoder", "a{99999999999}"])
def test_a_pattern_that_is_none_is_refused(pattern):
    said = rf"freeze=.* has {re.escape(repr(pattern))}, which is no regular"
    with pytest.raises(InputError, match=said):
        changed("optimizer", freeze=("decoder", pattern))


def test_weight_decay_may_be_zero_but_not_below():
    assert changed("optimizer", weight_decay=0.0).optimizer.weight_decay == 0
    with pytest.raises(InputError, match="^optimizer.weight_decay=-0.1 must be 0 or"):
        changed("optimizer", weight_decay=-0.1)


def test_seeds_that_another_seed_would_stand_for_are_refused():
    for seed in (0, 2**32 - 1):
        assert changed("training", seed=seed).training.seed == seed
    for seed in (-1, 2**32):
        with pytest.raises(InputError, match=f"^training.seed={seed} must be from 0"):
            changed("training", seed=seed)


@pytest.mark.parametrize(
    ("section", "name"),
    [
        *[("model", name) for name in ("norm", "activation", "positions")],
        *[("data", "tokenizer"), ("optimizer", "schedule")],
        *[("training", name) for name in ("precision", "metric")],
    ],
)
def test_a_choice_that_there_is_none_is_refused_with_those_there_are(section, name):
    there = getattr(getattr(SMALL, section), name)
    part = copy.copy(getattr(SMALL, section))
    vars(part)[name] = "odd"  # past the types, which only tests check
    with pytest.raises(InputError, match=f"^{section}.{name}=odd .*{there}"):
        part.__post_init__()


def test_a_cosine_schedule_must_have_time_to_fall():
    def cosine(warmup):
        optimizer = OptimizerConfig(peak=1e-3, warmup=warmup, schedule="cosine")
        return dataclasses.replace(SMALL, optimizer=optimizer)

    assert cosine(SMALL.training.steps).optimizer.warmup == SMALL.training.steps
    with pytest.raises(InputError, match="optimizer.warmup=21.*training.steps=20"):
        cosine(21)


@pytest.mark.parametrize("schedule", ["inverse_sqrt", "constant"])
def test_other_schedules_may_end_while_they_rise(schedule):
    assert changed("optimizer", schedule=schedule, warmup=10**6)


@pytest.mark.parametrize(("section", "name"), SHARES)
def test_shares_outside_their_range_are_refused_by_name(section, name):
    for value in (-0.1, 1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match=f"^{section}.{name}={value} must be in"):
            changed(section, **{name: value})
    assert getattr(getattr(changed(section, **{name: 0.0}), section), name) == 0.0


@pytest.mark.parametrize(("dim", "heads"), [(15, 1), (16, 3), (24, 8)])
def test_heads_must_share_the_width_evenly(dim, heads):
    with pytest.raises(InputError, match=f"dim={dim}.*twice.*num_heads={heads}"):
        changed("model", dim=dim, num_heads=heads)


def test_a_batch_must_hold_the_longest_sentence():
    assert DataConfig(tokens=64, max_length=64).budget == 64
    assert DataConfig(tokens="auto").tokens == "auto"
    with pytest.raises(InputError, match="tokens=63 .*max_length=64.*Raise"):
        DataConfig(tokens=63, max_length=64)


def test_a_language_is_not_translated_into_itself():
    with pytest.raises(InputError, match="both 'de'"):
        DataConfig(source="de", target="de")


def test_no_patience_is_never_stopping():
    assert SMALL.training.patience is None
    assert changed("training", patience=1).training.patience == 1


def test_settings_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.model.dim = 32  # type: ignore[misc]


@pytest.mark.parametrize("cfg", [SMALL, all_changed()])
def test_what_is_read_from_json_is_what_was_written(cfg):
    assert settings.from_dict(json.loads(json.dumps(settings.to_dict(cfg)))) == cfg


@pytest.mark.parametrize("section", ["model", "data", "optimizer", "training"])
def test_an_unknown_setting_is_refused_by_name(section):
    values = settings.to_dict(SMALL)
    values[section]["novelty"] = 1
    with pytest.raises(
        InputError, match=f"another version.*'{section}.novelty' is unknown"
    ):
        settings.from_dict(values)


def test_for_an_unknown_name_the_nearest_one_is_suggested():
    values = settings.to_dict(SMALL)
    values["optimizer"]["peek"] = values["optimizer"].pop("peak")
    with pytest.raises(InputError, match="'optimizer.peek'.*mean 'optimizer.peak'"):
        settings.from_dict(values)
    values = settings.to_dict(SMALL)
    values["optimiser"] = values.pop("optimizer")
    with pytest.raises(InputError, match="'optimiser'.*mean 'optimizer'"):
        settings.from_dict(values)


def test_an_unknown_section_is_refused_by_name():
    with pytest.raises(InputError, match="another version.*'novelty' is unknown"):
        settings.from_dict(settings.to_dict(SMALL) | {"novelty": {"a": 1}})


@pytest.mark.parametrize("section", ["model", "data", "optimizer", "training"])
@pytest.mark.parametrize("content", [None, 7, [], "text"])
def test_a_section_that_is_none_is_refused_by_name(section, content):
    with pytest.raises(InputError, match=f"'{section}' is .*not a section"):
        settings.from_dict(settings.to_dict(SMALL) | {section: content})


def test_a_setting_of_the_wrong_type_is_refused():
    values = settings.to_dict(SMALL)
    values["model"]["dim"] = "16"
    with pytest.raises(InputError, match="another version.*wrong type"):
        settings.from_dict(values)


def test_a_setting_that_is_left_out_has_its_default():
    values = settings.to_dict(SMALL)
    del values["data"]["train"], values["training"]["seed"]
    assert settings.from_dict(values) == SMALL


@pytest.mark.parametrize("section", ["model", "data", "optimizer", "training"])
def test_a_missing_section_is_named(section):
    values = settings.to_dict(SMALL)
    del values[section]
    with pytest.raises(InputError, match=f"another version.*'{section}'"):
        settings.from_dict(values)


def test_a_missing_setting_without_default_is_named():
    values = settings.to_dict(SMALL)
    del values["optimizer"]["peak"]
    with pytest.raises(InputError, match="'optimizer.peak' is missing"):
        settings.from_dict(values)


def test_settings_that_are_read_are_validated():
    values = settings.to_dict(SMALL)
    values["training"]["steps"] = 0
    with pytest.raises(InputError, match="steps=0"):
        settings.from_dict(values)


def test_equal_settings_have_no_differences():
    assert (
        settings.differences(SMALL, settings.from_dict(settings.to_dict(SMALL))) == []
    )


def test_each_difference_is_a_flag_with_both_values():
    assert settings.differences(SMALL, changed("model", dim=32)) == [
        "--model.dim 32 (was 16)"
    ]
    lines = settings.differences(SMALL, all_changed())
    flags = {line.split()[0] for line in lines}
    expected = {f"--{part}.{name}" for part, names in OTHER.items() for name in names}
    assert flags == expected
    assert "--training.patience 3 (was None)" in lines


@pytest.mark.parametrize(
    "sampling",
    [
        {"segmentations": 2},
        {"subword_dropout": 0.1},
        {"segmentations": 0, "subword_dropout": 0.1},
        {"segmentations": 2, "subword_dropout": 1.0},
        {"segmentations": 2, "tokenizer": "unigram"},
        {"subword_alpha": 0.2, "tokenizer": "unigram"},
        {"segmentations": 2, "subword_alpha": 0.0, "tokenizer": "unigram"},
        {"segmentations": 2, "subword_alpha": math.nan, "tokenizer": "unigram"},
    ],
    ids=str,
)
def test_segmentations_and_what_makes_them_go_together(sampling):
    with pytest.raises(InputError, match="segmentations|subword_"):
        DataConfig(**sampling)
    DataConfig(segmentations=2, subword_dropout=0.1)
    DataConfig(segmentations=2, subword_alpha=0.2, tokenizer="unigram")


@pytest.mark.parametrize(
    ("sampling", "right"),
    [
        ({"tokenizer": "bpe", "subword_alpha": 0.1}, "subword_dropout"),
        ({"tokenizer": "unigram", "subword_dropout": 0.1}, "subword_alpha"),
        ({"subword_dropout": 0.1, "subword_alpha": 0.1}, "subword_dropout"),
    ],
    ids=str,
)
def test_each_tokenizer_has_its_own_sampling(sampling, right):
    with pytest.raises(InputError, match=f"^data.subword_.*tokenizer=.*data.{right}"):
        DataConfig(segmentations=2, **sampling)


def test_settings_of_older_folders_have_no_subword_alpha():
    values = settings.to_dict(SMALL)
    del values["data"]["subword_alpha"]
    assert settings.from_dict(values) == SMALL


def test_two_readings_need_dropout_to_differ():
    with pytest.raises(InputError, match="consistency=5.0 .* Give model.dropout"):
        dataclasses.replace(
            changed("model", dropout=0.0),
            training=TrainingConfig(steps=20, consistency=5.0),
        )
