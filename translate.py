"""Translates with a trained model.

    python translate.py MODEL "how are you"               arguments
    cat FILE | python translate.py MODEL                  standard input, line by line
    python translate.py MODEL --input FILE --output FILE  a file, resumable
    ... --input FILE --output FILE --shard 0/2            half of it; 1/2 is the rest

Standard output carries the translations, one line for each line in.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

import transformer
from transformer import scripts, shards, streams, weights
from transformer.errors import InputError
from transformer.shards import ALONE
from transformer.strategies import Beam, Greedy, Sample, Strategy
from transformer.translator import Translator


@dataclass(frozen=True, kw_only=True)
class Command:
    model: tyro.conf.Positional[Path]
    """A model folder, as train.py makes it."""
    texts: tyro.conf.Positional[tuple[str, ...]] = ()
    """What to translate; without any, standard input is read."""
    input: Path | None = None
    """A text file to translate, also .gz, .xz, .zst or .bz2."""
    output: Path | None = None
    """Where its translation goes."""
    shard: Annotated[str, tyro.conf.arg(metavar="I/N")] = str(ALONE)
    """Do share I of N, counted from 0; the last to finish joins them in --output."""
    beam: int = 4
    """Hypotheses of the beam search; 1 is greedy."""
    n_best: int = 1
    """Translations of each line: behind each other after tabs, or in the JSON."""
    length_penalty: float = 0.6
    """Exponent of GNMT's penalty; 0 is none, more prefers longer translations."""
    sample: bool = False
    """Draw translations at random instead of searching for the best."""
    temperature: float = 1.0
    top_k: int | None = None
    """Draw among the k likeliest tokens only."""
    top_p: float | None = None
    """Draw among the fewest tokens of this probability only (nucleus)."""
    seed: int = 0
    """With the number of the line, decides what is drawn."""
    json: bool = False
    """One object a line: text, score, tokens, log-probabilities, alternatives."""
    tokens: bool = False
    """Show the text as tokens with their ids, and do not translate."""

    def strategy(self) -> Strategy:
        if self.sample:
            return Sample(
                count=self.n_best,
                temperature=self.temperature,
                top_k=self.top_k,
                top_p=self.top_p,
            )
        if self.beam == self.n_best == 1:
            return Greedy()
        return Beam(width=self.beam, best=self.n_best, alpha=self.length_penalty)


def check(command: Command) -> None:
    """Raises `InputError` for arguments that contradict each other."""
    if (command.input is None) != (command.output is None):
        raise InputError("--input and --output go together.")
    if shards.parse(command.shard) != ALONE and command.input is None:
        raise InputError("--shard needs --input and --output.")
    if command.input is not None and command.texts:
        raise InputError("Give either texts or --input, not both.")
    narrowed = command.top_k is not None or command.top_p is not None
    if (narrowed or command.temperature != 1) and not command.sample:
        raise InputError("--temperature, --top-k and --top-p need --sample.")


def settings(command: Command) -> str:
    """All that decides a file's translation, the same in every process."""
    weighed = weights.version(command.model)
    return f"{weighed} {command.strategy()} {command.seed} {command.json}"


def show_tokens(translator: Translator, lines: Iterable[str]) -> None:
    """Prints a line a token: its id and how it is written; ▁ begins a word."""
    for line in lines:
        for piece in translator.tokenizers.source.pieces(line):
            streams.write(f"{piece.id:>7}  {piece.text}")


def main(console: Console) -> None:
    command = tyro.cli(Command, description=__doc__)
    check(command)
    strategy = command.strategy()
    translator = transformer.load(command.model)
    if command.tokens:
        lines = command.texts or map(streams.text, sys.stdin.buffer)
        return show_tokens(translator, lines)
    translate = partial(translator.translate, strategy=strategy, seed=command.seed)
    render = streams.as_json if command.json else streams.plain
    if command.input is not None and command.output is not None:
        mark, shard = settings(command), shards.parse(command.shard)
        streams.file(
            command.input, command.output, translate, render, mark, console, shard
        )
    elif command.texts:
        for translation in translate(command.texts):
            streams.write(render(translation))
    else:
        streams.pipe(sys.stdin.buffer, translate, render)


if __name__ == "__main__":
    sys.exit(scripts.run(main))
