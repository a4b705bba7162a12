"""Contestants of benchmarks/decode.py, each a process that answers requests.

A process of its own, because what one library does to memory and threads is no other's
affair. All inherit the cores that the benchmark may use, and take them all; who waits
for a request sleeps.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformer.errors import InputError

ROOT = Path(__file__).parents[1]
OURS = "ours"

Answer = dict[str, Any]


class Failed(Exception):
    """A contestant that gave no answer, and the last that it said."""


class Server:
    """Speaks the protocol of benchmarks/rivals/decoding.py."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log
        self.name: str = self._answer()["name"]

    def ask(self, **request: Any) -> Answer:
        """Raises `Failed` if the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the log says why
        return self._answer()

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return json.loads(line)
        status = self._process.wait()
        raise Failed(last_line(self._log.read_text("utf-8", "replace"), status))


def last_line(said: str, status: int) -> str:
    """What a process that ended with `status` has to say for itself."""
    lines = said.strip().splitlines()
    return lines[-1] if lines else f"status {status}"


class Contestants:
    """Those that run, and why the others are missing."""

    def __init__(self) -> None:
        self.running: dict[str, Server] = {}
        self.missing: dict[str, str] = {}

    def ask(self, **request: Any) -> dict[str, Answer]:
        """Asks all, one after another; who fails is missing from then on.

        Raises:
            InputError: if that is us.
        """
        answers = {}
        for name, server in list(self.running.items()):
            try:
                answers[name] = server.ask(**request)
            except Failed as error:
                self.lose(name, str(error))
        return answers

    def lose(self, name: str, reason: str) -> None:
        if name == OURS:
            raise InputError(f"Our own run failed: {reason}")
        self.running.pop(name, None)
        self.missing[name] = reason


@contextmanager
def serving(lines: dict[str, list[str]]) -> Iterator[Contestants]:
    """Starts what can be started, and ends it."""
    contestants = Contestants()
    processes: list[subprocess.Popen[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number, (name, line) in enumerate(lines.items()):
                log = Path(folder) / str(number)
                try:
                    processes.append(_process(line, log))
                    contestants.running[name] = Server(processes[-1], log)
                except (OSError, Failed) as error:
                    contestants.lose(name, str(error))
            yield contestants
        finally:
            for process in processes:
                process.communicate()  # closes its input, and it ends


def _process(line: list[str], log: Path) -> subprocess.Popen[str]:
    with log.open("w") as said:
        return subprocess.Popen(
            line,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            encoding="utf-8",
        )
