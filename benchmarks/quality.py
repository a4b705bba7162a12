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


def measured(command: Command, model: Path, references: list[str]) -> Row:
    """Translates and scores."""
    description = folder.describe(model)
    training, language = description.config.training, description.config.data.target
    search = Beam(width=command.beam, alpha=command.length_penalty)
    lines = list(corpora.lines(command.input))
    found = transformer.load(model).translate(lines, strategy=search)
    texts = [translation.text for translation in found]
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


def report(rows: Sequence[Row]) -> str:
    """A table in Markdown, and the signatures below it."""
    by_kind = list(zip(*(row.scores for row in rows), strict=True))
    names = [kind[0].name for kind in by_kind]
    lines = [
        " | ".join(["| model", "parameters", "updates", *names]) + " |",
        "|---" * (3 + len(names)) + "|",
        *map(_line, rows),
    ]
    if len(rows) > 1:
        means = [f"{mean(score.value for score in kind):.2f}" for kind in by_kind]
        lines.append(" | ".join([f"| mean of {len(rows)}", "", "", *means]) + " |")
    signatures = [f"`{kind[0].name} {kind[0].signature}`" for kind in by_kind]
    return "\n".join([*lines, "", *signatures])


def _line(row: Row) -> str:
    scores = [f"{score.value:.2f}" for score in row.scores]
    size = f"{row.parameters / 1e6:.2f} M"
    return " | ".join([f"| {row.name}", size, f"{row.updates:,}", *scores]) + " |"


def main(command: Command) -> None:
    judge = judgement.read(command.input, command.reference, None)
    rows = [measured(command, model, judge.references) for model in command.models]
    print(report(rows))


if __name__ == "__main__":
    cli.run(main, Command, __doc__)
