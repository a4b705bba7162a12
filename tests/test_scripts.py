"""What the shell sees of a script: exit code, messages, output."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transformer import devices, scripts
from transformer.errors import InputError

ROOT = Path(__file__).parents[1]

ENDLESS = """
import sys
from transformer import scripts, streams

def main(console):
    while True:
        streams.write("line")

sys.exit(scripts.run(main))
"""


@pytest.fixture(autouse=True)
def process_as_it_is(monkeypatch):
    """Leaves the settings of this process alone."""
    monkeypatch.setattr(devices, "keep_compiled_programs", lambda: None)
    monkeypatch.setattr("logging.basicConfig", lambda **options: None)


def raising(error):
    def main(console):
        raise error

    return main


def test_success_is_zero_and_silent(capsys):
    assert scripts.run(lambda console: None) == 0
    assert capsys.readouterr() == ("", "")


def test_messages_go_to_standard_error(capsys):
    scripts.run(lambda console: console.print("working"))
    assert capsys.readouterr() == ("", "working\n")


def test_bad_input_is_two_and_its_message_is_written_as_it_is(capsys):
    message = "No [bold]file[/bold] :smile: " + "word " * 40 + "end."
    assert scripts.run(raising(InputError(message))) == 2
    output, errors = capsys.readouterr()
    assert not output
    assert errors == f"Error: {message}\n"


@pytest.mark.parametrize(
    "error, message",
    [
        (KeyboardInterrupt(), "Interrupted."),
        (KeyboardInterrupt("Saved at [step] 7."), "Saved at [step] 7."),
    ],
)
def test_an_interruption_is_130_and_says_what_it_carries(capsys, error, message):
    assert scripts.run(raising(error)) == 130
    assert capsys.readouterr() == ("", f"{message}\n")


@pytest.mark.parametrize("bug", [ZeroDivisionError, ValueError, OSError])
def test_our_own_bugs_keep_their_traceback(bug):
    with pytest.raises(bug):
        scripts.run(raising(bug("ours")))


def test_compiled_programs_are_kept(monkeypatch):
    calls = []
    monkeypatch.setattr(devices, "keep_compiled_programs", lambda: calls.append(1))
    scripts.run(lambda console: None)
    assert calls


def test_a_reader_who_has_read_enough_ends_it_quietly():
    buffered = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | buffered,
    ) as script:
        assert script.stdout and script.stderr
        assert script.stdout.readline() == b"line\n"
        script.stdout.close()
        assert script.stderr.read() == b""
    assert script.returncode == 0
