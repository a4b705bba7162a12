"""A vocabulary grows behind its old tokens, and old texts are written as before."""

import pytest

from transformer import tokenizer, vocabulary

OLD = ["the dog runs", "the cat sees the dog", "a bird sings"] * 3
NEW = ["कुत्ता दौड़ता है", "बिल्ली कुत्ता देखती है", "the zebra zigzags"] * 3

KINDS = pytest.mark.parametrize("kind", ["bpe", "unigram"])


def learnt(kind, tags=()):
    return tokenizer.train(OLD, vocab_size=300, kind=kind, tags=tags)


@KINDS
def test_old_tokens_keep_their_ids_and_new_ones_stand_behind_them(kind):
    old = learnt(kind)
    new = vocabulary.extended(old, ["<2hi>", "<bt>"], NEW, 20)
    ids = range(old.size)
    assert [new.piece(id) for id in ids] == [old.piece(id) for id in ids]
    assert new.tags == ("<2hi>", "<bt>")
    assert old.size + 2 < new.size <= old.size + 2 + 20


@KINDS
def test_new_texts_are_shorter_and_come_back_whole(kind):
    old = learnt(kind)
    new = vocabulary.extended(old, [], NEW, 60)
    for text in NEW:
        assert len(new.encode(text)) < len(old.encode(text))
        assert new.decode(new.encode(text)) == text


def test_texts_of_old_words_are_written_as_before():
    old = learnt("bpe")
    new = vocabulary.extended(old, ["<2hi>"], NEW[:2], 60)
    for text in OLD:
        assert new.encode(text) == old.encode(text)


def test_tags_that_are_there_are_not_added_again():
    old = learnt("bpe", ["<2hi>"])
    new = vocabulary.extended(old, ["<2hi>", "<2de>"], [], 0)
    assert new.tags == ("<2hi>", "<2de>")
    assert new.size == old.size + 1


@KINDS
def test_a_new_token_stands_for_old_ones(kind):
    old = learnt(kind, ["<2en>", "<2de>"])
    new = vocabulary.extended(old, ["<2hi>"], NEW, 40)
    origins = vocabulary.origins(old, new)
    assert len(origins) == new.size - old.size
    tag, *pieces = origins
    assert [old.piece(id) for id in tag] == ["<2en>", "<2de>"]
    for id, origin in enumerate(pieces, start=old.size + 1):
        assert old.decode(origin).strip() == new.decode([id]).strip()
        assert max(origin) < old.size


def test_the_first_tag_stands_for_everything():
    old = learnt("bpe")
    (origin,) = vocabulary.origins(old, vocabulary.extended(old, ["<bt>"], [], 0))
    assert origin == list(range(4, old.size))
