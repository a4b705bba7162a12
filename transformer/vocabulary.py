"""A vocabulary that grows: new tokens behind the old ones, which keep their ids."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from transformer import tokenizer
from transformer.symbols import BOS, EOS, PAD, UNK
from transformer.tokenizer import Tokenizer

Model: Any = getattr(sentencepiece_model_pb2, "ModelProto")  # noqa: B009
Piece: Any = Model.SentencePiece

SPECIAL = (PAD, BOS, EOS, UNK)


def extended(
    old: Tokenizer, tags: Iterable[str], sentences: Sequence[str], count: int
) -> Tokenizer:
    """With new tags, and at most `count` new pieces that `sentences` are made of.

    What is new joins what the old pieces were merged into, so that a text is written
    as before unless new pieces shorten it.
    """
    model = Model.FromString(old.model)
    for tag in tags:
        if tag not in old.tags:
            model.pieces.add(piece=tag, score=0.0, type=Piece.CONTROL)
    if count:
        byte_pairs = model.trainer_spec.model_type == model.trainer_spec.BPE
        kind = "bpe" if byte_pairs else "unigram"
        learnt = tokenizer.train(sentences, vocab_size=old.size + count, kind=kind)
        lowest = min(piece.score for piece in model.pieces)
        for rank, (text, score) in enumerate(islice(_new(model, learnt), count), 1):
            # Merges are done in the order of their scores, the old ones first.
            score = lowest - rank if byte_pairs else score
            model.pieces.add(piece=text, score=score, type=Piece.NORMAL)
    model.trainer_spec.vocab_size = len(model.pieces)
    return Tokenizer(model.SerializeToString())


def _new(model: Any, learnt: Tokenizer) -> Iterator[tuple[str, float]]:
    """The pieces that a model lacks, with their scores: characters, then the others."""
    have = {piece.piece for piece in model.pieces}
    every = Model.FromString(learnt.model).pieces
    lacking = [p for p in every if p.type == Piece.NORMAL and p.piece not in have]
    for piece in sorted(lacking, key=lambda piece: len(piece.piece) > 1):
        yield piece.piece, piece.score


def origins(old: Tokenizer, new: Tokenizer) -> list[list[int]]:
    """For each token that `new` has beyond `old`, the old tokens that it stands for.

    A piece stands for those that it was written with, a tag for the tags that there
    were, or for everything if there were none.
    """
    ids = range(old.size)
    tags = [id for id in ids if old.piece(id) in old.tags]
    everything = tags or [id for id in ids if id not in SPECIAL]
    return [
        everything if (piece := new.piece(id)) in new.tags else _written(old, piece)
        for id in range(old.size, new.size)
    ]


def _written(old: Tokenizer, piece: str) -> list[int]:
    """The old tokens of a piece, without a blank before it that it does not have."""
    ids = old.encode(piece.replace("▁", " "))
    blank = not piece.startswith("▁") and len(ids) > 1 and old.piece(ids[0]) == "▁"
    return ids[1:] if blank else ids
