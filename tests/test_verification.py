"""Verification finds what is wrong, and takes rounding for what it is."""

from math import inf

import jax
import numpy as np
import pytest

from transformer import (
    ModelConfig,
    Transformer,
    reference,
    tokenizer,
    verification,
    weights,
)
from transformer.reference import Decision
from transformer.symbols import EOS
from transformer.tokenizer import Tokenizers
from transformer.verification import Outcome, Request, Result, Side

LIMIT = 5
TEXTS = ["a dog runs", "", "the cat sees a bird. the dog sees it.", "bird!", "दो"]


class Rounded:
    """A fast path as far as it matters: the reference with weights that are off."""

    def __init__(self, tokenizers):
        self.tokenizers = tokenizers
        self.cfg = ModelConfig(
            vocab_size=tokenizers.target.size,
            dim=8,
            hidden_dim=8,
            num_heads=2,
            encoder_layers=1,
            decoder_layers=1,
            norm="pre",
        )
        random = np.random.default_rng(4)

        def draw(path, leaf):
            return random.normal(3 * (path[-1].key == "scale"), 1, leaf.shape)

        off = lambda leaf: leaf * random.uniform(1, 1 + 1e-7, leaf.shape)  # noqa: E731
        shapes = weights.shapes(Transformer(self.cfg))
        self.params = jax.tree_util.tree_map_with_path(draw, shapes)
        self.rounded = jax.tree.map(off, self.params)

    def requests(self, text):
        sentences = [part for part in text.split(". ") if part]
        return [self.request(sentence) for sentence in sentences]

    def request(self, sentence):
        return Request([*self.tokenizers.source.encode(sentence), EOS], LIMIT)

    def search(self, requests, *, width, alpha):
        return [self.found(r.ids, r.limit, width, alpha) for r in requests]

    def found(self, ids, limit, width, alpha):
        return Result(*self.ranked(ids, limit, width, alpha)[0])

    def ranked(self, ids, limit, width, alpha):
        return reference.beam(
            self.cfg,
            self.rounded,
            ids,
            width=width,
            alpha=alpha,
            limit=limit,
            best=2,
        ).best


class SecondBest(Rounded):
    """Takes the second best translation for the best."""

    def found(self, ids, limit, width, alpha):
        return Result(*self.ranked(ids, limit, width, alpha)[1])


class Flatterer(Rounded):
    """Finds the best translation, and likes it too much."""

    def found(self, ids, limit, width, alpha):
        tokens, score = super().found(ids, limit, width, alpha)
        return Result(tokens, score + 0.01)


@pytest.fixture(scope="module")
def tokenizers():
    words = ["a dog runs", "the cat sees a bird", "the dog and the bird see it"]
    joint = tokenizer.train(words * 5, vocab_size=300, kind="bpe")
    return Tokenizers(joint, joint)


def verified(subject):
    return list(verification.verify(subject, TEXTS, width=3, alpha=0.6))


def flat(lines):
    return [outcome for outcomes in lines for outcome in outcomes]


def test_every_part_of_every_line_is_found_equal_and_its_score_good(tokenizers):
    lines = verified(Rounded(tokenizers))
    assert [len(outcomes) for outcomes in lines] == [1, 0, 2, 1, 1]
    outcomes = flat(lines)
    assert [outcome.line for outcome in outcomes] == [1, 3, 3, 4, 5]
    assert len({outcome.fast.tokens for outcome in outcomes}) > 3
    for outcome in outcomes:
        assert outcome.verdict == "equal"
        assert outcome.fast == outcome.slow._replace(score=outcome.fast.score)
        assert 0 < outcome.error < 1e-5 * abs(outcome.slow.score)
    assert verification.passed(outcomes)
    assert verification.report(outcomes).startswith(
        "5 sentences: 5 equal, 0 tied, 0 different."
    )


def test_another_translation_is_a_difference_and_both_are_shown(tokenizers):
    outcomes = flat(verified(SecondBest(tokenizers)))
    assert {outcome.verdict for outcome in outcomes} == {"difference"}
    assert not verification.passed(outcomes)
    report = verification.report(outcomes)
    for outcome in outcomes:
        assert outcome.fast.score < outcome.slow.score
        assert outcome.fast.text in report
        assert f"{outcome.slow.score:.7f}" in report


def test_a_wrong_score_of_the_right_translation_is_a_difference(tokenizers):
    outcomes = flat(verified(Flatterer(tokenizers)))
    assert {outcome.verdict for outcome in outcomes} == {"difference"}
    assert all(outcome.error == pytest.approx(0.01, rel=1e-2) for outcome in outcomes)


WIDE = Decision(inf, 0)


@pytest.mark.parametrize(
    ("gap", "narrowest", "error", "verdict"),
    [
        (1e-5, WIDE, 0, "tie"),
        (1e-2, WIDE, 0, "difference"),
        (1e-2, Decision(1e-5, 3), 0, "tie"),
        (1e-2, Decision(1e-2, 3), 0, "difference"),
        (1e-5, WIDE, 1e-2, "difference"),
    ],
)
@pytest.mark.parametrize("worse", [1, -1])
def test_a_tie_is_what_rounding_can_have_decided(gap, narrowest, error, verdict, worse):
    score = -1.5
    fast, slow = Side("x", (5, EOS), score - worse * gap), Side("y", (6, EOS), score)
    reported = fast.score + error
    outcome = Outcome(1, "z", fast, slow, reported, narrowest)
    assert outcome.verdict == verdict
    report = verification.report([outcome])
    assert f"Line 1, {verdict}: z" in report
    assert verification.passed([outcome]) == (verdict == "tie")


def test_of_nothing_there_is_a_report():
    assert verification.report([]) == "0 sentences: 0 equal, 0 tied, 0 different."
    assert verification.passed([])
