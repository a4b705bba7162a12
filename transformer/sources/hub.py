"""Sets of the Hugging Face Hub, or folders in its form, read by the library for it.

That takes seconds to import and is an extra, so it is left alone until it is needed.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformer.errors import InputError
from transformer.sources import copies

BATCH = 1000
"""Rows taken out of the library's tables at once."""


def files(name: str, languages: tuple[str, str]) -> list[Path]:
    """A copy of the split of `hf:SET/CONFIGURATION#SPLIT`."""
    del languages  # all of a set's are keys of its rows
    address, _, split = name.removeprefix("hf:").partition("#")
    repository, _, configuration = address.rpartition("/")
    if not repository or not configuration:
        raise InputError(
            f"{name} must be hf:SET/CONFIGURATION, as in hf:wmt/wmt14/de-en. The only "
            "configuration of a set is mostly named default."
        )
    split = split or "train"
    state = _state(Path(repository))
    path = copies.place("hf", repository, *state, configuration, f"{split}.jsonl")
    if not path.is_file():

        def read() -> Iterator[dict[str, Any]]:
            return rows(repository, configuration, split)

        form = ", as the library's to_json writes it"
        copies.write(path, copies.told(read, name, path, form))
    return [path]


def _state(folder: Path) -> list[str]:
    """What changes when a folder does; nothing of a set that is on the Hub."""
    if not folder.is_dir():
        return []
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    stats = [(str(path.resolve()), path.stat()) for path in every]
    told = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return [hashlib.sha256(told.encode()).hexdigest()]


def rows(repository: str, configuration: str, split: str) -> Iterator[dict[str, Any]]:
    """The columns with text, in one language or in several, row by row."""
    import datasets  # pyright: ignore[reportMissingImports]

    anew = {"download_mode": "force_redownload", "verification_mode": "no_checks"}
    # The library's own copy of a folder may be of what was there before.
    settings = anew if Path(repository).is_dir() else {}
    loaded: Any = datasets.load_dataset(
        repository, configuration, split=split, **settings
    )
    texts = [
        column
        for column, feature in loaded.features.items()
        if column == "translation" or getattr(feature, "dtype", None) == "string"
    ]
    for batch in loaded.select_columns(texts).iter(batch_size=BATCH):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))
