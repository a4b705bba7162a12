"""One model of several languages: learnt, asked, refused, continued."""

import dataclasses
import json
from functools import partial

import numpy as np
import pytest
from rich.console import Console

import translate
from transformer import dataset, experiments, finetuning, folder
from transformer.config import DataConfig, OptimizerConfig, TrainingConfig
from transformer.errors import InputError
from transformer.fit import fit as fit_on
from transformer.loading import load

QUIET = Console(quiet=True)
GERMAN = {"dog": "Hund", "cat": "Katze", "bird": "Vogel"}
HINDI = {"dog": "कुत्ता", "cat": "बिल्ली", "bird": "पक्षी"}
PAIRS = [(a, b) for a in GERMAN for b in GERMAN]

fit = partial(fit_on, init_from=None, console=QUIET, mesh="data=1")


@pytest.fixture(scope="module")
def cfg(tmp_path_factory):
    """English to German and Hindi, and German to English."""
    path = tmp_path_factory.mktemp("corpora")
    for name, side, lines in (
        ("de", "en", [f"the {a} likes the {b}" for a, b in PAIRS]),
        ("de", "de", [f"{GERMAN[a]} mag {GERMAN[b]}" for a, b in PAIRS]),
        ("hi", "en", [f"a {a} and a {b}" for a, b in PAIRS]),
        ("hi", "hi", [f"{HINDI[a]} और {HINDI[b]}" for a, b in PAIRS]),
    ):
        (path / f"{name}.{side}").write_text("\n".join(lines) + "\n")
    names = (f"{path}/de:en-de", f"{path}/hi:en-hi@2", f"{path}/de:de-en")
    quickstart = experiments.quickstart()
    sizes = {"dim": 32, "hidden_dim": 32, "encoder_layers": 1, "decoder_layers": 1}
    return dataclasses.replace(
        quickstart,
        model=dataclasses.replace(
            quickstart.model, vocab_size=330, num_heads=2, dropout=0.0, **sizes
        ),
        data=DataConfig(
            train=names,
            valid=tuple(name.removesuffix("@2") for name in names),
            tokens=256,
            max_length=64,
            keep=("overlap",),
        ),
        optimizer=OptimizerConfig(peak=1e-2, warmup=20),
        training=TrainingConfig(
            steps=150, eval_every=75, eval_sentences=2, average=1, label_smoothing=0.0
        ),
    )


@pytest.fixture(scope="module")
def model(cfg, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "three"
    fit(cfg, path)
    return path


@pytest.fixture(scope="module")
def translator(model):
    return load(model)


@pytest.mark.parametrize(
    ("text", "to", "expected"),
    [
        ("the dog likes the cat", "de", "Hund mag Katze"),
        ("a dog and a cat", "hi", "कुत्ता और बिल्ली"),
        ("Vogel mag Hund", "en", "the bird likes the dog"),
    ],
)
def test_one_model_translates_in_all_directions_of_its_corpora(
    translator, text, to, expected
):
    (found,) = translator.translate([text], to=to)
    assert found.text == expected
    assert translator.toward(to).translate([text]) == [found]


def test_the_folder_says_what_the_model_learnt(model):
    described = folder.describe(model)
    assert described.directions == (("en", "de"), ("en", "hi"), ("de", "en"))
    assert described.targets == ("de", "hi", "en")


def test_a_model_of_several_languages_wants_to_be_told(translator):
    with pytest.raises(InputError, match="translates into de, hi, en. Say which: --to"):
        translator.translate(["the dog"])


def test_a_language_it_has_not_seen_is_refused_with_those_it_has(translator):
    with pytest.raises(InputError, match="not translate into 'fr', only into de, hi"):
        translator.translate(["the dog"], to="fr")


def test_a_translator_of_one_language_takes_that_one_only(translator):
    german = translator.toward("de")
    assert german.toward("de") is german
    with pytest.raises(InputError, match="into 'hi', only into de"):
        german.translate(["the dog"], to="hi")


def test_the_script_translates_into_the_language_named(model, monkeypatch, capsys):
    call = ["translate.py", str(model), "Hund mag Vogel", "--json", "--to"]
    monkeypatch.setattr("sys.argv", [*call, "en"])
    translate.main(QUIET)
    found = json.loads(capsys.readouterr().out)
    assert found["text"] == "the dog likes the bird"
    # The tag is no word: what is linked are words of the text.
    assert {source for source, _ in found["alignment"]} <= {0, 1, 2}
    monkeypatch.setattr("sys.argv", [*call, "fr"])
    with pytest.raises(InputError, match="only into"):
        translate.main(QUIET)


def test_each_validation_set_has_its_scores_and_their_mean_counts(model):
    lines = (model / "metrics.jsonl").read_text().splitlines()
    last = [r for r in map(json.loads, lines) if r["kind"] == "validation"][-1]
    names = ["de en-de", "hi en-hi", "de de-en"]
    for measure in ("loss", "bleu", "chrf"):
        each = [last[f"{name}/{measure}"] for name in names]
        assert last[measure] == pytest.approx(np.mean(each))


def test_back_translations_are_one_more_corpus_with_a_tag(
    cfg, model, tmp_path, monkeypatch
):
    (tmp_path / "mono.de").write_text("Hund mag\nKatze Vogel Hund mag\n")
    call = ["translate.py", str(model), "--to", "en", "--sample", "--input"]
    files = [str(tmp_path / "mono.de"), "--output", str(tmp_path / "mono.en")]
    monkeypatch.setattr("sys.argv", [*call, *files])
    translate.main(QUIET)
    names = (cfg.data.train[0], f"bt={tmp_path}/mono:en-de")
    data = dataclasses.replace(cfg.data, train=names)
    told = finetuning.tokenizers(data, model)
    known = dataset.prepare(dataclasses.replace(cfg, data=data), told)
    firsts = [known.store.source[i][:2].tolist() for i in range(known.store.size)]
    written = [[told.source.piece(id) for id in two] for two in firsts]
    assert written[-1] == ["<2de>", "<bt>"]
    assert written[0][0] == "<2de>" and written[0][1] != "<bt>"
    learnt = finetuning.directions(data, model)
    assert learnt == (("en", "de"), ("en", "hi"), ("de", "en"))
