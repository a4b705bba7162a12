"""Token ids of a corpus on disk, mapped into memory: written once, read at random.

A store is a folder with, for each side, the ids of all sentences end to end and the
offset where each begins. It appears under its name when it is whole, or not at all.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from transformer.errors import InputError

T = TypeVar("T")

SIDES = ("source", "target")

HOUR = 60 * 60
"""Seconds without a write, after which whoever wrote a draft is taken for dead."""

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


def _side(sentences: Sequence[Ids]) -> Side:
    offsets = np.cumsum([0, *map(len, sentences)])
    ids = chain.from_iterable(sentences)
    return Side(np.fromiter(ids, np.uint32, int(offsets[-1])), offsets)


def write(path: Path, parts: Iterable[Store]) -> None:
    """Stores the parts end to end at `path`, one in memory at a time.

    Raises:
        InputError: if there is no room, or no permission.
    """
    make(path, partial(_fill, parts=parts))


def make(path: Path, fill: Callable[[Path], None]) -> None:
    """A folder with what `fill` writes into it; it appears when that is all on disk.

    Raises:
        InputError: if there is no room, or no permission.
    """
    draft = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=".draft-"))
        fill(draft)
        _save(draft)
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():  # else another run was faster
                raise
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written: {error.strerror}. Make room there, or "
            "let XDG_CACHE_HOME name another place."
        ) from error
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def kept(path: Path, write: Callable[[], None], read: Callable[[], T]) -> T:
    """What there is to `read` at `path`, which `write` makes unless it is there.

    Raises:
        InputError: if it cannot be read any more.
    """
    if not os.path.exists(path):  # Path's raises where a folder may not be searched
        write()
    try:
        return read()
    except (LookupError, OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {error}. Remove it, and it is made again."
        ) from error


def _sweep(folder: Path) -> None:
    """Removes the drafts of runs that were killed."""
    for draft in folder.glob(".draft-*"):
        try:
            touched = max(path.stat().st_mtime for path in [draft, *draft.iterdir()])
        except FileNotFoundError:  # its run has just finished
            continue
        if touched < time.time() - HOUR:
            shutil.rmtree(draft, ignore_errors=True)


def _save(folder: Path) -> None:
    """Waits until the files survive a loss of power."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _fill(folder: Path, parts: Iterable[Store]) -> None:
    with ExitStack() as stack:
        files = [
            [stack.enter_context((folder / name).open("wb")) for name in _names(side)]
            for side in SIDES
        ]
        ends = [0, 0]
        for _, offsets in files:
            offsets.write(np.int64(0).tobytes())
        for part in parts:
            for number, (side, (ids, offsets)) in enumerate(
                zip(part, files, strict=True)
            ):
                ids.write(side.ids.tobytes())
                offsets.write((ends[number] + side.offsets[1:]).tobytes())
                ends[number] += int(side.offsets[-1])


def _names(side: str) -> tuple[str, str]:
    return f"{side}.ids", f"{side}.offsets"


def read(path: Path) -> Store:
    """Maps the store at `path` into memory."""
    return Store(*(_read_side(path, side) for side in SIDES))


def _read_side(path: Path, side: str) -> Side:
    ids, ends = _names(side)
    offsets = np.memmap(path / ends, np.int64, mode="r")
    if offsets[-1] == 0:  # nothing to map
        return Side(np.zeros(0, np.uint32), offsets)
    stored = Side(np.memmap(path / ids, np.uint32, mode="r"), offsets)
    if stored.ids.size != offsets[-1]:
        raise ValueError(f"{ids} has {stored.ids.size} of {offsets[-1]} tokens")
    return stored
