"""Token ids of a corpus on disk, mapped into memory: written once, read at random.

A store is a folder with, for each side, the ids of all sentences end to end and the
offset where each begins. It appears under its name when it is whole, or not at all.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from transformer.errors import InputError

SIDES = ("source", "target")

Ids = list[int]


@dataclass(frozen=True)
class Side:
    """The sentences of one language."""

    ids: np.ndarray
    offsets: np.ndarray

    def __getitem__(self, index: int) -> np.ndarray:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sentence, without special ones."""
        return np.diff(self.offsets)


class Store(NamedTuple):
    """Aligned sentences in two languages, as ids without BOS and EOS."""

    source: Side
    target: Side

    @property
    def size(self) -> int:
        return len(self.source.offsets) - 1


def cache() -> Path:
    """Where stores and compiled programs are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "jax-transformer"


def collect(pairs: Iterable[tuple[Ids, Ids]]) -> Store:
    """A store in memory, for what is small."""
    return Store(*(_side(list(ids)) for ids in zip(*pairs, strict=True)))


def _side(sentences: list[Ids]) -> Side:
    offsets = np.cumsum([0, *map(len, sentences)])
    return Side(np.concatenate(sentences, dtype=np.uint32, casting="unsafe"), offsets)


def write(path: Path, pairs: Iterable[tuple[Ids, Ids]]) -> None:
    """Stores the pairs at `path`, in constant memory but for the offsets.

    Raises:
        InputError: if there is no room, or no permission.
    """
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".draft-"))
        _fill(draft, pairs)
        if not path.exists():  # another run may have been faster
            draft.rename(path)
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written: {error.strerror}. Make room there, or "
            "let XDG_CACHE_HOME name another place."
        ) from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def _fill(folder: Path, pairs: Iterable[tuple[Ids, Ids]]) -> None:
    offsets: tuple[list[int], list[int]] = ([0], [0])
    with (
        (folder / "source.ids").open("wb") as source,
        (folder / "target.ids").open("wb") as target,
    ):
        for pair in pairs:
            for ids, file, ends in zip(pair, (source, target), offsets, strict=True):
                file.write(np.asarray(ids, np.uint32).tobytes())
                ends.append(ends[-1] + len(ids))
    for name, ends in zip(SIDES, offsets, strict=True):
        np.save(folder / f"{name}.offsets.npy", np.asarray(ends, np.int64))


def read(path: Path) -> Store:
    """Maps the store at `path` into memory."""
    return Store(*(_read_side(path, name) for name in SIDES))


def _read_side(path: Path, name: str) -> Side:
    offsets = np.load(path / f"{name}.offsets.npy", mmap_mode="r")
    if offsets[-1] == 0:  # nothing to map
        return Side(np.zeros(0, np.uint32), offsets)
    return Side(np.memmap(path / f"{name}.ids", np.uint32, mode="r"), offsets)
