"""Translates with a trained model.

    python translate.py MODEL "how are you"               arguments
    cat FILE | python translate.py MODEL                  standard input, line by line
    python translate.py MODEL --input FILE --output FILE  a file, resumable
    ... --input FILE --output FILE --shard 0/2            half of it; 1/2 is the rest
    python translate.py MODEL --input FILE --reference FILE   BLEU, chrF and TER
    python translate.py MODEL --score FILE                how likely translations are
    python translate.py MODEL --verify FILE               checked against the reference
    python translate.py MODEL --explain TEXT              what happens on the way

Standard output carries the translations, one line for each line in, or the scores.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console
from rich.progress import track

from transformer import (
    corpora,
    insights,
    judgement,
    scripts,
    shards,
    streams,
    verification,
    weights,
)
from transformer.cleaning import Pair
from transformer.errors import InputError
from transformer.insights import Views
from transformer.options import Demands, Search
from transformer.orders import Order
from transformer.shards import ALONE
from transformer.strategies import Beam
from transformer.translator import Translator

unprefixed = tyro.conf.arg(name="")

OTHERS = "tokens", "score", "verify"
"""What can be asked instead of translations, besides `Views`."""

FILES = "reference", "against", "output", "input"
"""What belongs to a file that is translated."""


@dataclass(frozen=True, kw_only=True)
class Command:
    model: tyro.conf.Positional[Path]
    """A model folder, as train.py makes it."""
    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """What to translate; without any, standard input is read."""
    input: Path | None = None
    """A text file to translate, also .gz, .xz, .zst or .bz2."""
    output: Path | None = None
    """Where its translation goes, compressed as its ending says."""
    reference: Path | None = None
    """A translation of --input by people, to score ours: print BLEU, chrF and TER."""
    against: Path | None = None
    """Another translation of --input: print too how likely chance sets them apart."""
    shard: Annotated[str, tyro.conf.arg(metavar="I/N")] = str(ALONE)
    """Do share I of N, counted from 0; the last to finish joins them in --output."""
    processes: int | None = None
    """Of a file, on a CPU: each translates parts of it on a core of its own. By default
    as many as there are cores, parts, and memory; for a share one."""
    to: str | None = None
    """The language to translate into, of a model that has several."""
    others: tuple[Path, ...] = ()
    """More models with the same tokenizer: the mean of all decides."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products; bfloat16 is faster where the processor has it."""
    fast: bool = False
    """Faster for few lines, but translations may depend on what comes with them."""
    json: bool = False
    """One object a line: text, score, confidence, tokens, alignment, warnings …"""
    alignments: bool = False
    """Also which words belong together: `ein Hund ||| 0-0 1-1`."""
    tokens: bool = False
    """Show the text as tokens with their ids, and do not translate."""
    score: Path | None = None
    """Do not translate: print the log-probability of each target in a file of sources
    and targets with a tab between them; with --json by token."""
    verify: Path | None = None
    """Do not just translate: compare each line of a file with a slow reference."""
    views: Annotated[Views, unprefixed] = field(default_factory=Views)
    search: Annotated[Search, unprefixed] = field(default_factory=Search)
    demands: Annotated[Demands, unprefixed] = field(default_factory=Demands)


def check(command: Command) -> None:
    """Raises `InputError` for arguments that contradict each other."""
    check_files(command)
    scored = command.reference is not None
    if command.input is None and (scored or command.output is not None):
        raise InputError("--output and --reference need --input.")
    if command.input is not None and command.output is None and not scored:
        raise InputError("--input needs --output or --reference.")
    if command.against is not None and not scored:
        raise InputError("--against needs --reference.")
    several = command.search.n_best > 1 or command.search.alternatives is not None
    if scored and (command.json or command.alignments or several):
        raise InputError(
            "--reference scores one plain translation a line. Leave out --json, "
            "--alignments, --n-best and --alternatives."
        )
    if scored and shards.parse(command.shard) != ALONE:
        raise InputError("--reference scores a whole file, not a --shard of it.")
    if shards.parse(command.shard) != ALONE and command.input is None:
        raise InputError("--shard needs --input and --output.")
    if command.processes is not None and command.input is None:
        raise InputError("--processes needs --input: they share a file.")
    if command.processes is not None and command.processes < 1:
        raise InputError(f"--processes {command.processes} must be at least 1.")
    if command.input is not None and command.texts:
        raise InputError("Give either texts or --input, not both.")
    if command.others and (command.score or command.verify):
        raise InputError("--score and --verify take one model, not --others.")
    check_plain(command)
    command.search.strategy()
    if several and command.alignments and not command.json:
        raise InputError(
            "--alignments shows one translation of each line. Add --json to see all."
        )


def check_files(command: Command) -> None:
    """Raises `InputError` for files that what is asked does not read or write."""
    others = {f"--{name}": getattr(command, name) for name in OTHERS}
    views = vars(command.views).items()
    others |= {f"--{name}": value for name, value in views}
    files = {f"--{name}": getattr(command, name) for name in FILES}
    for flag, asked in others.items():
        for name, file in files.items():
            if asked and file is not None:
                raise InputError(
                    f"{flag} translates no file, and {name} is of one that is "
                    "translated. Leave one of them out."
                )


def check_plain(command: Command) -> None:
    """Raises `InputError` for a search that cannot be checked or explained."""
    if not (command.verify or command.views.asked):
        return
    plain = Search(
        beam=command.search.beam, length_penalty=command.search.length_penalty
    )
    if (command.search, command.demands) != (plain, Demands()):
        raise InputError(
            "--verify, --explain and --html are for plain beam search. Of the flags "
            "for search and demands give --beam and --length-penalty only."
        )
    if command.views.asked and command.others:
        raise InputError("--explain and --html take one model.")


def explained(command: Command, translator: Translator) -> None:
    """Shows the texts that are given, or those of standard input."""
    views, search = command.views, command.search
    read = not (command.texts or views.compare or views.neighbours)
    texts = [*map(streams.text, sys.stdin.buffer)] if read else command.texts
    beam = Beam(width=search.beam, alpha=search.length_penalty)
    form = insights.as_json if command.json else insights.as_text
    insights.show(views, translator, texts, beam, form)


def settings(command: Command) -> str:
    """All that decides a file's translation, the same in every process."""
    weighed = " ".join(map(weights.version, (command.model, *command.others)))
    written = command.json, command.alignments, command.precision, command.fast
    written += (command.to,)
    return f"{weighed} {command.search} {command.demands.mark()} {written}"


def show_tokens(translator: Translator, lines: Iterable[str]) -> None:
    """Prints a line a token: its id and how it is written; ▁ begins a word."""
    for line in lines:
        for piece in translator.tokenizers.source.pieces(line):
            streams.write(f"{piece.id:>7}  {piece.text}")


def pairs(path: Path) -> Iterator[Pair]:
    """Sources and targets; every line is one, so that every line has its score."""
    for number, line in enumerate(corpora.lines(path), start=1):
        source, tab, target = line.partition("\t")
        if not tab or "\t" in target:
            raise InputError(f"{path}:{number} is not a source, a tab and a target.")
        yield source, target


def show_scores(translator: Translator, command: Command, path: Path) -> None:
    """Prints a line a pair: its log-probability; nan if it is too long."""
    every = pairs(path)
    while part := list(islice(every, streams.PART)):
        for score in translator.score(part):
            fields = score and {"score": score.total, **score._asdict()}
            total = score.total if score else float("nan")
            streams.write(json.dumps(fields) if command.json else f"{total:.6f}")


def verified(translator: Translator, search: Search, path: Path) -> bool:
    """Prints what the reference says, and returns whether it agrees."""
    lines = list(corpora.lines(path))
    width, alpha = search.beam, search.length_penalty
    subject = verification.Fast(translator)
    of_lines = verification.verify(subject, lines, width=width, alpha=alpha)
    console = Console(stderr=True)
    shown = track(of_lines, "Verifying", total=len(lines), console=console)
    outcomes = [outcome for parts in shown for outcome in parts]
    streams.write(verification.report(outcomes))
    return verification.passed(outcomes)


def judged(command: Command, order: Order, console: Console) -> None:
    """Translates a file, and prints how near it comes to the reference."""
    assert command.input is not None and command.reference is not None, "as checked"
    judge = judgement.read(command.input, command.reference, command.against)
    with tempfile.TemporaryDirectory() as folder:
        output = command.output or Path(folder) / "translation"
        translated(replace(command, output=output), order, console)
        texts = list(corpora.lines(output))
    for line in judge.report(texts):
        streams.write(line)


def translated(command: Command, order: Order, console: Console) -> None:
    """Translates what is given, from where it is given."""
    render = streams.aligned if command.alignments else streams.plain
    render = streams.as_json if command.json else render
    if command.input is not None and command.output is not None:
        mark, shard = settings(command), shards.parse(command.shard)
        count = order.processes(command.processes or (1 if shard != ALONE else None))
        files = command.input, command.output
        streams.file(*files, order, render, mark, console, shard, count)
    elif command.texts:
        for translation in order(command.texts, first_line=0):
            streams.write(render(translation, "\n"), end="")
    else:
        streams.pipe(sys.stdin.buffer, order, render)


def main(console: Console) -> None:
    command = tyro.cli(Command, description=__doc__)
    command = replace(command, texts=tuple(map(streams.argument, command.texts)))
    check(command)
    order = Order(
        models=(command.model, *command.others),
        to=command.to,
        precision="float32" if command.verify else command.precision,
        fast=command.fast,
        search=command.search,
        demands=command.demands,
        align=command.alignments or command.json,
    )
    translator = order.translator
    if command.tokens:
        lines = command.texts or map(streams.text, sys.stdin.buffer)
        return show_tokens(translator, lines)
    if command.views.asked:
        return explained(command, translator)
    if command.score:
        return show_scores(translator, command, command.score)
    if command.verify:
        sys.exit(0 if verified(translator, command.search, command.verify) else 1)
    order.check()
    finish = translated if command.reference is None else judged
    return finish(command, order, console)


if __name__ == "__main__":
    sys.exit(scripts.run(main))
