"""A translation depends on its text alone, and there is one for every text."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import engine, folder, markup, phrases, spans, terms, text, tokenizer
from transformer import weights as stored
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.errors import InputError
from transformer.folder import Description
from transformer.loading import load
from transformer.model import Transformer
from transformer.rules import Vocabulary
from transformer.seating import EXTRA
from transformer.strategies import (
    Alternatives,
    Beam,
    DiverseBeam,
    Greedy,
    MinimumRisk,
    Sample,
)
from transformer.tokenizer import Tokenizers
from transformer.translator import Control, Translation, Translator

LONGEST = 24
"""So that there are two source shapes: of 16 and of 32 positions."""

TEXTS = ["a dog runs", "the cat sees a bird", "दो", "bird!", "a cat", "the dog"]
LONGER = "the cat sees a bird and the dog sees it"
VERY_LONG = "a dog runs. " * 20 + "cat" * 60

BEST_THREE = Beam(width=3, best=3)

property_test = partial(settings, deadline=None)


@pytest.fixture(scope="module")
def tokenizers():
    words = ["a dog runs", "the cat sees a bird", "the dog and the bird see it"]
    joint = tokenizer.train(words * 5, vocab_size=300, kind="bpe")
    return Tokenizers(joint, joint)


def sizes(vocabulary):
    return ModelConfig(
        vocab_size=vocabulary,
        dim=8,
        hidden_dim=8,
        num_heads=2,
        encoder_layers=1,
        decoder_layers=1,
        norm="pre",
    )


def weights(model, seed):
    """Random ones, large enough for translations that differ."""
    tokens = jnp.ones((1, 1), jnp.int32)
    params = jax.jit(partial(model.init, train=False))(
        jax.random.key(seed), tokens, tokens
    )
    return jax.tree.map(lambda leaf: 3 * leaf, params)


@pytest.fixture(scope="module")
def model(tokenizers):
    return Transformer(sizes(tokenizers.target.size))


@pytest.fixture(scope="module")
def tiny(model, tokenizers):
    return Translator(model, weights(model, 0), tokenizers, LONGEST)


def one(translator, line, **options):
    (translation,) = translator.translate([line], **options)
    return translation


def best_three(translator, lines, **options):
    """The strategy of most tests, so that it is compiled once."""
    return translator.translate(lines, strategy=BEST_THREE, **options)


def scores(translations):
    return [(t.score, *(other.score for other in t.alternatives)) for t in translations]


def test_the_tests_translate_into_texts_that_differ(tiny):
    """Otherwise most of what follows could not fail."""
    assert len({found.text for found in best_three(tiny, TEXTS)}) == len(TEXTS)


def test_the_same_translation_alone_in_any_order_and_company(tiny):
    together = best_three(tiny, TEXTS)
    assert [one(tiny, line, strategy=BEST_THREE) for line in TEXTS] == together
    assert best_three(tiny, TEXTS[::-1]) == together[::-1]
    crowd = [LONGER, *TEXTS, VERY_LONG, "", *TEXTS * 6, LONGER]
    assert best_three(tiny, crowd)[1 : 1 + len(TEXTS)] == together
    assert best_three(tiny, crowd)[-1] == one(tiny, LONGER, strategy=BEST_THREE)


def test_empty_text_gives_empty_text_in_its_place(tiny):
    found = best_three(tiny, ["", "bird!", " \t\n"])
    assert found[0] == Translation("", 0.0, (), ())
    assert found[1].text
    assert found[2] == Translation(" \t\n", 0.0, (), ())
    assert best_three(tiny, []) == []


def test_what_stands_between_words_does_not_change_their_translation(tiny):
    plain = one(tiny, "a dog runs", strategy=BEST_THREE)
    assert one(tiny, "a\u00a0dog  runs", strategy=BEST_THREE) == plain


def test_blanks_around_a_text_and_ends_of_lines_stay(tiny):
    dog, bird = best_three(tiny, ["a dog runs", "bird!"])
    both = one(tiny, " a dog runs\r\n\n\tbird!\n", strategy=BEST_THREE)
    assert both.text == f" {dog.text}\r\n\n\t{bird.text}\n"
    assert both.tokens == dog.tokens + bird.tokens


def test_long_text_is_the_translations_of_its_parts_joined(tiny, tokenizers):
    size = lambda part: len(tokenizers.source.encode(part))  # noqa: E731
    parts = text.split(text.normalize(VERY_LONG), LONGEST - 1, size)
    assert len(parts) > 6
    whole = one(tiny, VERY_LONG, strategy=BEST_THREE)
    pieces = best_three(tiny, [part.strip() for part in parts])
    assert whole.text == text.rejoin(parts, [piece.text for piece in pieces])
    assert whole.tokens == sum((piece.tokens for piece in pieces), ())
    assert whole.log_probs == sum((piece.log_probs for piece in pieces), ())
    assert whole.score == pytest.approx(
        sum(piece.score for piece in pieces) / len(pieces)
    )
    assert len(whole.alternatives) == 2
    last = whole.alternatives[-1]
    assert last.text == text.rejoin(
        parts, [piece.alternatives[-1].text for piece in pieces]
    )


def breaks(line):
    """What ends lines in it, in order."""
    return [end for end in line if end.splitlines() == [""]]


@property_test(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=())), max_size=6))
def test_any_unicode_gives_one_text_of_as_many_lines_for_each(tiny, lines):
    found = best_three(tiny, lines)
    assert len(found) == len(lines)
    for line, translation in zip(lines, found, strict=True):
        for other in (translation, *translation.alternatives):
            assert breaks(other.text) == breaks(line)
            other.text.encode()
        searched = any(map(str.isalnum, text.normalize(line)))
        assert bool(translation.tokens) == searched


def test_alternatives_are_different_and_follow_best_first(tiny):
    for translation in best_three(tiny, [*TEXTS, LONGER]):
        all_three = (translation, *translation.alternatives)
        assert len({found.tokens for found in all_three}) == 3
        assert all(not found.alternatives for found in translation.alternatives)
    for row in scores(best_three(tiny, [*TEXTS, VERY_LONG])):
        assert list(row) == sorted(row, reverse=True)


def test_each_token_has_its_log_prob_and_each_part_ends_with_eos(tiny):
    for found in best_three(tiny, [*TEXTS, VERY_LONG]):
        for one_of in (found, *found.alternatives):
            assert len(one_of.log_probs) == len(one_of.tokens)
            assert one_of.tokens[-1] == "</s>"
            assert max(one_of.log_probs) <= 0
    for found in best_three(tiny, TEXTS):
        assert found.tokens.count("</s>") == 1
        penalty = ((5 + len(found.tokens)) / 6) ** BEST_THREE.alpha
        assert found.score == pytest.approx(sum(found.log_probs) / penalty, rel=1e-4)


def test_a_beam_of_one_is_greedy(tiny):
    ids = [ids for line in TEXTS for ids in tiny.parts(line)]
    narrow, greedy = tiny.search(ids, beam=1), tiny.search(ids, strategy=Greedy())
    assert [found.ids for (found,) in narrow] == [found.ids for (found,) in greedy]


def test_what_is_drawn_depends_on_seed_and_number_of_the_line_alone(tiny):
    draw = partial(tiny.translate, strategy=Sample())
    lines = ["a cat"] * 6
    found = draw(lines, seed=1)
    assert len({translation.text for translation in found}) > 1
    assert draw(lines, seed=1) == found
    assert draw(lines, seed=2) != found
    assert draw(lines[:2], seed=1, first_line=3) == found[3:5]
    assert draw(["bird!", "", "the dog", "a cat"], seed=1)[3] == found[3]


def test_each_part_of_a_long_text_draws_for_itself(tiny):
    whole = "a dog runs. " * 24
    found = one(tiny, whole, strategy=Sample(), seed=1)
    drawn = " ".join(found.tokens).split("</s>")[:-1]
    assert len(drawn) > 3
    assert len(set(drawn)) == len(drawn)
    assert one(tiny, whole, strategy=Sample(), seed=1) == found
    crowd = tiny.translate([whole, "bird!", whole], strategy=Sample(), seed=1)
    assert crowd[0] == found != crowd[2]


def test_text_of_blanks_only_stays_as_it_is_however_long(tiny):
    for blank in (" ", "\t\u3000", "\u2581 \x85"):
        found = best_three(tiny, [blank * 200])
        assert found == [Translation(blank * 200, 0.0, (), ())]


@pytest.fixture
def logged():
    """What is compiled, in all threads; `jax.log_compiles()` tells of its own."""
    jax.config.update("jax_log_compiles", val=True)
    yield
    jax.config.update("jax_log_compiles", val=False)


def test_rooms_are_the_shapes_that_are_compiled_and_weights_are_none(
    model, tokenizers, caplog, logged
):
    engine._programs.cache_clear()
    fresh = Translator(model, weights(model, 0), tokenizers, LONGEST)
    lines = [*TEXTS, "", LONGER, VERY_LONG]
    rooms = fresh.rooms(lines)
    assert rooms == {16, 32}
    assert fresh.rooms(TEXTS) == {16}
    assert fresh.rooms(["", " "]) == set()
    sources = [ids for line in lines for ids in fresh.parts(line)]
    before = fresh.search(sources, strategy=Greedy())
    for program, lengths in (("encode", 1), ("_begin", 2), ("_turn", 2)):
        start = f"Compiling jit({program})"
        compiled = [r for r in caplog.messages if r.startswith(start)]
        assert len(rooms) <= len(compiled) <= lengths * len(rooms)
    caplog.clear()
    other = fresh.with_params(weights(model, 1))
    assert other.search(sources, strategy=Greedy()) != before
    assert fresh.search(sources, strategy=Greedy()) == before
    for program in ("encode", "_begin", "_turn"):
        assert f"Compiling jit({program})" not in caplog.text


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="absent is no model folder"):
        load(tmp_path / "absent")
    with pytest.raises(InputError, match="no model folder"):
        load(tmp_path)


def folder_of(path, tokenizers):
    """A whole model folder but for its weights."""
    path.mkdir(exist_ok=True)
    size = tokenizers.target.size
    cfg = Config(
        model=sizes(size),
        data=DataConfig(),
        optimizer=OptimizerConfig(peak=1e-3, warmup=1),
        training=TrainingConfig(steps=1),
    )
    folder.create(path, Description(cfg, (size, size), {}, (("en", "hi"),)), tokenizers)
    return Transformer(cfg.model)


def test_a_folder_without_weights_says_how_to_train_it(tmp_path, tokenizers):
    folder_of(tmp_path, tokenizers)
    with pytest.raises(InputError, match="no intact weights.*train.py"):
        load(tmp_path)


def test_models_of_other_tokenizers_cannot_translate_together(tmp_path):
    for name, words in (("one", "a dog runs"), ("other", "the cat")):
        joint = tokenizer.train([words] * 5, vocab_size=290, kind="bpe")
        model = folder_of(tmp_path / name, Tokenizers(joint, joint))
        checkpoints = stored.of(tmp_path / name)
        checkpoints.save(1, {stored.NAME: weights(model, 0)}, {})
        checkpoints.wait()
    with pytest.raises(InputError, match="different tokenizers"):
        load(tmp_path / "one", tmp_path / "other")


CONTROL = Control(prefix="the bird", fewest=10, ratio=1.0)


def test_a_prefix_and_lengths_are_kept_to(tiny, tokenizers):
    for line, found in zip(
        TEXTS, best_three(tiny, TEXTS, control=CONTROL), strict=True
    ):
        (ids,) = tiny.parts(line)
        for any_one in (found, *found.alternatives):
            assert any_one.text.startswith("the bird")
            assert 10 <= len(any_one.tokens) <= len(ids) + EXTRA


def test_only_the_first_part_of_a_text_has_the_prefix(tiny):
    found = one(tiny, "bird!\na cat", strategy=BEST_THREE, control=CONTROL)
    first, second = found.text.split("\n")
    assert first.startswith("the bird")
    assert not second.startswith("the bird")


def test_terms_are_required_and_banned_where_their_source_stands(tiny):
    wish = terms.parse(["dog\tzebra", "cat\td\tno", "cat\tbird"], "glossary").wish
    lines = ["a dog", "the cat", "bird!", "a dog and a cat"]
    found = tiny.translate(lines, strategy=BEST_THREE, control=Control(wish=wish))
    for line, translation in zip(lines, found, strict=True):
        for any_one in (translation, *translation.alternatives):
            assert "dog" not in line or phrases.contains(any_one.text, "zebra")
            assert "cat" not in line or phrases.contains(any_one.text, "bird")
            assert "cat" not in line or not phrases.contains(any_one.text, "d")
    assert found[0] == one(
        tiny, lines[0], strategy=BEST_THREE, control=Control(wish=wish)
    )


SPECIAL = [
    "the dog {0}",
    "www.a.org",
    "<b>a dog</b> runs",
    "%s bird!",
    "<br>",
    "a\n{x}",
]


def test_spans_and_tags_come_over_from_a_model_that_writes_nonsense(tiny):
    for line, found in zip(SPECIAL, best_three(tiny, SPECIAL), strict=True):
        for any_one in (found, *found.alternatives):
            assert not spans.missing(line, any_one.text)
            assert markup.kept(line, any_one.text)
        assert ("placeholder" in found.warnings) == (
            line in ("the dog {0}", "%s bird!")
        )


NUMBERS = [
    "the dog runs 12 km",
    "3.5 % of 7 dogs",
    "<b>5 m</b> bird",
    "a 5\u00a0kg cat",
]


def test_numbers_come_over_with_their_units_where_that_is_asked(tiny):
    asked = Control(kinds=spans.WITH_NUMBERS)
    found = best_three(tiny, [*NUMBERS, *TEXTS], control=asked)
    for line, translation in zip(NUMBERS, found, strict=False):
        for any_one in (translation, *translation.alternatives):
            assert not spans.missing(plain(line), plain(any_one.text), asked.kinds)
            assert "\u00a0" not in line or "5\u00a0kg" in any_one.text
    without = best_three(tiny, [*NUMBERS, *TEXTS])
    assert without[len(NUMBERS) :] == found[len(NUMBERS) :]
    for line, translation in zip(NUMBERS, without, strict=False):
        assert spans.missing(plain(line), plain(translation.text), asked.kinds)
        assert "placeholder" not in translation.warnings


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_spans_keep_their_blanks_and_lines_their_ends(tiny, end):
    within = "{{ x  y }}", "{{ x y }}", f"{{% if{end}\t a %}}", "{{ x\u00a0y }}"
    raw = end.join([f"a dog {one} runs. A  <b>cat</b> {one}" for one in within]) + end
    (found,) = tiny.translate([raw], strategy=Greedy())
    written = re.findall(r"\{[^{}]*\}+", found.text.replace("{{", "{"))
    assert sorted(written) == sorted(one.replace("{{", "{") for one in 2 * within)
    assert breaks(found.text) == breaks(raw)


def test_remedies_do_not_depend_on_company_either(tiny):
    together = best_three(tiny, [*TEXTS, *SPECIAL, LONGER])
    assert best_three(tiny, SPECIAL[::-1])[::-1] == together[len(TEXTS) : -1]
    assert one(tiny, SPECIAL[0], strategy=BEST_THREE) == together[len(TEXTS)]


def test_words_are_aligned_if_asked(tiny):
    lines = ["bird!", "a dog runs\n\n <b>the</b> cat {0}", VERY_LONG, "", "www.a.org"]
    for line, found in zip(lines, best_three(tiny, lines, align=True), strict=True):
        source, target = (len(plain(side).split()) for side in (line, found.text))
        assert found.alignment is not None
        assert found.alignment == sorted(set(found.alignment))
        assert all(0 <= i < source and 0 <= j < target for i, j in found.alignment)
        assert bool(found.alignment) == bool(line)
    assert best_three(tiny, ["a <b>dog</b>"])[0].alignment is None


def plain(line):
    return markup.strip(line).plain


@pytest.mark.parametrize(
    "strategy, count",
    [
        (DiverseBeam(width=2, groups=2, best=2, strength=1.0), 2),
        (MinimumRisk(count=6, keep=2), 2),
        (Alternatives(count=2), 2),
    ],
    ids=str,
)
def test_other_strategies_find_as_many_as_asked(tiny, strategy, count):
    found = tiny.translate(TEXTS[3:], strategy=strategy)
    for translation in found:
        assert len(translation.alternatives) == count - 1
    assert tiny.translate(TEXTS[3:], strategy=strategy) == found


def test_alternatives_differ_in_the_first_token(tiny):
    for found in tiny.translate(TEXTS[3:], strategy=Alternatives(count=2)):
        assert found.tokens[0] != found.alternatives[0].tokens[0]


def test_an_impossible_wish_gives_no_text_and_says_so(tiny):
    nothing = Vocabulary(np.zeros(tiny.tokenizers.target.size, bool))
    control = Control(prefix="a bird", rules=(nothing,))
    found = one(tiny, "a dog", strategy=BEST_THREE, control=control)
    assert found.text == ""
    assert found.warnings == ("impossible",)
    assert found.confidence == 0
