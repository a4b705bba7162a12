"""Scores of translations against references, by sacreBLEU, with their signatures."""

from collections.abc import Sequence
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF


class Score(NamedTuple):
    """A corpus score from 0 to 100."""

    name: str
    value: float
    signature: str

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f}  [{self.signature}]"


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Papineni et al. 2002, on raw text, as sacreBLEU tokenises it (Post 2018)."""
    return _score(BLEU(), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Popović 2015: F-score of character n-grams."""
    return _score(CHRF(), hypotheses, references)


def _score(
    metric: BLEU | CHRF, hypotheses: Sequence[str], references: Sequence[str]
) -> Score:
    result = metric.corpus_score(hypotheses, [references])
    return Score(result.name, result.score, str(metric.get_signature()))
