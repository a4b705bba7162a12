"""Compressed files as files, told apart by their endings."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Any

import zstandard

DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)
"""What is raised while reading a file that cannot be read."""

CHUNK = 1 << 14
"""Compressed bytes read at once."""


class _Zstandard(io.RawIOBase):
    """A file of Zstandard frames; the library's own reader takes a cut for an end."""

    def __init__(self, path: Path) -> None:
        self._chunks = _unpacked(path)
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._ready:
            if (chunk := next(self._chunks, None)) is None:
                return 0
            self._ready = memoryview(chunk)
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def close(self) -> None:
        self._chunks.close()
        super().close()


def _unpacked(path: Path) -> Generator[bytes]:
    """What the frames of a file hold, in pieces, some of them empty."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            while chunk:
                if frame.eof:  # another frame follows
                    frame = zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(chunk)
                chunk = frame.unused_data
    if not frame.eof:
        raise EOFError("Compressed file ended before the end of its last frame")


def _zstandard(path: Path, mode: str) -> io.BufferedReader:
    assert mode == "rb"
    return io.BufferedReader(_Zstandard(path))


OPENERS = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
    ".bz2": bz2.open,
}


_WRITERS = {
    ".gz": lambda file: gzip.GzipFile("", "wb", fileobj=file, mtime=0),
    ".xz": lambda file: lzma.open(file, "wb"),
    ".zst": lambda file: zstandard.ZstdCompressor().stream_writer(file, closefd=False),
    ".bz2": lambda file: bz2.open(file, "wb"),
}


def writer(ending: str, file: IO[bytes]) -> AbstractContextManager[Any]:
    """A file to write into, which is stored in another as its ending demands.

    The same content becomes the same bytes.
    """
    return _WRITERS.get(ending, nullcontext)(file)
