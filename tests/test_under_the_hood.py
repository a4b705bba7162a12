"""The commands that the story under the hood is told with are commands that work."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import tiny

import train
import translate
from transformer import folder, scripts, weights
from transformer.config import (
    Config,
    DataConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.folder import Description

STORY = Path(__file__).parents[1] / "docs" / "under-the-hood.md"
COMMANDS = re.findall(r"^\$ python (\S+)\.py ?(.*)$", STORY.read_text("utf-8"), re.M)
TRANSLATIONS = [words for script, words in COMMANDS if script == "translate"]
TRAININGS = [words for script, words in COMMANDS if script == "train"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model folder that stands for the one that the story begins with."""
    path = tmp_path_factory.mktemp("story") / "model"
    translator = tiny.translator()
    cfg = Config(
        model=translator.model.cfg,
        data=DataConfig(max_length=tiny.LONGEST),
        optimizer=OptimizerConfig(peak=1e-3, warmup=1),
        training=TrainingConfig(steps=1),
    )
    size = translator.tokenizers.target.size
    described = Description(cfg, (size, size), {})
    folder.create(path, described, translator.tokenizers)
    saved = weights.of(path)
    saved.save(1, {weights.NAME: translator.params}, {"step": 1})
    saved.wait()
    return path


@pytest.mark.parametrize("words", TRANSLATIONS)
def test_a_command_of_the_story_works(words, model, tmp_path, monkeypatch, capfdbinary):
    shutil.copytree(model, tmp_path / "runs" / "quickstart")
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(words)
    monkeypatch.setattr(sys, "argv", ["translate.py", *arguments])
    assert scripts.run(translate.main) == 0
    out, _ = capfdbinary.readouterr()
    assert out.decode().strip()
    if "--html" in arguments:
        page = tmp_path / arguments[arguments.index("--html") + 1]
        assert page.read_text("utf-8").rstrip().endswith("</html>")


def test_the_story_tells_of_training_in_words_that_train_py_knows():
    assert len(TRAININGS) == 2
    for words in TRAININGS:
        assert train.parse(shlex.split(words)).config.model.dim == 128


def test_the_pictures_of_the_story_are_there():
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", STORY.read_text("utf-8"))
    assert pictures
    assert all((STORY.parent / picture).is_file() for picture in pictures)
