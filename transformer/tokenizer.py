"""SentencePiece, trained here: text as pieces with ids, and back without loss."""

import io
import random
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import sentencepiece

from transformer.errors import InputError
from transformer.segmentation import BytePairs
from transformer.symbols import BOS, EOS, PAD, UNK
from transformer.text import normalize


class Piece(NamedTuple):
    """One token: how it is written (▁ begins a word) and its row in the embedding."""

    text: str
    id: int


class Tokenizer:
    """Text to ids and back. Byte fallback writes what has no piece of its own.

    Args:
        model: a SentencePiece model, serialised.

    Raises:
        InputError: if `model` is none, or its special ids are not ours.
    """

    def __init__(self, model: bytes) -> None:
        self.model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
        except RuntimeError as error:
            raise InputError("The tokenizer is no SentencePiece model.") from error
        processor = self._processor
        ids = processor.pad_id(), processor.bos_id(), processor.eos_id()
        if ids != (PAD, BOS, EOS):
            raise InputError(
                f"The tokenizer has PAD, BOS, EOS = {ids}, not {(PAD, BOS, EOS)}. "
                "Train one with this program."
            )

    @property
    def size(self) -> int:
        """The number of pieces, special ones included."""
        return self._processor.vocab_size()

    def encode(self, text: str) -> list[int]:
        """Ids of the normalised text, without BOS and EOS."""
        return self._processor.encode(normalize(text))

    def sample(self, text: str, dropout: float, chance: random.Random) -> list[int]:
        """As `encode`, but each merge is left out with probability `dropout`.

        Raises:
            InputError: if the pieces are not those of byte-pair encoding.
        """
        words = self._byte_pairs.sample(normalize(text), dropout, chance)
        return [id for word in words for piece in word for id in self._ids(piece)]

    def _ids(self, piece: str) -> list[int]:
        id = self._processor.piece_to_id(piece)
        if not self._processor.is_unknown(id):
            return [id]
        return [self._processor.piece_to_id(f"<0x{b:02X}>") for b in piece.encode()]

    @cached_property
    def _byte_pairs(self) -> BytePairs:
        processor = self._processor
        ids = [id for id in range(self.size) if not self._is_special(id)]
        scores = {processor.id_to_piece(id): processor.get_score(id) for id in ids}
        if not all(score.is_integer() for score in scores.values()):
            raise InputError(
                "data.subword_dropout leaves out merges of byte-pair encoding; this "
                "tokenizer has none. Train one with --data.tokenizer bpe."
            )
        return BytePairs({piece: -score for piece, score in scores.items()})

    def _is_special(self, id: int) -> bool:
        of = self._processor
        return of.is_control(id) or of.is_unknown(id) or of.is_byte(id)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, normalised; special tokens are silent."""
        return normalize(self._processor.decode(list(ids)))

    def piece(self, id: int) -> str:
        """How a token is written."""
        return self._processor.id_to_piece(id)

    def pieces(self, text: str) -> list[Piece]:
        """The tokens of `text`, to look at."""
        ids = self.encode(text)
        return [Piece(self.piece(id), id) for id in ids]

    def spans(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Which UTF-8 bytes of the normalised text each of its tokens stands for."""
        sizes = [1 if self.is_byte(id) else _bytes(self.piece(id)) for id in ids]
        before = 1 if ids and self.piece(ids[0]).startswith("▁") else 0  # is no blank
        ends = [max(0, end - before) for end in accumulate(sizes)]
        return list(pairwise([0, *ends]))

    def is_byte(self, id: int) -> bool:
        """Whether a token is a single byte of a character that has no piece."""
        return self._processor.is_byte(id)


class Tokenizers(NamedTuple):
    """One a side; the same object twice for a joint vocabulary."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        return self.source is self.target

    def encode(self, pair: tuple[str, str]) -> tuple[list[int], list[int]]:
        """Ids of both sides of a sentence pair."""
        return self.source.encode(pair[0]), self.target.encode(pair[1])

    def sample(
        self, pair: tuple[str, str], dropout: float, chance: random.Random
    ) -> tuple[list[int], list[int]]:
        """As `encode`, each side in other pieces; see `Tokenizer.sample`."""
        source = self.source.sample(pair[0], dropout, chance)
        return source, self.target.sample(pair[1], dropout, chance)

    def save(self, folder: Path) -> None:
        """Writes tokenizer.model, and source.model if the source has its own."""
        (folder / "tokenizer.model").write_bytes(self.target.model)
        (folder / "source.model").unlink(missing_ok=True)
        if not self.joint:
            (folder / "source.model").write_bytes(self.source.model)


def load_both(folder: Path) -> Tokenizers:
    """The inverse of `Tokenizers.save`."""
    target = load(folder / "tokenizer.model")
    own = folder / "source.model"
    return Tokenizers(load(own) if own.exists() else target, target)


def load(path: Path) -> Tokenizer:
    """Raises `InputError` if there is no readable model at `path`."""
    try:
        return Tokenizer(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error


def train(
    sentences: Iterable[str], *, vocab_size: int, kind: str, seed: int = 0
) -> Tokenizer:
    """Learns at most `vocab_size` pieces from normalised `sentences`.

    Args:
        kind: "bpe" (Sennrich et al. 2016) or "unigram" (Kudo 2018).

    Raises:
        InputError: if `vocab_size` has no room for 256 bytes and the characters.
    """
    sentencepiece.set_random_generator_seed(seed)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type=kind,
            vocab_size=vocab_size,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=0.9999,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            max_sentence_length=1 << 16,
            num_threads=1,  # so that the pieces do not depend on the machine
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise InputError(
            f"No tokenizer with model.vocab_size={vocab_size} can be trained on this "
            f"text ({_reason(error)}). Raise it, or give more text."
        ) from error
    return Tokenizer(model.getvalue())


def _bytes(piece: str) -> int:
    return len(piece.replace("▁", " ").encode())


def _reason(error: RuntimeError) -> str:
    return str(error).splitlines()[-1].rpartition("] ")[2].rstrip(". ")
