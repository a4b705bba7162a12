"""One file, several processes: which lines are whose, and how they come together.

No process waits for another or talks to it. All they know of each other stands in a
folder beside the file that they write: a share is whole when it has its name, the file
is written when the folder has lost its own. Each is one renaming, which a file system
does entirely or not at all.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import BinaryIO

from transformer import compression
from transformer.errors import InputError


@dataclass(frozen=True)
class Shard:
    """The share of one process: number `index` of `count`, counted from 0."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def own(self, lines: Iterable[str], part: int) -> Iterator[tuple[int, str]]:
        """Its lines, numbered among all: parts of `part` lines, dealt out in turn."""
        for number, line in enumerate(lines):
            if number // part % self.count == self.index:
                yield number, line


ALONE = Shard(0, 1)
"""One process does it all."""


def parse(written: str) -> Shard:
    """The inverse of `str`.

    Raises:
        InputError: if `written` is none of 0/N to (N − 1)/N.
    """
    found = re.fullmatch("([0-9]{1,9})/([0-9]{1,9})", written)
    if found:
        shard = Shard(*map(int, found.groups()))
        if shard.index < shard.count:
            return shard
    raise InputError(
        f"{written!r} is no share of a file. With two processes, one does 0/2 and the "
        "other 1/2: counting begins at 0."
    )


class Shares:
    """The shares of one file, in a folder beside it until it is written.

    Args:
        mark: tells them from shares that must not be mixed with them.
    """

    def __init__(self, target: Path, mark: str, count: int) -> None:
        self._target, self._count = target, count
        self._folder = target.with_name(f"{target.name}.{mark}.partial")
        self._joined = self._folder.with_suffix(".joined")

    def has(self, index: int) -> bool:
        """Whether a share is whole."""
        return (self._folder / str(index)).exists()

    @contextmanager
    def open(self, index: int) -> Iterator[BinaryIO]:
        """What is there of a share, to read and go on; without an error, it is whole.

        Not in append mode: if two processes make the same share by mistake, they write
        the same bytes to the same places.
        """
        self._folder.mkdir(exist_ok=True)
        draft = self._folder / f"{index}.draft"
        draft.touch()
        with draft.open("r+b") as file:
            yield file
            file.truncate()
        draft.replace(self._folder / str(index))

    def join(self, part: int) -> int:
        """Writes the file if all shares are whole; returns how many are missing.

        It is compressed as its ending says; the shares are not, to be continued.
        """
        try:
            # To list the folder makes a network file system look; `exists` may not.
            missing = set(map(str, range(self._count))) - set(os.listdir(self._folder))
            if missing:
                return len(missing)
            self._write(part)
        except OSError:
            if self._folder.exists():
                raise
            # Otherwise another process came first, and the file is written.
        shutil.rmtree(self._joined, ignore_errors=True)
        return 0

    def _write(self, part: int) -> None:
        draft = self._folder / f"{uuid.uuid4()}.joining"  # others may do the same now
        with ExitStack() as stack, draft.open("xb") as output:
            paths = (self._folder / str(index) for index in range(self._count))
            shares = [stack.enter_context(path.open("rb")) for path in paths]
            with compression.writer(self._target.suffix, output) as written:
                for share in cycle(shares):
                    lines = list(islice(share, part))
                    if not lines:  # the share whose turn it is has no more: none has
                        break
                    written.write(b"".join(lines))
            output.flush()
            os.fsync(output.fileno())
        draft.replace(self._target)
        shutil.rmtree(self._joined, ignore_errors=True)  # of a process that was killed
        self._folder.replace(self._joined)
