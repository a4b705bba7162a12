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
from dataclasses import dataclass, field, is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.progress import track
from tyro.conf import UseAppendAction

from transformer import (
    corpora,
    insights,
    judgement,
    options,
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

MODES = "tokens", "score", "verify"
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
    """Another model with the same tokenizer: the mean of all decides."""
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
    check_modes(command)
    check_search(command)
    file, scored = command.input is not None, command.reference is not None
    part = shards.parse(command.shard) != ALONE
    several = command.search.n_best > 1 or command.search.alternatives is not None
    count, output = command.processes, command.output is not None
    wrong = {
        "--output and --reference need --input.": not file and (scored or output),
        "--input needs --output or --reference.": file and not (scored or output),
        "--against needs --reference.": command.against is not None and not scored,
        "--reference scores one plain translation a line. Leave out --json, "
        "--alignments, --n-best and --alternatives.": (
            scored and (command.json or command.alignments or several)
        ),
        "--reference scores a whole file, not a --shard of it.": scored and part,
        "--shard needs --input and --output.": part and not file,
        "--processes needs --input: they share a file.": count is not None and not file,
        f"--processes {count} must be at least 1.": count is not None and count < 1,
        "Give either texts or --input, not both.": file and command.texts,
        "--alignments shows one translation of each line. Add --json to see all.": (
            several and command.alignments and not command.json
        ),
    }
    for message in filter(wrong.get, wrong):
        raise InputError(message)


def check_modes(command: Command) -> None:
    """Raises `InputError` if what is asked for excludes what else is given."""
    asked = {f"--{name}": getattr(command, name) for name in MODES}
    asked |= {f"--{name}": value for name, value in vars(command.views).items()}
    asked = [flag for flag, value in asked.items() if value]
    for flag in asked:
        for name in FILES:
            if getattr(command, name) is not None:
                raise InputError(
                    f"{flag} translates no file, and --{name} is of one that is "
                    "translated. Leave one of them out."
                )
    modes = [f"--{name}" for name in MODES if getattr(command, name)]
    if len(modes) + command.views.asked > 1:
        raise InputError(f"{' and '.join(asked)} are different things. Ask for one.")
    if command.texts and (command.score or command.verify):
        raise InputError(f"{modes[0]} reads a file, and no texts. Leave them out.")


def check_search(command: Command) -> None:
    """Raises `InputError` for a search that what is asked for does not make."""
    search, demands = command.search, command.demands
    options.check(search, demands)
    plain = Search(beam=search.beam, length_penalty=search.length_penalty)
    checked = command.verify or command.views.asked
    if checked and (search, demands) != (plain, Demands()):
        raise InputError(
            "--verify, --explain and --html are for plain beam search. Of the flags "
            "for search and demands give --beam and --length-penalty only."
        )
    if (command.score or command.tokens) and (search, demands) != (Search(), Demands()):
        raise InputError(
            "--score and --tokens do not search. Leave out what is for searching."
        )
    if command.others and (checked or command.score or search.coverage_penalty):
        raise InputError(
            "--score, --verify, --explain, --html and --coverage-penalty take one "
            "model, not --others."
        )


def read() -> Command:
    """A flag takes one value, that texts may stand behind it, and may be repeated."""
    return tyro.cli(Command, description=__doc__, config=(UseAppendAction,))


def in_utf_8(given: Any) -> Any:
    """A text as it was typed, whatever the locale made of it, and those inside."""
    if isinstance(given, str):
        return streams.argument(given)
    if isinstance(given, tuple):
        return tuple(map(in_utf_8, given))
    if is_dataclass(given) and not isinstance(given, type):
        inside = {name: in_utf_8(value) for name, value in vars(given).items()}
        return replace(given, **inside)
    return given


def explained(command: Command, translator: Translator) -> None:
    """Shows the texts that are given, or those of standard input."""
    views, search, texts = command.views, command.search, command.texts
    if not (texts or views.compare or views.neighbours):
        texts = tuple(streams.given())
    beam = Beam(width=search.beam, alpha=search.length_penalty)
    form = insights.as_json if command.json else insights.as_text
    insights.show(views, translator, texts, beam, form)


def settings(command: Command) -> str:
    """All that decides a file's translation, the same in every process."""
    weighed = " ".join(map(weights.version, (command.model, *command.others)))
    how = command.precision, command.fast, command.to
    written = command.json, command.alignments, *how
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
        streams.pipe(streams.standard_input(), order, render)


def main(console: Console) -> None:
    command = in_utf_8(read())
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
        lines = command.texts or streams.given()
        return show_tokens(translator, lines)
    if command.views.asked:
        return explained(command, translator)
    if command.score:
        return show_scores(translator, command, command.score)
    if command.verify:
        sys.exit(0 if verified(translator, command.search, command.verify) else 1)
    order.check()
    (translated if command.reference is None else judged)(command, order, console)


if __name__ == "__main__":
    sys.exit(scripts.run(main))
