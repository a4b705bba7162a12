"""Scores of models: python -m benchmarks.quality MODEL … --input F --reference G.

Prints a row for each model, and their mean if there are several, e.g. three seeds.
Published scores of Multi30k are BLEU of lower-cased Moses tokens, which says something
else than sacreBLEU's of cased text: both are given, with their signatures, and chrF.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import jax
import jax.numpy as jnp
import tyro
from sacrebleu.metrics.bleu import BLEU
from sacremoses import MosesTokenizer

import transformer
from benchmarks import cli
from transformer import Transformer, corpora, folder, judgement, metrics
from transformer.metrics import Score
from transformer.strategies import Beam


@dataclass(frozen=True, kw_only=True)
class Command:
    models: tyro.conf.Positional[tuple[Path, ...]]
    """Model folders, as train.py makes them."""
    input: Path
    """What they translate."""
    reference: Path
    """What people made of it."""
    beam: int = 5
    length_penalty: float = 0.6
    ensemble: bool = False
    """Also scores all models together, which must have one tokenizer."""


@dataclass(frozen=True)
class Row:
    """One model, its size, and how well it does."""

    name: str
    parameters: int
    updates: int
    scores: list[Score]


def moses_bleu(
    hypotheses: Sequence[str], references: Sequence[str], language: str
) -> Score:
    """BLEU of lower-cased Moses tokens: `sacrebleu --tokenize none -lc` of them."""
    moses = MosesTokenizer(language)

    def tokens(lines: Sequence[str]) -> list[str]:
        return [" ".join(moses.tokenize(line, escape=False)) for line in lines]

    scorer = BLEU(tokenize="none", lowercase=True, force=True)
    result = scorer.corpus_score(tokens(hypotheses), [tokens(references)])
    return Score("BLEU, Moses", result.score, str(scorer.get_signature()))


def translated(models: Sequence[Path], source: Path, search: Beam) -> list[str]:
    """What a model makes of each line of a file, or an ensemble of several."""
    found = transformer.load(*models).translate(
        list(corpora.lines(source)), strategy=search
    )
    return [translation.text for translation in found]


def row(model: Path, texts: Sequence[str], references: Sequence[str]) -> Row:
    """The scores of a model's translations."""
    description = folder.describe(model)
    training, language = description.config.training, description.config.data.target
    scores = [
        moses_bleu(texts, references, language),
        metrics.bleu(texts, references),
        metrics.chrf(texts, references),
    ]
    return Row(model.name, _size(description), training.steps, scores)


def _size(description: folder.Description) -> int:
    tokens, key = jnp.zeros((1, 1), int), jax.random.key(0)
    init = Transformer(description.model).init
    shapes = jax.eval_shape(lambda: init(key, tokens, tokens, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def together(rows: Sequence[Row], scores: list[Score]) -> Row:
    """That of an ensemble, which costs what all cost."""
    parameters = sum(row.parameters for row in rows)
    return Row("ensemble", parameters, sum(row.updates for row in rows), scores)


def report(rows: Sequence[Row], ensembles: Sequence[Row] = ()) -> str:
    """A table in Markdown, with the means of several rows, and the signatures."""
    lines = table(rows)
    if len(rows) > 1:
        kinds = zip(*(row.scores for row in rows), strict=True)
        means = [f"{mean(score.value for score in kind):.2f}" for kind in kinds]
        lines.append(" | ".join([f"| mean of {len(rows)}", "", "", *means]) + " |")
    return "\n".join([*lines, *map(_line, ensembles), "", *signatures(rows)])


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table in Markdown: a header, a rule, and one a model."""
    names = [score.name for score in rows[0].scores]
    header = " | ".join(["| model", "parameters", "updates", *names]) + " |"
    return [header, "|---" * (3 + len(names)) + "|", *map(_line, rows)]


def signatures(rows: Sequence[Row]) -> list[str]:
    """How each kind of score was computed."""
    return [f"`{score.name} {score.signature}`" for score in rows[0].scores]


def _line(row: Row) -> str:
    scores = [f"{score.value:.2f}" for score in row.scores]
    size = f"{row.parameters / 1e6:.2f} M"
    return " | ".join([f"| {row.name}", size, f"{row.updates:,}", *scores]) + " |"


def main(command: Command) -> None:
    references = judgement.read(command.input, command.reference, None).references
    search = Beam(width=command.beam, alpha=command.length_penalty)

    def scored(*models: Path) -> Row:
        texts = translated(models, command.input, search)
        return row(models[0], texts, references)

    rows, ensembles = [scored(model) for model in command.models], []
    if command.ensemble:
        ensembles = [together(rows, scored(*command.models).scores)]
    print(report(rows, ensembles))


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
