"""The model folder: what describes a model, and where its parts are.

config.json        settings, vocabulary sizes, versions, fingerprint of the data
tokenizer.model    SentencePiece; also source.model if the source has its own
weights/           parameters to translate with: the best so far
checkpoints/       everything training needs to continue
metrics.jsonl      one line a report
report.html        the same, to look at
"""

import dataclasses
import json
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from transformer import settings
from transformer.checkpoints import seals
from transformer.config import Config, ModelConfig
from transformer.errors import InputError, unreadable
from transformer.tokenizer import Tokenizers

FORMAT = 2
"""Raised when older programs could not read a folder any more."""

DRAFT = "config.json.draft"

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "sentencepiece")


Direction = tuple[str, str]
"""A source language and a target language."""


class Description(NamedTuple):
    """What config.json says."""

    config: Config
    """As the user asked for it."""
    vocabulary: tuple[int, int]
    """Pieces that the tokenizers found, source and target."""
    data: dict[str, str]
    """SHA-256 of the training files, and what follows from validation and test sets."""
    directions: tuple[Direction, ...]
    """What it learnt to translate, from which language into which."""
    parent: str | None = None
    """The mark of the weights that it began with: none if empty, None if not known."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The languages it translates into."""
        return tuple(dict.fromkeys(target for _, target in self.directions))

    @property
    def model(self) -> ModelConfig:
        """The network as it was built: with the vocabulary that there is."""
        return sized(self.config.model, self.vocabulary)


def sized(cfg: ModelConfig, vocabulary: tuple[int, int]) -> ModelConfig:
    """`cfg` with the vocabulary that the tokenizers found."""
    source, target = vocabulary
    own = None if cfg.source_vocab_size is None else source
    return dataclasses.replace(cfg, vocab_size=target, source_vocab_size=own)


def create(path: Path, description: Description, tokenizers: Tokenizers) -> None:
    """Makes a model folder without weights; config.json, in place last, makes it one.

    Raises:
        InputError: if it cannot be written.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "config": settings.to_dict(description.config),
        "vocabulary": description.vocabulary,
        "data": description.data,
        "directions": description.directions,
        "parent": description.parent,
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }
    draft = path / DRAFT
    try:
        path.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(content, indent=2), "utf-8")
        tokenizers.save(path)
        draft.rename(path / "config.json")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}. Name another --out."
        ) from error


def exists(path: Path) -> bool:
    """Raises `InputError` if that cannot be found out."""
    try:
        return (path / "config.json").is_file()
    except OSError as error:
        raise unreadable(path, error) from error


def begun(path: Path) -> bool:
    """Whether there is something in it that was learnt, and is whole."""
    learnt = (path / "checkpoints", path / "weights")
    return exists(path) and any(map(seals, learnt))


def vacant(path: Path) -> bool:
    """Whether a run may begin there: there is nothing, or one that learnt nothing."""
    if exists(path):
        return not begun(path) and _ours(path)
    if not path.exists():
        return True
    return path.is_dir() and ((path / DRAFT).exists() or not any(path.iterdir()))


def _ours(path: Path) -> bool:
    """Whether we wrote its config.json; models of other programs have one as well."""
    try:
        describe(path)
    except InputError:
        return False
    return True


def describe(path: Path) -> Description:
    """Raises `InputError` if `path` is no model folder, or one of a newer version."""
    file = path / "config.json"
    if not exists(path):
        raise InputError(f"{path} is no model folder: it has no config.json.")
    try:
        content = json.loads(file.read_text("utf-8"))
        version = content["format"]
        if version > FORMAT:
            raise InputError(
                f"{path} has format {version}, but this program reads up to {FORMAT}. "
                "Install a newer version of this program."
            )
        cfg = settings.from_dict(content["config"])
        source, target = content["vocabulary"]
        if version < 2:  # of one corpus
            content["directions"] = [(cfg.data.source, cfg.data.target)]
        directions = tuple((a, b) for a, b in content["directions"])
        data, parent = content["data"], content.get("parent")
        return Description(cfg, (source, target), data, directions, parent)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file} is damaged: {error!r}.") from error
