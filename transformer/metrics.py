"""Scores of translations against references, by sacreBLEU, with their signatures."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sacrebleu.metrics.base import Signature
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest


class Score(NamedTuple):
    """A corpus score; 100 is best, but for TER, of which 0 is."""

    name: str
    value: float
    signature: str

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f}  [{self.signature}]"


class Comparison(NamedTuple):
    """A corpus score beside that of another system, and whether chance explains it."""

    name: str
    value: float
    interval: float
    """Half of the interval that holds the score of 95 % of resampled corpora."""
    other: float
    other_interval: float
    p: float
    """How often chance alone would set the two so far apart."""
    signature: str

    def __str__(self) -> str:
        ours = f"{self.value:.2f} ± {self.interval:.2f}"
        other = f"{self.other:.2f} ± {self.other_interval:.2f}"
        return (
            f"{self.name} {ours}, the other {other}, p = {self.p:.4f}  "
            f"[{self.signature}]"
        )


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Papineni et al. 2002, on raw text, as sacreBLEU tokenises it (Post 2018)."""
    return _score(BLEU(), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Popović 2015: F-score of character n-grams."""
    return _score(CHRF(), hypotheses, references)


def ter(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Snover et al. 2006: edits a word, blocks moved as one; lower is better."""
    return _score(TER(), hypotheses, references)


def compare(
    hypotheses: Sequence[str], others: Sequence[str], references: Sequence[str]
) -> list[Comparison]:
    """BLEU, chrF and TER of two systems, by paired bootstrap (Koehn 2004).

    The same 1,000 corpora are drawn from the sentences for both, with the seed that
    the `sacrebleu` command takes.
    """
    named = {"BLEU": BLEU(), "chrF": CHRF(), "TER": TER()}
    systems = [("other", others), ("ours", hypotheses)]
    test = PairedTest(systems, named, [references], test_type="bs")
    signatures, results = test()
    return [_compared(name, mark, results[name]) for name, mark in signatures.items()]


def _compared(name: str, signature: Signature, results: Sequence[Any]) -> Comparison:
    other, ours = results
    # For equal systems sacreBLEU gives the least p, as if they were surely different.
    same = (ours.score, ours.mean, ours.ci) == (other.score, other.mean, other.ci)
    p = 1.0 if same else ours.p_value
    return Comparison(
        name, ours.score, ours.ci, other.score, other.ci, p, str(signature)
    )


def _score(
    metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: Sequence[str]
) -> Score:
    result = metric.corpus_score(hypotheses, [references])
    return Score(result.name, result.score, str(metric.get_signature()))
