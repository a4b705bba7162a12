"""SentencePiece, trained here: text as pieces with ids, and back without loss."""

import copy
import io
import random
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import sentencepiece

from transformer.errors import InputError, unreadable
from transformer.segmentation import BytePairs, Unigrams
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
        self.model, self._before = model, ()
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

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Tokens that no text is encoded to: they say what is wanted of it."""
        special = self._processor.is_control
        ids = (id for id in range(self.size) if id not in (PAD, BOS, EOS))
        return tuple(self.piece(id) for id in ids if special(id))

    def tagged(self, *tags: str) -> "Tokenizer":
        """The same tokenizer, which puts these before every text."""
        assert set(tags) <= set(self.tags), (tags, self.tags)
        other = copy.copy(self)
        other._before = tuple(map(self._processor.piece_to_id, tags))
        return other

    def encode(self, text: str) -> list[int]:
        """Ids of the normalised text behind the tags, without BOS and EOS."""
        return [*self._before, *self._processor.encode(normalize(text))]

    @property
    def kind(self) -> str:
        """How its pieces were learnt, as `train` is told."""
        # The scores of merges are their ranks, those of unigrams logarithms.
        ranks = all(score.is_integer() for score in self._scores.values())
        return "bpe" if ranks else "unigram"

    def sample(self, text: str, degree: float, chance: random.Random) -> list[int]:
        """As `encode`, but in other pieces, by chance.

        Args:
            degree: how far from the usual ones, as their kind has it. With "bpe" the
                probability that a merge is left out, see `BytePairs.sample`; with
                "unigram" the power of probabilities, see `Unigrams.sample`.
        """
        words = self._segments.sample(normalize(text), degree, chance)
        ids = (id for word in words for piece in word for id in self._ids(piece))
        return [*self._before, *ids]

    def _ids(self, piece: str) -> list[int]:
        id = self._rows.get(piece)
        if id is not None:
            return [id]
        return [self._processor.piece_to_id(f"<0x{b:02X}>") for b in piece.encode()]

    @cached_property
    def _segments(self) -> BytePairs | Unigrams:
        if self.kind == "unigram":
            return Unigrams(self._scores)
        return BytePairs({piece: -score for piece, score in self._scores.items()})

    @cached_property
    def _rows(self) -> dict[str, int]:
        """The ids of the pieces of text."""
        ids = (id for id in range(self.size) if not self._is_special(id))
        return {self.piece(id): id for id in ids}

    @cached_property
    def _scores(self) -> dict[str, float]:
        score = self._processor.get_score
        return {piece: score(id) for piece, id in self._rows.items()}

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
        sizes = map(self._size, ids)
        first = next((id for id in ids if self._size(id)), None)
        # The blank that is written before the first word is none of the text.
        before = 1 if first is not None and self.piece(first).startswith("▁") else 0
        ends = [max(0, end - before) for end in accumulate(sizes)]
        return list(pairwise([0, *ends]))

    def _size(self, id: int) -> int:
        """In bytes of the text; a tag is none of it."""
        if self._processor.is_control(id):
            return 0
        return 1 if self.is_byte(id) else _bytes(self.piece(id))

    def is_byte(self, id: int) -> bool:
        """Whether a token is a single byte of a character that has no piece."""
        return self._processor.is_byte(id)


class Tokenizers(NamedTuple):
    """One a side; the same object twice for a joint vocabulary."""

    source: Tokenizer
    target: Tokenizer

    @property
    def joint(self) -> bool:
        return self.source.model is self.target.model  # whatever the tags

    def encode(self, pair: tuple[str, str]) -> tuple[list[int], list[int]]:
        """Ids of both sides of a sentence pair."""
        return self.source.encode(pair[0]), self.target.encode(pair[1])

    def sample(
        self, pair: tuple[str, str], degree: float, chance: random.Random
    ) -> tuple[list[int], list[int]]:
        """As `encode`, each side in other pieces; see `Tokenizer.sample`."""
        source = self.source.sample(pair[0], degree, chance)
        return source, self.target.sample(pair[1], degree, chance)

    def toward(self, language: str, tag: str | None = None) -> "Tokenizers":
        """For texts that are to be translated into a language.

        A model of several target languages is told which by the first token of the
        source (Johnson et al. 2017); one of a single language knows.

        Args:
            tag: says more about the text, as of a corpus.
        """
        tags = [of_language(language)] if targets(self.source) else []
        tags += [of_corpus(tag)] if tag else []
        return self._replace(source=self.source.tagged(*tags)) if tags else self

    def save(self, folder: Path) -> None:
        """Writes tokenizer.model, and source.model if the source has its own."""
        (folder / "tokenizer.model").write_bytes(self.target.model)
        (folder / "source.model").unlink(missing_ok=True)
        if not self.joint:
            (folder / "source.model").write_bytes(self.source.model)


def of_language(language: str) -> str:
    """How the tag of a target language is written."""
    return f"<2{language}>"


def of_corpus(tag: str) -> str:
    """How the tag of a corpus is written; it never looks like that of a language."""
    return f"<{tag}>"


def targets(tokenizer: Tokenizer) -> list[str]:
    """The target languages that there are tags for."""
    return [tag[2:-1] for tag in tokenizer.tags if tag.startswith("<2")]


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
        raise unreadable(path, error) from error


def train(
    sentences: Iterable[str],
    *,
    vocab_size: int,
    kind: str,
    seed: int = 0,
    tags: Sequence[str] = (),
) -> Tokenizer:
    """Learns at most `vocab_size` pieces from normalised `sentences`.

    Args:
        tags: further tokens, which no text is encoded to.
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
            # No user-defined symbols, for those a text could contain.
            control_symbols=list(tags),
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
