"""What a translator's embeddings know of single words."""

from typing import NamedTuple

import numpy as np

from transformer.axes import Params
from transformer.errors import InputError
from transformer.neighbours import Lexicon, Neighbour, script
from transformer.text import normalize
from transformer.tokenizer import Tokenizer
from transformer.translator import Translator


class Neighbours(NamedTuple):
    """A word, and what is near it."""

    pieces: tuple[str, ...]
    """As it is written."""
    translation: str
    """Of the word alone."""
    by_script: dict[str, tuple[Neighbour, ...]]
    """The nearest words in each script, "LATIN", nearest first; that of the word itself
    first. Of a vocabulary of its own for the target, those nearest to the translation.
    """


def lexicons(translator: Translator) -> tuple[Lexicon, Lexicon]:
    """The words of source and target; the same one twice for a joint vocabulary."""
    tables = translator.params["params"]
    target = _lexicon(translator.tokenizers.target, tables["embedding"])
    if translator.tokenizers.joint:
        return target, target
    return _lexicon(translator.tokenizers.source, tables["source_embedding"]), target


def _lexicon(tokenizer: Tokenizer, embedding: Params) -> Lexicon:
    return Lexicon(tokenizer, np.asarray(embedding["table"]))


def neighbours(translator: Translator, word: str, count: int = 10) -> Neighbours:
    """The words nearest to one by the cosine of their embeddings.

    Raises:
        InputError: unless it is one word.
    """
    if len(normalize(word).split()) != 1:
        raise InputError(f"{word!r} is not one word; ask for the neighbours of one.")
    (translation,) = translator.translate([word])
    source, target = lexicons(translator)
    ids = source.tokenizer.encode(word)
    found = _by_script(source, ids, count)
    found = dict(sorted(found.items(), key=lambda item: item[0] != script(word)))
    if target is not source and (
        ids_there := target.tokenizer.encode(translation.text)
    ):
        found |= _by_script(target, ids_there, count)
    pieces = tuple(map(source.tokenizer.piece, ids))
    return Neighbours(pieces, translation.text, found)


def _by_script(
    lexicon: Lexicon, ids: list[int], count: int
) -> dict[str, tuple[Neighbour, ...]]:
    scripts = lexicon.scripts().items()
    found = {name: lexicon.nearest(ids, count, allowed) for name, allowed in scripts}
    return {name: near for name, near in found.items() if near}
