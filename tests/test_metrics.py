"""Scores are those of sacreBLEU, and say how they were made."""

import pytest
import sacrebleu

from transformer import metrics

REFERENCES = ["The dog runs to the house.", "A cat sleeps in the garden.", "यह घर है।"]
OTHERS = ["The dog walks to a house.", "A cat sleeps in the sun.", "वह घर है।"]
SCORES = [metrics.bleu, metrics.chrf]


@pytest.mark.parametrize("score", SCORES)
def test_the_references_themselves_score_one_hundred(score):
    assert score(REFERENCES, REFERENCES).value == pytest.approx(100)


@pytest.mark.parametrize("score", SCORES)
def test_unrelated_text_scores_next_to_nothing(score):
    assert score(["x"] * 3, REFERENCES).value < 1


@pytest.mark.parametrize("score", SCORES)
def test_what_is_nearer_to_the_references_scores_higher(score):
    near = score(OTHERS, REFERENCES).value
    far = score([OTHERS[0], "x", "x"], REFERENCES).value
    assert far < near < 100


@pytest.mark.parametrize("score", SCORES)
def test_case_counts(score):
    lowered = [line.lower() for line in REFERENCES]
    assert score(lowered, REFERENCES).value < 100


def test_values_are_those_of_sacrebleu():
    bleu = sacrebleu.corpus_bleu(OTHERS, [REFERENCES])
    chrf = sacrebleu.corpus_chrf(OTHERS, [REFERENCES])
    assert metrics.bleu(OTHERS, REFERENCES).value == bleu.score
    assert metrics.chrf(OTHERS, REFERENCES).value == chrf.score


def test_hypotheses_and_references_are_not_interchanged():
    short = [line.split()[0] for line in REFERENCES]
    assert metrics.bleu(short, REFERENCES) != metrics.bleu(REFERENCES, short)
    assert metrics.chrf(short, REFERENCES) != metrics.chrf(REFERENCES, short)


def test_a_score_is_printed_with_its_name_and_signature():
    for score, name in zip(SCORES, ("BLEU", "chrF2"), strict=True):
        result = score(OTHERS, REFERENCES)
        assert result.name == name
        assert f"version:{sacrebleu.__version__}" in result.signature
        assert str(result) == f"{name} {result.value:.2f}  [{result.signature}]"
    assert "case:mixed" in metrics.bleu(OTHERS, REFERENCES).signature
    assert "tok:13a" in metrics.bleu(OTHERS, REFERENCES).signature
