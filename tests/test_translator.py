"""Texts in, translations out: one for each, and always the same one."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from transformer import tokenizer
from transformer.config import ModelConfig
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.strategies import Beam, Greedy, Sample
from transformer.tokenizer import Tokenizers
from transformer.translator import Translator, load

WORDS = "the dog cat sees hears a bird house and runs to".split()
TEXTS = ["the dog sees a cat", "a bird", "", "the house and the dog and the bird", "to"]
LONG = " ".join(WORDS * 20)


@pytest.fixture(scope="module")
def translator():
    """A network that knows nothing, with a tokenizer that knows a few words."""
    sentences = [" ".join(WORDS), " ".join(reversed(WORDS))] * 4
    pieces = tokenizer.train(sentences, vocab_size=300, kind="bpe")
    cfg = ModelConfig(
        vocab_size=pieces.size,
        dim=16,
        hidden_dim=16,
        num_heads=2,
        encoder_layers=1,
        decoder_layers=1,
    )
    model = Transformer(dataclasses.replace(cfg, norm="pre"))
    tokens = jnp.zeros((1, 1), jnp.int32)
    params = model.init(jax.random.key(1), tokens, tokens, train=False)
    return Translator(model, params, Tokenizers(pieces, pieces), longest=16)


def test_every_text_gets_one_translation_and_empty_text_an_empty_one(translator):
    found = translator.translate(TEXTS)
    assert len(found) == len(TEXTS)
    assert [t.text == "" and t.tokens == () for t in found].count(True) >= 1
    assert found[TEXTS.index("")].text == ""


@pytest.mark.parametrize(
    "strategy", [Beam(width=3), Greedy(), Beam(width=2, alpha=0.0)]
)
def test_company_and_order_change_nothing(translator, strategy):
    together = translator.translate([*TEXTS, LONG], strategy=strategy)
    backwards = translator.translate([LONG, *TEXTS][::-1], strategy=strategy)
    for text, found in zip(TEXTS, together, strict=False):
        [alone] = translator.translate([text], strategy=strategy)
        assert alone == found
        assert alone == backwards[[LONG, *TEXTS][::-1].index(text)]


def test_long_text_is_translated_part_by_part(translator):
    parts = list(translator._parts(0, LONG))
    assert len(parts) > 3
    assert max(len(part.ids) for part in parts) <= 16
    decode = translator.tokenizers.source.decode
    assert " ".join(decode(part.ids[:-1]) for part in parts) == LONG
    [whole] = translator.translate([LONG])
    singles = translator.translate([decode(part.ids[:-1]) for part in parts])
    assert whole.text == " ".join(single.text for single in singles)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_text_gives_one_line(translator, texts):
    found = translator.translate(texts, strategy=Greedy())
    assert len(found) == len(texts)
    for translation in found:
        assert "\n" not in translation.text
        translation.text.encode()


def test_the_best_come_first_and_differ(translator):
    [found] = translator.translate(["the dog"], strategy=Beam(width=4, best=3))
    ranked = [found, *found.alternatives]
    scores = [one.score for one in ranked]
    assert len(ranked) == 3
    assert scores == sorted(scores, reverse=True)
    assert len({one.tokens for one in ranked}) == 3


def test_a_beam_of_one_is_greedy(translator):
    beam = translator.translate(TEXTS, strategy=Beam(width=1, alpha=0.0))
    greedy = translator.translate(TEXTS, strategy=Greedy())
    assert [t.tokens for t in beam] == [t.tokens for t in greedy]


def test_the_score_is_the_mean_of_what_the_tokens_gain(translator):
    [found] = translator.translate(["the dog"], strategy=Beam(width=2, alpha=0.0))
    assert found.score == pytest.approx(sum(found.log_probs), rel=1e-5)
    assert len(found.log_probs) == len(found.tokens) + 1


def test_what_is_drawn_depends_on_the_seed_and_the_line_alone(translator):
    def drawn(texts, **settings):
        found = translator.translate(texts, strategy=Sample(), **settings)
        return [one.tokens for one in found]

    lines = ["the dog", "a cat", "the dog"]
    first, second, third = drawn(lines)
    assert first != third
    assert drawn(lines[1:], first_line=1) == [second, third]
    assert drawn(lines, seed=1) != [first, second, third]
    assert drawn(lines) == [first, second, third]


def test_other_weights_translate_otherwise_with_the_same_programs(translator):
    changed = jax.tree.map(lambda leaf: -leaf, translator._params)
    other = translator.with_params(changed)
    assert other.translate(["the dog"]) != translator.translate(["the dog"])
    assert other._search is translator._search


def test_rooms_tell_the_shapes_to_come(translator):
    assert translator.rooms(["", "the dog"]) == {16}
    assert translator.rooms([]) == set()


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="no model folder"):
        load(tmp_path)
