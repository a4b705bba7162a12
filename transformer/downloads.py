"""Files from the web: fetched once, continued where they stopped, checked, and kept.

A file appears under its name when it is whole and as its checksum says, or not at all.
What came of it so far is NAME.part, and NAME.version the mark by which its server knows
that version of it (RFC 9110, 13.1.5), so that two versions are never joined.
"""

import functools
import hashlib
import http.client
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import portalocker
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from transformer.errors import InputError

CHUNK = 1 << 18
"""Bytes read at once."""

PATIENCE = 60
"""Seconds without a byte after which a connection counts as broken."""

NETWORK = (
    urllib.error.URLError,
    http.client.HTTPException,
    ssl.SSLError,
    ConnectionError,
    TimeoutError,
    UnicodeError,  # of names that no host can have
)
"""What a connection raises; all other `OSError`s are of the disk."""


class Remote(NamedTuple):
    """A file somewhere else."""

    url: str
    sha256: str | None
    """In hexadecimal digits; None takes what comes."""


class _Broken(Exception):
    """No byte comes any more."""


def fetch(remote: Remote, path: Path) -> Path:
    """The file at `path`, fetched unless it is there already; one process at a time.

    Raises:
        InputError: if it can be neither found nor fetched, naming where to put it; if
            it cannot be written, or is another than its checksum says.
    """
    if path.is_file():
        return _checked(remote, path)
    with writing(path), _alone(path):
        if path.is_file():  # another process was faster
            return _checked(remote, path)
        try:
            return _fetched(remote, path)
        except _Broken as error:
            raise missing(remote.url, error, path) from error


def missing(name: str, reason: object, path: Path, form: str = "") -> InputError:
    """What to say of a corpus that does not come."""
    said = str(reason).strip().rstrip(".") or type(reason).__name__
    return InputError(
        f"{name} cannot be fetched: {said}. Start again where there is a network, or "
        f"fetch it elsewhere and put it at {path}{form}."
    )


def _checked(remote: Remote, path: Path) -> Path:
    """`path`, unless its contents are others than the checksum says."""
    if wrong := _other(remote, path):
        raise InputError(
            f"{path} has the SHA-256 {wrong}, not {remote.sha256} as {remote.url} "
            "should. Correct the checksum, or remove the file to fetch it again."
        )
    return path


def _other(remote: Remote, path: Path) -> str | None:
    """The checksum of a file, if it is not the one of `remote`."""
    if remote.sha256 is None:
        return None
    state = path.stat()
    found = _digest(path, state.st_size, state.st_mtime_ns)
    return found if found != remote.sha256 else None


@functools.lru_cache
def _digest(path: Path, size: int, modified: int) -> str:
    """The SHA-256 of a file, computed again when its size or time is another."""
    del size, modified
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Makes the folder of `path`, to write there.

    Raises:
        InputError: instead of the `OSError`s of what is done inside.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}. Make room there, or "
            "let XDG_CACHE_HOME name another place."
        ) from error


def _alone(path: Path) -> portalocker.Lock:
    """Waits until no other process fetches that file."""
    return portalocker.Lock(_beside(path, ".lock"), flags=portalocker.LOCK_EX)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _fetched(remote: Remote, path: Path) -> Path:
    """Fetches a file under its draft's name, checks it, and gives it its own."""
    part = _beside(path, ".part")
    continued = part.exists()
    _complete(remote, path)
    wrong = _other(remote, part)
    if wrong is None:
        part.replace(path)
        _beside(path, ".version").unlink(missing_ok=True)
        return path
    part.unlink()
    if continued:  # perhaps with the rest of another version
        return _fetched(remote, path)
    raise InputError(
        f"{remote.url} has the SHA-256 {wrong}, not {remote.sha256}. Nothing was kept. "
        "Correct the checksum if the file was renewed."
    )


def _complete(remote: Remote, path: Path) -> None:
    """Asks for what is missing, again as long as broken connections brought some.

    Raises:
        _Broken: with the reason, if a connection brought nothing.
    """
    part = _beside(path, ".part")
    name = TextColumn("{task.description}", markup=False)
    columns = name, DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=Console(stderr=True, emoji=False)) as bar:
        task = bar.add_task(path.name, total=None, visible=False)
        show = functools.partial(bar.update, task, visible=True)
        while True:
            before = _size(part)
            if (reason := _attempt(remote, path, show)) is None:
                return
            if _size(part) <= before:
                raise _Broken(reason)


def _attempt(remote: Remote, path: Path, show: Callable[..., None]) -> object | None:
    """One request for the rest of a file; why that did not come, if it did not."""
    part = _beside(path, ".part")
    try:
        with _request(remote, path) as answer:
            total = _begin(answer, path)
            with part.open("ab") as file:
                while chunk := answer.read1(CHUNK):
                    file.write(chunk)
                    show(completed=file.tell(), total=total)
                file.flush()
                os.fsync(file.fileno())  # before it gets its name
    except urllib.error.HTTPError as error:
        error.close()
        unmet = error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        if unmet and part.exists():
            if _total(error.headers) == _size(part):
                return None  # it was whole before
            part.unlink()  # and is longer than the file is now
            return _attempt(remote, path, show)
        return f"the server says {error.code} {error.reason}"
    except NETWORK as error:
        return getattr(error, "reason", error)
    size = _size(part)
    if total not in (None, size):
        return f"the connection ended after {size:,} of {total:,} bytes"
    return None


def _request(remote: Remote, path: Path) -> http.client.HTTPResponse:
    """Asks for what the draft lacks, and for all of it if the file is another now."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "jax-transformer"}
    part, version = _beside(path, ".part"), _beside(path, ".version")
    if size := _size(part):
        headers["Range"] = f"bytes={size}-"
        if known := version.read_text("utf-8") if version.exists() else "":
            headers["If-Range"] = known
        elif remote.sha256 is None:  # nothing would show that it is another file now
            del headers["Range"]
    request = urllib.request.Request(remote.url, headers=headers)
    return urllib.request.urlopen(request, timeout=PATIENCE)


def _begin(answer: http.client.HTTPResponse, path: Path) -> int | None:
    """Makes the draft ready for the bytes that come; its size in the end, if known."""
    part = _beside(path, ".part")
    if answer.status == http.HTTPStatus.PARTIAL_CONTENT:
        given = answer.headers["Content-Range"] or ""
        if not given.startswith(f"bytes {_size(part)}-"):
            raise http.client.HTTPException(f"the server sent the bytes {given!r}")
        return _total(answer.headers)
    part.unlink(missing_ok=True)  # before its version becomes another
    etag = answer.headers["ETag"] or ""
    strong = etag if etag.startswith('"') else ""
    known = strong or answer.headers["Last-Modified"] or ""
    _beside(path, ".version").write_text(known, "utf-8")
    length = answer.headers["Content-Length"] or ""
    return int(length) if length.isdecimal() else None


def _total(headers: Message) -> int | None:
    """The size of the whole file, in an answer about a part of it."""
    found = re.fullmatch(r"bytes .*/(\d+)", headers["Content-Range"] or "")
    return int(found[1]) if found else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
