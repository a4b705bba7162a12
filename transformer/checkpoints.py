"""Checkpoints that are whole or not there: Orbax writes them, a seal proves it.

Saving runs behind training. When Orbax has committed a checkpoint, the SHA-256 of each
of its files is written beside them; only a checkpoint that matches its seal is loaded.
This is the one import of Orbax.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from transformer import processes
from transformer.errors import InputError

SEAL = "seal.json"

Items = dict[str, Any]
"""Trees of arrays by name, each of which can be loaded alone."""


def seals(folder: Path) -> list[Path]:
    """Of the sealed checkpoints in a folder; drafts and what was replaced are none."""
    found = sorted(folder.glob(f"*/{SEAL}"))
    return [seal for seal in found if seal.parent.name.isdecimal()]


class Checkpoints:
    """The numbered checkpoints of one folder.

    Kept are the newest one, and of those whose number divides by `every` the newest
    `keep`.

    Args:
        warn: called with a sentence when a damaged checkpoint is passed over.
    """

    def __init__(
        self,
        folder: Path,
        warn: Callable[[str], None],
        *,
        keep: int = 1,
        every: int = 1,
    ) -> None:
        self._folder, self._warn = folder.resolve(), warn
        self._keep, self._every = keep, every
        self._saving: Future[None] | None = None
        self._worker = ThreadPoolExecutor(max_workers=1)

    def numbers(self) -> list[int]:
        """Of the sealed checkpoints, ascending; whether they are intact is not said."""
        return sorted(int(seal.parent.name) for seal in seals(self._folder))

    def regular(self) -> list[int]:
        """Of the newest `keep` that divide by `every` those that are intact, ascending.

        Warns of the others.
        """
        numbers = self._regular() if processes.first() else []
        return processes.agreed([n for n in numbers if self._sound(n)])

    def _regular(self) -> list[int]:
        return [n for n in self.numbers() if n % self._every == 0][-self._keep :]

    def save(self, number: int, items: Items, notes: dict[str, Any]) -> None:
        """Starts saving; `notes` are JSON. The arrays may be donated afterwards.

        Raises:
            InputError: if the save before this one could not be written.
        """
        self.wait()
        path, draft = (self._folder / name for name in (str(number), f"{number}.draft"))
        if processes.first():
            for later in (n for n in self.numbers() if n > number):
                _clear(self._folder / str(later))  # damaged: passed over at the start
            _clear(draft)
        processes.meet()
        with self._told():
            self._folder.mkdir(parents=True, exist_ok=True)
            response = ocp.save_checkpointables_async(
                str(draft), items, custom_metadata=notes
            )

        def finish() -> None:
            response.result()
            if processes.first():
                _seal(draft)
                _replace(path, draft)
                self._prune()

        self._saving = self._worker.submit(finish)

    def wait(self) -> None:
        """Returns when the last save is sealed.

        Raises:
            InputError: if it could not be written, e.g. to a full disk.
        """
        if self._saving is None:
            return
        saving, self._saving = self._saving, None
        with self._told():
            saving.result()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raises `InputError` in all processes where one could not write."""
        failure = None
        try:
            yield
        except (OSError, ValueError) as error:  # a ValueError is TensorStore's
            failure = str(error)
        failures = [one for one in processes.each(failure) if one is not None]
        if failures:  # who only waited for another one in vain does not know why
            why = min(failures, key=lambda one: "DEADLINE_EXCEEDED" in one)
            raise InputError(
                f"A checkpoint in {self._folder} could not be written: {why}. "
                "Those before it are intact; make room, and the same command continues."
            )

    def load(self, number: int, like: Items) -> tuple[Items, dict[str, Any]]:
        """The items named in `like`, with its shapes and shardings, and the notes."""
        path = str(self._folder / str(number))
        notes: Any = ocp.checkpointables_metadata(path).custom_metadata
        return ocp.load_checkpointables(path, jax.tree.map(_abstract, like)), notes

    def newest(self) -> int | None:
        """The newest intact checkpoint; warns of every damaged one passed over."""
        return processes.agreed(self._newest() if processes.first() else None)

    def to_go_on_from(self) -> int | None:
        """The newest intact checkpoint; none if nothing was saved yet.

        Raises:
            InputError: if something was, but none is intact.
        """
        number = self.newest()
        if number is None and self.numbers():
            raise InputError(
                f"No checkpoint in {self._folder} is intact. Begin anew with another "
                "--out, from the best weights by --init-from if those are intact."
            )
        return number

    def _newest(self) -> int | None:
        return next(filter(self._sound, reversed(self.numbers())), None)

    def _sound(self, number: int) -> bool:
        path = self._folder / str(number)
        sound = _intact(path)
        if not sound:
            self._warn(f"{path} is damaged and passed over.")
        return sound

    def _prune(self) -> None:
        """Removes what is not to be kept, and what an interrupted save left behind."""
        kept = {str(number) for number in self.numbers()[-1:] + self._regular()}
        for path in self._folder.iterdir():
            if path.name not in kept:
                _clear(path)


def _abstract(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    sharding = leaf.sharding or here
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def _clear(path: Path) -> None:
    """Removes a checkpoint, its seal first, so that half of one never counts."""
    (path / SEAL).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def _replace(path: Path, draft: Path) -> None:
    """Puts a sealed draft in the place of a checkpoint, which counts until then."""
    if path.exists():
        old = path.with_name(f"{path.name}.old")
        _clear(old)
        path.rename(old)
    draft.rename(path)


def _digests(path: Path) -> dict[str, str]:
    digests = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != SEAL:
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            digests[file.relative_to(path).as_posix()] = digest
    return digests


def _seal(path: Path) -> None:
    draft = path / (SEAL + ".draft")
    draft.write_text(json.dumps(_digests(path)))
    draft.rename(path / SEAL)


def _intact(path: Path) -> bool:
    try:
        return json.loads((path / SEAL).read_text()) == _digests(path)
    except (OSError, ValueError):
        return False
