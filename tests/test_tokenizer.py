"""Text to ids and back: nothing is lost, nothing is unknown."""

import io
import re

import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transformer import tokenizer
from transformer.errors import InputError
from transformer.symbols import BOS, EOS, PAD, UNK
from transformer.text import normalize
from transformer.tokenizer import Tokenizer, Tokenizers

SENTENCES = [
    f"the {color} {animal} runs to {place}"
    for color in ("red", "blue", "grün", "नीला")
    for animal in ("dog", "cat", "bird")
    for place in ("house", "garden", "sea")
]
KINDS = ("bpe", "unigram")
LEARNT = {k: tokenizer.train(SENTENCES, vocab_size=330, kind=k) for k in KINDS}
HARD = "\0\t\n\x85 \u0308\u2028\u2047\u2581\u2585\ue000\ufeff\ufffd\uffff\ud800\udfff"
ANY = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(HARD),
        st.characters(categories=("Mn", "Co", "Cc", "Cn")),
        st.sampled_from("the dog"),
    )
)


def foreign(**special):
    """A SentencePiece model of somebody else."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        **special,
    )
    return model.getvalue()


@pytest.fixture(params=KINDS)
def learnt(request):
    return LEARNT[request.param]


@given(raw=ANY, kind=st.sampled_from(KINDS))
@example(raw=HARD, kind="bpe")
@example(raw=HARD, kind="unigram")
@example(raw="<s> </s> <pad> <unk> <0x41>", kind="bpe")
@example(raw="<s> </s> <pad> <unk> <0x41>", kind="unigram")
@settings(deadline=None, max_examples=300)
def test_any_text_comes_back_normalised_without_special_ids(raw, kind):
    ids = LEARNT[kind].encode(raw)
    assert LEARNT[kind].decode(ids) == normalize(raw)
    assert not {PAD, BOS, EOS, UNK} & set(ids)
    assert all(id < LEARNT[kind].size for id in ids)


@given(ids=st.lists(st.integers(0, 262)), kind=st.sampled_from(KINDS))
@settings(deadline=None)
def test_ids_that_form_no_characters_decode_to_normal_text(ids, kind):
    decoded = LEARNT[kind].decode(ids)
    assert decoded == normalize(decoded)


def test_special_tokens_have_our_ids(learnt):
    assert [learnt.piece(id) for id in (PAD, BOS, EOS, UNK)] == [
        "<pad>", "<s>", "</s>", "<unk>",
    ]  # fmt: skip


def test_padding_and_the_ends_of_sentences_are_silent(learnt):
    ids = learnt.encode("the red dog")
    assert learnt.decode([BOS, *ids, EOS, PAD, PAD]) == "the red dog"


def test_no_text_is_no_ids(learnt):
    assert learnt.encode("") == learnt.encode(" \t\u2581") == []
    assert learnt.decode([]) == ""


def test_pieces_are_the_ids_and_how_they_are_written(learnt):
    pieces = learnt.pieces("the  blue dog")
    assert [piece.id for piece in pieces] == learnt.encode("the blue dog")
    assert "".join(piece.text for piece in pieces) == "▁the▁blue▁dog"
    assert all(piece.text == learnt.piece(piece.id) for piece in pieces)


def test_only_characters_without_a_piece_are_spelled_as_bytes(learnt):
    assert not any(map(learnt.is_byte, learnt.encode("grün नीला")))
    assert sum(map(learnt.is_byte, learnt.encode("字"))) == len("字".encode())


def test_vocabulary_is_not_larger_than_asked_for(learnt):
    assert learnt.size <= 330


def test_the_two_kinds_differ():
    assert LEARNT["bpe"].model != LEARNT["unigram"].model


def test_text_with_fewer_pieces_than_asked_for_is_enough():
    assert tokenizer.train(["ab"], vocab_size=5000, kind="bpe").size < 300


@pytest.mark.parametrize("kind", KINDS)
def test_training_twice_gives_the_same_model(kind):
    again = tokenizer.train(SENTENCES, vocab_size=330, kind=kind)
    assert again.model == LEARNT[kind].model


def test_sentences_may_come_from_a_generator():
    streamed = tokenizer.train((s for s in SENTENCES), vocab_size=330, kind="bpe")
    assert streamed.model == LEARNT["bpe"].model


@pytest.mark.parametrize("kind", KINDS)
def test_too_small_a_vocabulary_is_refused_with_the_setting_to_raise(kind):
    with pytest.raises(InputError, match=r"model\.vocab_size=200.*Raise it"):
        tokenizer.train(SENTENCES, vocab_size=200, kind=kind)


@pytest.mark.parametrize("model", [b"", b"not a model", b"\0" * 99, b"\xff" * 99])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(InputError, match="no SentencePiece model"):
        Tokenizer(model)


def test_a_truncated_model_is_refused():
    model = LEARNT["bpe"].model
    with pytest.raises(InputError, match="no SentencePiece model"):
        Tokenizer(model[: len(model) // 2])


@pytest.mark.parametrize(
    "special",
    [
        {},
        {"pad_id": 3, "unk_id": 0, "bos_id": 1, "eos_id": 2},
        {"pad_id": 0, "unk_id": 3, "bos_id": 2, "eos_id": 1},
        {"pad_id": 0, "unk_id": 3, "bos_id": -1, "eos_id": 2},
    ],
)
def test_other_special_ids_are_refused(special):
    with pytest.raises(InputError, match=re.escape("not (0, 1, 2)")):
        Tokenizer(foreign(**special))


def test_a_joint_tokenizer_is_saved_once_and_loaded_as_one(tmp_path):
    both = Tokenizers(LEARNT["bpe"], LEARNT["bpe"])
    both.save(tmp_path)
    loaded = tokenizer.load_both(tmp_path)
    assert both.joint
    assert loaded.joint
    assert loaded.target.model == both.target.model
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.model"]


def test_separate_tokenizers_come_back_each_on_its_side(tmp_path):
    both = Tokenizers(LEARNT["bpe"], LEARNT["unigram"])
    both.save(tmp_path)
    loaded = tokenizer.load_both(tmp_path)
    assert not loaded.joint
    assert loaded.source.model == both.source.model
    assert loaded.target.model == both.target.model


def test_each_side_of_a_pair_is_encoded_by_its_own_tokenizer():
    both = Tokenizers(LEARNT["bpe"], LEARNT["unigram"])
    pair = ("the red dog", "the blue cat")
    source, target = both.encode(pair)
    assert source == LEARNT["bpe"].encode(pair[0])
    assert target == LEARNT["unigram"].encode(pair[1])
    assert target != LEARNT["bpe"].encode(pair[1])


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'none.model'}")):
        tokenizer.load(tmp_path / "none.model")


def test_a_damaged_model_file_is_refused(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"damaged")
    with pytest.raises(InputError):
        tokenizer.load_both(tmp_path)


@pytest.fixture(scope="module", params=KINDS)
def told(request):
    tags = ["<2de>", "<2hi>", "<bt>"]
    learnt = tokenizer.train(SENTENCES, vocab_size=330, kind=request.param, tags=tags)
    return Tokenizers(learnt, learnt)


def test_tags_stand_before_the_text_and_are_silent(told):
    assert told.source.tags == ("<2de>", "<2hi>", "<bt>")
    assert tokenizer.targets(told.source) == ["de", "hi"]
    plain, text = told.source, "the dog"
    for language, tag, written in (
        ("hi", None, ["<2hi>"]),
        ("de", "bt", ["<2de>", "<bt>"]),
    ):
        side = told.toward(language, tag).source
        ids = side.encode(text)
        assert [side.piece(id) for id in ids[: len(written)]] == written
        assert ids[len(written) :] == plain.encode(text)
        assert side.decode(ids) == text


def test_a_tokenizer_without_languages_needs_no_tag():
    joint = LEARNT["bpe"]
    assert joint.tags == ()
    both = Tokenizers(joint, joint)
    assert both.toward("hi") is both


TAGS = ["<2de>", "<bt>"]
TAGGED = tokenizer.train(SENTENCES, vocab_size=330, kind="bpe", tags=TAGS)


@given(st.text(st.sampled_from("<2dehi>bt/s▁ ")))
def test_no_text_can_forge_a_tag(text):
    ids = TAGGED.encode(f"{text}<2de>{text}<bt>")
    assert not {TAGGED.piece(id) for id in ids} & {*TAGS, "<s>", "</s>", "<pad>"}
