"""The first translation of a fresh process, from its start to its end, imports and all.

    python translate.py MODEL TEXT

with an empty cache folder and once more with what that left there; and each rival's
script with --text, its network converted before.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import Spread
from benchmarks.servers import ROOT, Failed, last_line

COLD, WARM = "ours, nothing compiled yet", "ours, compiled before"


def seconds(
    model: Path, text: str, rivals: dict[str, list[str]], rounds: int
) -> dict[str, Spread]:
    """Of each, in turns.

    Args:
        rivals: how they are called, but for the text.

    Raises:
        Failed: if one translates nothing.
    """
    ours = [sys.executable, "translate.py", str(model.absolute()), text]
    lines = {COLD: ours, WARM: ours}
    lines |= {name: [*line, "--text", text] for name, line in rivals.items()}
    found: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            for name, line in lines.items():
                found[name].append(_seconds(line, cache))
    return {name: measure.spread(times) for name, times in found.items()}


def _seconds(line: list[str], cache: str) -> float:
    environment = os.environ | {"XDG_CACHE_HOME": cache}
    start = time.perf_counter()
    done = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8"
    )
    taken = time.perf_counter() - start
    if done.returncode or not done.stdout.strip():
        raise Failed(f"{line[1]}: {last_line(done.stderr, done.returncode)}")
    return taken


def table(found: dict[str, Spread]) -> str:
    """In Markdown."""
    lines = ["| first translation of a process | s |", "|---|---|"]
    for name, (median, least, most) in found.items():
        lines.append(f"| {name} | {median:.2f} ({least:.2f} to {most:.2f}) |")
    return "\n".join(lines) + "\n"
