"""The script's own part: what a half-done file belongs to."""

import subprocess
import sys
from pathlib import Path

import pytest

import translate

ROOT = Path(__file__).parents[1]


@pytest.fixture
def model(tmp_path):
    seal = tmp_path / "weights" / "3" / "seal.json"
    seal.parent.mkdir(parents=True)
    seal.write_text("{}")
    return tmp_path


def test_two_processes_name_a_half_done_file_alike(model):
    code = (
        "import sys, pathlib, translate\n"
        "command = translate.Command(model=pathlib.Path(sys.argv[1]))\n"
        "print(translate.settings(command))"
    )

    def marked():
        call = [sys.executable, "-c", code, str(model)]
        return subprocess.check_output(call, cwd=ROOT, text=True)

    assert marked() == marked() != ""


@pytest.mark.parametrize("change", [{"beam": 2}, {"json": True}, {"sample": True}])
def test_what_changes_the_translation_changes_the_mark(model, change):
    one, other = (translate.Command(model=model, **c) for c in ({}, change))
    assert translate.settings(one) != translate.settings(other)


def test_other_weights_change_the_mark(model):
    command = translate.Command(model=model)
    before = translate.settings(command)
    (model / "weights" / "3" / "seal.json").write_text('{"file": "0"}')
    assert translate.settings(command) != before
