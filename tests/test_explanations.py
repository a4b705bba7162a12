"""An explanation is of the translation that is given, and of all texts there are."""

import json

import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import explanations, text
from transformer.errors import InputError
from transformer.explanations import explain
from transformer.strategies import Beam, Greedy
from transformer.symbols import EOS

TEXTS = ["a dog runs", "  the cat sees.\n\nA <b>dog</b>!  ", "", " \n"]

HOSTILE = [
    '<b>a dog</b> <script>alert(1)</script> runs {fast} &amp; "quotes" it\'s',
    "\u202eright to left\u202c שלום 😀 👩‍👩‍👧",
]


@pytest.fixture(scope="module")
def translator():
    return tiny.translator()


@pytest.fixture(scope="module")
def dog(translator):
    return explain(translator, "a dog runs")


@pytest.mark.parametrize("raw", TEXTS)
def test_it_explains_what_translate_says(translator, raw):
    found = explain(translator, raw)
    (expected,) = translator.translate([raw])
    assert (found.text, found.translation) == (raw, expected.text)
    assert found.warnings == expected.warnings
    assert found.greedy == translator.translate([raw], strategy=Greedy())[0].text
    assert [p.source.ids for p in found.parts] == list(
        map(tuple, translator.parts(raw))
    )
    assert json.loads(json.dumps(explanations.plain(found)))["text"] == raw


def test_the_tokens_and_their_probabilities_are_those_of_the_translation(
    translator, dog
):
    (part,) = dog.parts
    (expected,) = translator.translate(["a dog runs"])
    assert part.target.pieces == expected.tokens
    np.testing.assert_allclose(np.log(part.chosen), expected.log_probs, atol=1e-4)
    for choices, chosen, id in zip(
        part.steps, part.chosen, part.target.ids, strict=True
    ):
        values = [choice.probability for choice in choices]
        assert values == sorted(values, reverse=True)
        assert sum(values) < 1 + 1e-5
        named = [choice.probability for choice in choices if choice.id == id]
        assert named in ([], [pytest.approx(chosen)])


@pytest.mark.parametrize("raw", ["bird", "the cat {name} sees 12 birds", "{0}"])
def test_the_tree_is_of_the_search_that_found_the_translation(translator, raw):
    search = Beam(width=3)
    _, [(_, outcome)] = translator.outcomes(raw, search)
    (part,) = explain(translator, raw, strategy=search).parts
    if part.tree is None:
        assert outcome.task is None and part.target.text == outcome.best[0].text
    else:
        assert outcome.task is not None and outcome.task.attempt > 1
        path = tuple(part.tree.nodes[number].id for number in part.tree.best)
        assert path == part.target.ids == outcome.best[0].ids


def test_arrays_have_one_row_a_token_and_looks_sum_to_one(translator, dog):
    (part,) = dog.parts
    source, target = len(part.source.ids), len(part.target.ids)
    assert part.encoder.layers.shape == (2, source, 8)
    assert part.decoder.layers.shape == (2, target, 8)
    assert part.positions.shape == part.encoder.embeddings.shape
    looks = part.encoder.attention, part.decoder.attention, part.decoder.cross
    for weights, length in zip(looks, (source, target, source), strict=True):
        assert weights.shape[-1] == length
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    for vectors in (part.encoder, part.decoder):
        assert [len(layer) for layer in vectors.roles] == [2, 2]


@settings(max_examples=50)
@given(st.text(max_size=30) | st.sampled_from(HOSTILE))
def test_spans_lay_the_text_out_in_bytes(translator, raw):
    tokenizer, normal = translator.tokenizers.source, text.normalize(raw)
    ids = tokenizer.encode(raw)
    spans = tokenizer.spans(ids)
    written = normal.encode()
    assert b"".join(written[begin:end] for begin, end in spans) == written
    for id, (begin, end) in zip(ids, spans, strict=True):
        if not tokenizer.is_byte(id):
            piece = tokenizer.piece(id).replace("▁", " ")
            assert written[begin:end].decode().strip() == piece.strip()


def test_a_given_target_is_explained_instead(translator):
    found = explain(translator, "a dog", "the  bird sees it")
    (part,) = found.parts
    assert part.target.text == "the bird sees it"
    expected = (*translator.tokenizers.target.encode("the bird sees it"), EOS)
    assert part.target.ids == expected
    assert part.tree is None
    (score,) = translator.score([("a dog", "the bird sees it")])
    np.testing.assert_allclose(np.log(part.chosen), score.log_probs, atol=1e-4)


def test_a_given_target_of_a_text_that_is_too_long_is_refused(translator):
    with pytest.raises(InputError, match="sentence by sentence"):
        explain(translator, "dog " * 60, "it")
    with pytest.raises(InputError, match="sentence by sentence"):
        explain(translator, "dog", "it " * 90)


def test_words_that_belong_together_are_words_of_both_sides(translator, dog):
    given = explain(translator, "a dog runs", "the cat sees a bird").parts[0]
    assert given.alignment
    for part in (given, *dog.parts):
        source, target = part.source.text.split(), part.target.text.split()
        assert all(i < len(source) and j < len(target) for i, j in part.alignment)
        assert [place.text for place in part.words][:3] == ["a", "dog", "runs"]
