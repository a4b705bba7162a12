"""Ours against the rivals: python -m benchmarks.compare --model tiny --regime dense.

Everyone takes turns, A B C A B C, each turn a short run in a process of its own, so
that a machine which slows down slows down all. A turn's rate is the median of its
windows in target tokens per second without padding; the table shows the median turn,
the slowest and the fastest, and the share of the rate that the machine's large matrix
products would allow (measured in our own turns, the best of them). Where we compute in
bfloat16 on request, each rival does so once, and once in float32: it may be the faster
in either. A rival that cannot run, for want of PyTorch for example, is named and left
out.
"""

import dataclasses
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from benchmarks import cli, measure, pairs
from benchmarks.work import CommonWork, Dtype
from transformer.errors import InputError

ROOT = Path(__file__).parents[1]
OURS = "ours"
RIVALS = {
    "torch.nn.Transformer": "torch_transformer.py",
    "Marian (Hugging Face)": "marian.py",
}

Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Command:
    work: Annotated[CommonWork, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=CommonWork
    )
    dtype: Dtype = "auto"
    """Type of the products; auto is float32 on a CPU and bfloat16 elsewhere."""
    rounds: int = 3
    """Turns that each takes."""
    seconds: float = 10.0
    """Timed in each turn, about."""
    windows: int = 3
    """Of each turn, of which the median counts."""
    rivals_python: str = sys.executable
    """The Python that has benchmarks/rivals/requirements.txt."""
    json: Path | None = None
    """Also writes the figures there."""


class _Failed(Exception):
    """A turn that gave no figures."""


def measured(command: Command) -> Result:
    """The figures of each contestant, and why others have none."""
    lines = _command_lines(command)
    turns: dict[str, list[Result]] = {name: [] for name in lines}
    skipped: dict[str, str] = {}
    for _ in range(command.rounds):
        for name in [name for name in lines if name not in skipped]:
            try:
                turns[name].append(_turn(lines[name]))
            except _Failed as error:
                if name == OURS:
                    raise InputError(f"Our own run failed: {error}") from error
                skipped[name] = str(error)
    limit = max(turn["limit_tokens_per_second"] for turn in turns[OURS])
    rates = {
        name: [turn["tokens_per_second"] for turn in turns[name]]
        for name in lines
        if name not in skipped
    }
    return {
        "work": dataclasses.asdict(command.work) | {"dtype": command.dtype},
        "device": turns[OURS][0]["device"],
        "limit_tokens_per_second": limit,
        "rates": {n: measure.spread(r)._asdict() for n, r in rates.items()},
        "ratio": _ratio(rates),
        "skipped": skipped,
    }


def _ratio(rates: dict[str, list[float]]) -> float | None:
    """Ours over the fastest rival; None without one."""
    medians = {name: measure.spread(values).median for name, values in rates.items()}
    ours = medians.pop(OURS)
    return ours / max(medians.values()) if medians else None


def _command_lines(command: Command) -> dict[str, list[str]]:
    """How each contestant is called; all understand the same flags."""
    chosen = dataclasses.asdict(command.work)
    chosen |= {"seconds": command.seconds, "windows": command.windows}
    own = [sys.executable, "-m", "benchmarks.train"]
    lines = {OURS: own + _flags(chosen | {"dtype": command.dtype})}
    if command.work.regime == "real":
        chosen["pairs"] = pairs.file(command.work.vocabulary)
    dtypes = {"": command.dtype}
    if command.dtype == "bfloat16":
        dtypes[", float32"] = "float32"
    for ending, dtype in dtypes.items():
        for name, file in RIVALS.items():
            script = str(ROOT / "benchmarks" / "rivals" / file)
            flags = _flags(chosen | {"dtype": dtype})
            lines[name + ending] = [command.rivals_python, script, *flags]
    return lines


def _flags(chosen: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in chosen.items() if value is not None}
    return [text for name, value in given.items() for text in (f"--{name}", str(value))]


def _turn(line: list[str]) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        try:
            done = subprocess.run(
                [*line, "--json", str(file)], cwd=ROOT, capture_output=True, text=True
            )
        except OSError as error:
            raise _Failed(str(error)) from error
        if done.returncode:
            said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise _Failed(said[-1])
        return json.loads(file.read_text("utf-8"))


def report(result: Result) -> str:
    """The table for people."""
    limit = result["limit_tokens_per_second"]
    work = ", ".join(f"{k} {v}" for k, v in result["work"].items() if v is not None)
    columns = f"{'median':>9}{'slowest':>9}{'fastest':>9}   of the limit"
    lines = [work, result["device"], f"{'target tokens/s':32}{columns}"]
    for name, rate in result["rates"].items():
        figures = "".join(f"{rate[key]:9,.0f}" for key in ("median", "least", "most"))
        lines.append(f"{name:32}{figures}   {rate['median'] / limit:.1%}")
    for name, reason in result["skipped"].items():
        lines.append(f"{name:32}left out: {reason}")
    if result["ratio"] is None:
        lines.append("No rival could run.")
    else:
        lines.append(f"ours / fastest rival            {result['ratio']:9.2f}")
    return "\n".join(lines)


def main(command: Command) -> None:
    result = measured(command)
    print(report(result))
    if command.json:
        command.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
