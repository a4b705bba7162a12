"""Trains a translation model.

    python train.py                                       the quickstart
    python train.py EXPERIMENT [--data.… --model.… --optimizer.… --training.…]

EXPERIMENT is one of quickstart, multi30k, base, big, wmt14-en-de, wmt14-en-fr and
iwslt14-de-en; every setting of it can be changed. A folder that exists is continued
exactly where it stopped.
"""

import difflib
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from transformer import experiments, folder, processes, scripts
from transformer.config import Config
from transformer.errors import InputError
from transformer.fit import fit
from transformer.pages import run
from transformer.processes import Processes


@dataclass(frozen=True, kw_only=True)
class Command:
    config: Annotated[Config, tyro.conf.arg(name="")]
    out: Path
    """The model folder to make or to continue."""
    init_from: Path | None = None
    """A model folder to fine-tune: its network, tokenizer and weights. New languages
    and tags of the corpora are added to the tokenizer."""
    report: Annotated[Path | None, tyro.conf.arg(name="data.report")] = None
    """An HTML file to write what was read, left out and why to, before training."""
    mesh: str = "auto"
    """Devices along each axis, e.g. data=4,fsdp=2,tensor=1; auto is data parallelism
    over all of them. A run may continue on another mesh."""
    several: Annotated[Processes, tyro.conf.arg(name="")] = field(
        default_factory=Processes
    )


def parse(arguments: Sequence[str]) -> Command:
    """The experiment named first, or the quickstart, with flags on top."""
    named = bool(arguments) and not arguments[0].startswith("-")
    name = arguments[0] if named else "quickstart"
    if name not in experiments.ALL:
        near = difflib.get_close_matches(name, experiments.ALL, n=1)
        raise InputError(
            f"There is no experiment {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else ".")
            + f" There are {', '.join(experiments.ALL)}."
        )
    return tyro.cli(
        Command,
        prog=f"train.py {name}",
        description=__doc__,
        args=arguments[named:],
        default=Command(config=experiments.ALL[name](), out=Path("runs") / name),
    )


def main(console: Console) -> None:
    command = parse(sys.argv[1:])
    processes.connect(command.several)
    console.quiet = not processes.first()
    fit(
        command.config,
        command.out,
        command.init_from,
        console,
        command.mesh,
        command.report,
    )
    first, *more = folder.describe(command.out).targets
    to = f" --to {first}" if more else ""
    console.print(f"\nHow it learned:  {command.out / run.FILE}")
    there = shlex.quote(str(command.out))
    console.print(f'Try it:  python translate.py {there}{to} "how are you"')


if __name__ == "__main__":
    sys.exit(scripts.run(main))
