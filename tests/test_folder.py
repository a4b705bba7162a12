"""The model folder: what is described is what was created, or one clear error."""

import json
import re
from importlib import metadata

import pytest

from transformer import folder, tokenizer
from transformer.config import Config, ModelConfig, OptimizerConfig, TrainingConfig
from transformer.errors import InputError
from transformer.folder import FORMAT, Description
from transformer.tokenizer import Tokenizers

TOKENIZER = tokenizer.train(["the dog runs"], vocab_size=300, kind="bpe")
JOINT = Tokenizers(TOKENIZER, TOKENIZER)
SMALL = Config(
    model=ModelConfig(vocab_size=300, dim=16, num_heads=2, norm="pre"),
    optimizer=OptimizerConfig(peak=1e-3, warmup=10),
    training=TrainingConfig(steps=20),
)
DESCRIPTION = Description(
    SMALL,
    (268, 270),
    {"train.en": "ab12", "train.de": "cd34"},
    (("en", "de"), ("de", "hi")),
)


@pytest.fixture
def model(tmp_path):
    """A model folder."""
    path = tmp_path / "runs" / "model"
    folder.create(path, DESCRIPTION, JOINT)
    return path


def rewrite(model, **content):
    """Changes some of what config.json says."""
    file = model / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | content), "utf-8")


def test_what_is_described_is_what_was_created(model):
    assert folder.exists(model)
    assert folder.describe(model) == DESCRIPTION


def test_a_folder_has_its_tokenizers_and_nothing_half_written(model):
    names = sorted(path.name for path in model.iterdir())
    assert names == ["config.json", "tokenizer.model"]
    assert tokenizer.load_both(model).target.model == TOKENIZER.model


def test_a_folder_can_be_moved(model, tmp_path):
    assert str(tmp_path) not in (model / "config.json").read_text("utf-8")
    moved = model.rename(tmp_path / "elsewhere")
    assert folder.describe(moved) == DESCRIPTION


def test_versions_are_written_down(model):
    versions = json.loads((model / "config.json").read_text("utf-8"))["versions"]
    assert versions["jax"] == metadata.version("jax")
    assert set(versions) == set(folder.PACKAGES)


def test_without_tokenizers_there_is_no_model(tmp_path, monkeypatch):
    def full(self, folder):
        raise OSError(28, "disk full")

    monkeypatch.setattr(Tokenizers, "save", full)
    with pytest.raises(InputError, match="model cannot be written: disk full"):
        folder.create(tmp_path / "model", DESCRIPTION, JOINT)
    assert not folder.exists(tmp_path / "model")
    assert folder.vacant(tmp_path / "model")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/model cannot be written"):
        folder.create(tmp_path / "file" / "model", DESCRIPTION, JOINT)


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        folder.vacant(tmp_path / ("x" * 300))


def test_no_run_begins_in_a_model_of_another_program(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "marian"}')
    (tmp_path / "tokenizer.model").write_text("theirs")
    assert not folder.vacant(tmp_path)


def test_a_run_may_begin_where_nothing_was_learnt_and_nothing_is_lost(model, tmp_path):
    assert folder.vacant(model) and folder.vacant(tmp_path / "new")
    for name in ("5.draft", "5.orbax-checkpoint-tmp"):  # a kill left it behind
        (model / "weights" / name).mkdir(parents=True)
        (model / "weights" / name / "seal.json").touch()
    (model / "checkpoints" / "5").mkdir(parents=True)
    assert folder.vacant(model)
    (model / "checkpoints" / "5" / "seal.json").touch()
    assert folder.begun(model) and not folder.vacant(model)
    (tmp_path / "tokenizer.model").write_text("mine")
    assert not folder.vacant(tmp_path)


def test_the_network_has_the_vocabulary_that_was_found():
    assert DESCRIPTION.model == folder.sized(SMALL.model, (268, 270))
    assert DESCRIPTION.model.vocab_size == 270
    assert DESCRIPTION.model.source_vocab_size is None
    assert DESCRIPTION.model.dim == SMALL.model.dim
    own = folder.sized(ModelConfig(vocab_size=300, source_vocab_size=300), (260, 270))
    assert (own.source_vocab_size, own.vocab_size) == (260, 270)


@pytest.mark.parametrize("name", ["none", ".", "file"])
def test_what_is_no_model_folder_is_named(tmp_path, name):
    (tmp_path / "file").write_text("text")
    path = tmp_path / name
    assert not folder.exists(path)
    with pytest.raises(InputError, match=re.escape(f"{path} is no model folder")):
        folder.describe(path)


def test_a_newer_format_is_refused_with_both_numbers(model):
    rewrite(model, format=FORMAT + 1)
    expected = f"{re.escape(str(model))} has format {FORMAT + 1}.*up to {FORMAT}"
    with pytest.raises(InputError, match=expected):
        folder.describe(model)


def test_a_newer_format_is_told_before_its_unknown_settings(model):
    rewrite(model, format=FORMAT + 1, config={"new": "settings"})
    with pytest.raises(InputError, match="newer version"):
        folder.describe(model)


def test_settings_of_another_version_are_refused(model):
    content = json.loads((model / "config.json").read_text("utf-8"))["config"]
    content["model"]["novelty"] = 1
    rewrite(model, config=content)
    with pytest.raises(InputError, match="novelty"):
        folder.describe(model)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "null", "{}", '{"format": 1}'])
def test_a_damaged_description_is_named(model, content):
    (model / "config.json").write_text(content)
    file = re.escape(str(model / "config.json"))
    with pytest.raises(InputError, match=f"{file} is damaged"):
        folder.describe(model)


@pytest.mark.parametrize("part", ["format", "config", "vocabulary", "data"])
def test_a_description_without_one_of_its_parts_is_damaged(model, part):
    content = json.loads((model / "config.json").read_text("utf-8"))
    del content[part]
    (model / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"damaged.*{part}"):
        folder.describe(model)


def test_a_truncated_description_is_damaged_wherever_it_ends(model):
    whole = (model / "config.json").read_bytes()
    for end in range(0, len(whole) - 1, 37):
        (model / "config.json").write_bytes(whole[:end])
        with pytest.raises(InputError, match="damaged"):
            folder.describe(model)
