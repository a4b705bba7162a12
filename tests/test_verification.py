"""Verification finds what is wrong, and takes rounding for what it is."""

from functools import partial
from math import inf
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import ModelConfig, Transformer, reference, tokenizer, verification
from transformer.reference import Decision
from transformer.symbols import BOS, EOS, PAD
from transformer.tokenizer import Tokenizers
from transformer.verification import Outcome, Request, Result, Side

LIMIT = 7
TEXTS = ["a dog runs", "", "the cat sees a bird. the dog sees it.", "bird!", "दो"]


class Float32:
    """A fast path that is none: the network in JAX, without a cache."""

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
        self.model: Any = Transformer(self.cfg)
        tokens = jnp.ones((1, 1), jnp.int32)
        init = jax.jit(partial(self.model.init, train=False))
        params = init(jax.random.key(0), tokens, tokens)
        self.params = jax.tree.map(lambda leaf: 3 * leaf, params)
        self.run = jax.jit(partial(self.model.apply, train=False))

    def requests(self, text):
        sentences = [part for part in text.split(". ") if part]
        return [self.request(sentence) for sentence in sentences]

    def request(self, sentence):
        return Request([*self.tokenizers.source.encode(sentence), EOS], LIMIT)

    def search(self, requests, *, width, alpha):
        return [self.found(request, width, alpha) for request in requests]

    def found(self, request, width, alpha):
        source = padded(request.ids, 40)

        def follow(tokens):
            prefix = padded([BOS, *tokens], LIMIT)
            logits = self.run(self.params, source, prefix)[0, len(tokens)]
            return np.array(jax.nn.log_softmax(logits))

        beam = reference.search(follow, width=width, alpha=alpha, limit=request.limit)
        return Result(*beam.best[0])


def padded(ids, width):
    return np.array([[*ids, *[PAD] * (width - len(ids))]])


class SecondBest(Float32):
    """Takes the second best translation for the best."""

    def found(self, request, width, alpha):
        best = reference.beam(
            self.cfg,
            self.params,
            request.ids,
            width=width,
            alpha=alpha,
            limit=request.limit,
            best=2,
        ).best
        return Result(*best[1])


class Flatterer(Float32):
    """Finds the best translation, and likes it too much."""

    def found(self, request, width, alpha):
        tokens, score = super().found(request, width, alpha)
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
    lines = verified(Float32(tokenizers))
    assert [len(outcomes) for outcomes in lines] == [1, 0, 2, 1, 1]
    outcomes = flat(lines)
    assert [outcome.line for outcome in outcomes] == [1, 3, 3, 4, 5]
    assert len({outcome.fast.tokens for outcome in outcomes}) > 3
    for outcome in outcomes:
        assert outcome.verdict == "equal"
        assert outcome.fast == outcome.slow._replace(score=outcome.fast.score)
        assert 0 < outcome.error < 2e-5 * abs(outcome.slow.score)
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
