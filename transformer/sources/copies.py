"""What a library reads, kept as JSON lines: one format, and no library needed again."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from transformer import downloads, store
from transformer.errors import InputError

T = TypeVar("T")


def place(*names: str) -> Path:
    """Where a corpus of those names is kept, or may be put by hand."""
    return store.cache().joinpath("corpora", *(quote(name, safe=" ") for name in names))


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Writes a file that appears when it is whole.

    Raises:
        InputError: if it cannot be written.
    """
    with downloads.writing(path):
        number, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                for record in records:
                    file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())  # before it gets its name
            os.replace(draft, path)
        finally:
            Path(draft).unlink(missing_ok=True)


def told(
    read: Callable[[], Iterator[T]], name: str, path: Path, form: str
) -> Iterator[T]:
    """What `read` yields; the errors of its library as one that says what to do.

    Raises:
        InputError: naming the library that is not installed, or `path`, and the `form`
            of what is to be put there by hand.
    """
    try:
        yield from read()
    except InputError:
        raise
    except ModuleNotFoundError as error:
        raise InputError(
            f"{name} needs the library {error.name}, which is not installed: "
            f"pip install {error.name}"
        ) from error
    # Of the Hub, sacreBLEU and MTData, whose errors have no class in common; sacreBLEU
    # ends the program.
    except (Exception, SystemExit) as error:
        causes = filter(None, (error, error.__cause__))
        reasons = filter(None, map(str, causes))
        raise downloads.missing(name, ": ".join(reasons), path, form) from error
