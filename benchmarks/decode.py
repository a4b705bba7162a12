"""Decoding against CTranslate2 and Hugging Face: python -m benchmarks.decode.

Everyone has the same weights, the same sentences as ids, and the same cores. A
contestant is a process that stays; each first translates what is then measured, and
then all take turns, A B C A B C, so that a machine which slows down slows down all. The
table shows the median turn, the slowest and the fastest. What a rival writes is held
against what we write: the share of translations that are the same word for word, and
how far its log-probabilities of ours are from our own. A rival that cannot run is named
and left out.

Random weights: sources of --length tokens and outputs forced to as many. Real ones, of
a model folder given as --model: the captions of Multi30k test2016, and the time of the
first translation, from the start of a process to its end. Searches have a length
penalty of 0.6 by each toolkit's own formula, and end when as many hypotheses have
ended as the beam is wide; batches of 1 and 32 come as the file has them, and a whole
file may be sorted. The longest sentence of a batch limits all translations of a rival,
so that one which loops goes on for longer than ours.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from benchmarks import cli, latency, measure, sentences, servers
from benchmarks.measure import Spread
from benchmarks.rivals import decoding
from benchmarks.rivals.decoding import Ids
from benchmarks.sentences import Task
from benchmarks.servers import OURS, Contestants
from benchmarks.work import Work, config
from transformer.errors import InputError

SCORED = 32
"""Translations whose log-probabilities are compared."""

TEXT = "A group of people are standing in front of an igloo."
"""Whose translation is waited for."""

Result = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Command:
    model: Path | None = None
    """A model folder En-De, to translate Multi30k with as well."""
    network: Literal["tiny", "base", "big"] = "base"
    """Of the random weights."""
    layers: int | None = None
    """On each side, if not those of the network."""
    vocabulary: int = 8000
    length: int = 32
    """Tokens of each random source and of its translation, EOS included."""
    widths: tuple[int, ...] = (1, 4)
    """Of the beam; 1 is greedy."""
    batches: tuple[int | None, ...] = (1, 32, None)
    """Sentences at a time; None gives all at once."""
    rounds: int = 3
    """Turns that each takes."""
    rivals_python: str = sys.executable
    """The Python that has benchmarks/rivals/requirements.txt."""
    leave_out: tuple[str, ...] = ()
    """Rivals, or another kind of ours, by their names in the table. `Hugging Face
    bfloat16` takes many minutes where the CPU has no instructions for it."""
    json: Path | None = None
    """Also writes the figures there."""


class Row(NamedTuple):
    """How one contestant does one thing."""

    search: str
    batch: str
    name: str
    sentences: Spread
    """Per second."""
    tokens: float
    """Written per second in the median turn, EOS included."""
    ratio: float
    """Our median rate over this one."""
    same: float
    """Share of translations that are ours."""
    bleu: float | None
    """Of the whole file."""


def taking_part(command: Command, folder: Path) -> dict[str, list[str]]:
    """How each that takes part is called.

    Raises:
        InputError: if --leave-out names nobody, or us.
    """
    lines = command_lines(folder, command.rivals_python)
    for name in command.leave_out:
        if name == OURS or lines.pop(name, None) is None:
            raise InputError(
                f"--leave-out {name!r}: one of {', '.join(map(repr, list(lines)[1:]))}"
            )
    return lines


def command_lines(folder: Path, python: str) -> dict[str, list[str]]:
    """How each contestant is called; all serve, and the rivals translate a --text."""
    rivals = servers.ROOT / "benchmarks" / "rivals"
    ctranslate = [python, str(rivals / "ctranslate.py"), str(folder)]
    hugging_face = [python, str(rivals / "hf.py"), str(folder)]
    ours = [sys.executable, "-m", "benchmarks.ours", str(folder)]
    return {
        OURS: ours,
        f"{OURS}, bfloat16": [*ours, "--compute", "bfloat16"],
        f"{OURS}, exact": [*ours, "--exact"],
        "CTranslate2 float32": ctranslate,
        "CTranslate2 int8": [*ctranslate, "--compute", "int8"],
        "Hugging Face": hugging_face,
        "Hugging Face bfloat16": [*hugging_face, "--compute", "bfloat16"],
    }


def contest(command: Command, task: Task) -> Result:
    """The table of a task, and how closely the rivals compute what we compute."""
    lines = taking_part(command, task.folder)
    with servers.serving(lines) as contestants:
        names = {name: server.name for name, server in contestants.running.items()}
        rows = [
            row
            for width in command.widths
            for batch in command.batches
            for row in turns(task, width, batch, contestants, command.rounds)
        ]
        return {
            "title": task.title,
            "names": names,
            "rows": rows,
            "differences": differences(task, contestants),
            "missing": contestants.missing,
        }


def turns(
    task: Task,
    width: int,
    batch: int | None,
    contestants: Contestants,
    rounds: int,
) -> list[Row]:
    """Everyone once to warm up, and then in rounds."""
    request = {
        "sources": task.sources[: task.counts[batch]],
        "batch": batch,
        "width": width,
        "forced": task.forced,
    }
    first = contestants.ask(**request)
    later = [contestants.ask(**request) for _ in range(rounds)]
    count = len(request["sources"])
    written = {name: first[name]["targets"] for name in later[-1]}
    for name, targets in written.items():
        if not _as_long_as_asked(task, targets):
            raise InputError(f"{name} wrote translations of other than forced lengths.")
    rates = {
        name: measure.spread([count / turn[name]["seconds"] for turn in later])
        for name in written
    }
    return [
        Row(
            search="greedy" if width == 1 else f"beam {width}",
            batch="file" if batch is None else str(batch),
            name=name,
            sentences=rates[name],
            tokens=rates[name].median * _tokens(task, targets),
            ratio=rates[OURS].median / rates[name].median,
            same=_same(task, targets, written[OURS]),
            bleu=task.bleu(targets) if task.bleu and batch is None else None,
        )
        for name, targets in written.items()
    ]


def _tokens(task: Task, targets: list[Ids]) -> float:
    """Of a translation in the mean, EOS included."""
    return task.forced or float(np.mean([len(ids) + 1 for ids in targets]))


def _as_long_as_asked(task: Task, targets: list[Ids]) -> bool:
    """Whether they have the forced length; rivals count no EOS, ours end with one."""
    lengths = {len(ids) for ids in targets}
    return task.forced is None or lengths <= {task.forced - 1, task.forced}


def _same(task: Task, targets: list[Ids], others: list[Ids]) -> float:
    """The share that is alike; if the length is forced, but for the last token, where
    we write EOS and the rivals a word."""
    words = task.forced - 1 if task.forced else None
    both = zip(targets, others, strict=True)
    return float(np.mean([one[:words] == other[:words] for one, other in both]))


def differences(task: Task, contestants: Contestants) -> dict[str, float]:
    """The largest from our own log-probabilities of our greedy translations."""
    sources = task.sources[:SCORED]
    search = {"batch": None, "width": 1, "forced": task.forced}
    targets = contestants.ask(sources=sources, **search)[OURS]["targets"]
    found = {
        name: np.concatenate(answer["log_probs"])
        for name, answer in contestants.ask(sources=sources, targets=targets).items()
    }
    ours = found.pop(OURS)
    return {name: float(np.abs(rival - ours).max()) for name, rival in found.items()}


def table(result: Result) -> str:
    """In Markdown."""
    lines = [
        f"{result['title']}; {'; '.join(result['names'].values())}\n",
        "| search | batch | | sentences/s | output tokens/s | ours / theirs | same as "
        "ours | BLEU |",
        "|---" * 8 + "|",
    ]
    for row in result["rows"]:
        median, least, most = row.sentences
        bleu = "" if row.bleu is None else f"{row.bleu:.2f}"
        lines.append(
            f"| {row.search} | {row.batch} | {row.name} | {median:.2f} ({least:.2f} to "
            f"{most:.2f}) | {row.tokens:,.0f} | {row.ratio:.2f} | {row.same:.1%} | "
            f"{bleu} |"
        )
    lines.append("")
    for name, most in result["differences"].items():
        lines.append(
            f"{name}: log-probabilities differ from ours by {most:.1e} at most"
        )
    for name, reason in result["missing"].items():
        lines.append(f"{name}: missing, {reason}")
    return "\n".join(lines) + "\n"


def plain(result: Result) -> Result:
    """With a dictionary for each row."""
    rows = [
        row._asdict() | {"sentences": row.sentences._asdict()} for row in result["rows"]
    ]
    return result | {"rows": rows}


def results(command: Command, scratch: Path) -> Iterator[tuple[str, Result, str]]:
    """Each part by its name, with the text for people."""
    work = Work(
        model=command.network, layers=command.layers, vocabulary=command.vocabulary
    )
    cfg = config(work, command.vocabulary).model
    folder = _folder(scratch / "random")
    found = contest(command, sentences.random(cfg, command.length, folder))
    yield "random", plain(found), table(found)
    if command.model is None:
        return
    task = sentences.captions(command.model, _folder(scratch / "captions"))
    found = contest(command, task)
    yield "captions", plain(found), table(found)
    lines = taking_part(command, task.folder)
    rivals = {
        name: line
        for name, line in lines.items()
        if not name.startswith(OURS) and name not in found["missing"]
    }
    seconds = latency.seconds(command.model, TEXT, rivals, command.rounds)
    figures = {name: spread._asdict() for name, spread in seconds.items()}
    yield "first translation", figures, latency.table(seconds)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def main(command: Command) -> None:
    figures: Result = {"cores": decoding.cores(), "load": [os.getloadavg()[0]]}
    with tempfile.TemporaryDirectory() as scratch:
        for name, result, text in results(command, Path(scratch)):
            figures[name] = result
            print(text, flush=True)
    if command.model is None:
        print("Multi30k and the first translation: left out without --model DIR.")
    figures["load"].append(os.getloadavg()[0])
    before, after = figures["load"]
    print(f"{figures['cores']} cores; load {before:.1f} before, {after:.1f} after")
    if command.json:
        command.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
