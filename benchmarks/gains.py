"""What each part of the Multi30k recipe brings: python -m benchmarks.gains CORPUS.

Trains `multi30k` as it is, and once more for each part with that one changed, all for
as many updates. Scores are of the validation sentences, which also chose checkpoints. A
run that is there already is continued, or only scored: the table may be made over days.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console

from benchmarks import cli, quality
from benchmarks.quality import Row
from transformer import corpora, experiments, judgement, metrics
from transformer.config import Config
from transformer.errors import InputError
from transformer.fit import fit
from transformer.settings import from_dict, to_dict
from transformer.strategies import Beam

Settings = dict[str, Any]

RECIPE, LOWER_CASED = "recipe", "lower-cased"
PARTS: dict[str, Settings] = {
    RECIPE: {},
    "muon": {"optimizer.kind": "muon"},
    "moving-average": {"optimizer.ema": 0.999},
    "r-drop": {"training.consistency": 5.0},
    "bpe-dropout": {"data.segmentations": 16, "data.subword_dropout": 0.1},
    "unigram": {"data.tokenizer": "unigram"},
    "unigram-sampling": {
        "data.tokenizer": "unigram",
        "data.segmentations": 16,
        "data.subword_alpha": 0.2,
    },
    "less-dropout": {"model.dropout": 0.1},
    "more-dropout": {"model.dropout": 0.3},
    "inner-dropout": {"model.attention_dropout": 0.1, "model.activation_dropout": 0.1},
    "post-norm": {"model.norm": "post"},
    "shared-layers": {"model.distinct_layers": 2},
    "4000-pieces": {"model.vocab_size": 4000},
    "20000-pieces": {"model.vocab_size": 20_000},
    "two-vocabularies": {"model.source_vocab_size": 10_000},
    "wider": {"model.dim": 192, "model.hidden_dim": 384},
    LOWER_CASED: {},
}
"""What each run changes. For the last one, all text has been lower-cased."""

SEARCH = Beam(width=5, alpha=0.6)


@dataclass(frozen=True, kw_only=True)
class Command:
    corpus: tyro.conf.Positional[Path]
    """A folder with train.en, train.de, valid.en and valid.de."""
    steps: int = 3000
    """Updates of each run."""
    tokens: int = 2048
    """Target positions of an update."""
    parts: tuple[str, ...] = tuple(PARTS)
    """Which runs to make and to show beside the recipe's."""
    out: Path = Path("runs/gains")
    """Where the models go."""

    def __post_init__(self) -> None:
        for name in self.parts:
            if name not in PARTS:
                raise InputError(f"There is no part {name!r}: {', '.join(PARTS)}.")


def changed(cfg: Config, settings: Settings) -> Config:
    """With some settings, named as on the command line, instead of its own."""
    values = to_dict(cfg)
    for path, value in settings.items():
        section, _, name = path.partition(".")
        values[section][name] = value
    return from_dict(values)


def lower_cased(corpus: Path, there: Path) -> Path:
    """A copy of the corpus for the last part."""
    there.mkdir(parents=True, exist_ok=True)
    for name in ("train.en", "train.de", "valid.en", "valid.de"):
        lines = (f"{line.lower()}\n" for line in corpora.lines(corpus / name))
        (there / name).write_text("".join(lines), "utf-8")
    return there


def translations(command: Command, name: str, recipe: Config) -> list[str]:
    """Of the validation sentences, by what is trained, or was already."""
    corpus = command.corpus
    if name == LOWER_CASED:
        corpus = lower_cased(corpus, command.out / "corpus")
    common = {
        "data.train": (str(corpus / "train"),),
        "data.valid": (str(corpus / "valid"),),
        "data.tokens": command.tokens,
        "training.steps": command.steps,
    }
    fit(changed(recipe, common | PARTS[name]), command.out / name, None, Console())
    return quality.translated([command.out / name], corpus / "valid.en", SEARCH)


def measured(command: Command, recipe: Config) -> tuple[list[Row], list[float]]:
    """The rows of the table, and how often chance alone would make their difference."""
    valid = command.corpus / "valid.en", command.corpus / "valid.de"
    references = judgement.read(*valid, None).references
    texts = {
        name: translations(command, name, recipe)
        for name in dict.fromkeys((RECIPE, *command.parts))
    }
    rows = [
        quality.row(command.out / name, found, references)
        for name, found in texts.items()
    ]
    compared = [
        metrics.compare(found, texts[RECIPE], references) for found in texts.values()
    ]
    return rows, [bleu.p for bleu, *_ in compared]


def report(rows: list[Row], chances: list[float]) -> str:
    """A table in Markdown, and the signatures below it."""
    header, rule, *body = quality.table(rows)
    lines = [f"{header} p | change |", f"{rule}---|---|"]
    for line, row, p in zip(body, rows, chances, strict=True):
        lines.append(f"{line} {p:.3f} | {_flags(PARTS[row.name])} |")
    return "\n".join([*lines, "", *quality.signatures(rows)])


def _flags(settings: Settings) -> str:
    given = (f"--{name.replace('_', '-')} {value}" for name, value in settings.items())
    return " ".join(f"`{flag}`" for flag in given)


def main(command: Command) -> None:
    print(report(*measured(command, experiments.multi30k())))


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
