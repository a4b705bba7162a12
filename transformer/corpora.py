"""Parallel corpora as streams of sentence pairs, whatever the files look like.

    PREFIX              PREFIX.en and PREFIX.de, a sentence a line
    FILE.tsv            source, tab, target
    FILE.jsonl          {"en": …, "de": …} or {"translation": {"en": …, "de": …}} a line
    phrasebook:train    the built-in corpus; also phrasebook:valid and phrasebook:test
    https://…  hf:…  sacrebleu:…  mtdata:…      corpora elsewhere, as in `sources`

Every file may end in .gz, .xz, .zst or .bz2 as well.
"""

import bz2
import codecs
import functools
import gzip
import hashlib
import io
import json
import lzma
import zlib
from collections.abc import Generator, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from transformer import phrasebook, sources
from transformer.cleaning import Pair
from transformer.errors import InputError

PHRASEBOOK = "phrasebook:"


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


class Corpus(NamedTuple):
    """A name as in `DataConfig`, and the languages of its two sides."""

    name: str
    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.name} ({self.source} → {self.target})"


def pairs(corpus: Corpus) -> Iterator[Pair]:
    """Raw sentence pairs, in the order of the files.

    Raises:
        InputError: naming file and line, if a file is missing, not UTF-8, damaged, not
            of its format, or if the two files of a prefix have different lengths.
    """
    if corpus.name.startswith(PHRASEBOOK):
        return iter(_phrasebook(corpus))
    paths = files(corpus)
    if len(paths) == 2:
        return _aligned(*paths)
    return _records(paths[0], corpus)


def files(corpus: Corpus) -> list[Path]:
    """The one or two files of a corpus; none for the phrasebook."""
    if corpus.name.startswith(PHRASEBOOK):
        return []
    if sources.known(corpus.name):
        return sources.files(corpus.name, (corpus.source, corpus.target))
    if _format(Path(corpus.name)) in (".tsv", ".jsonl"):
        return [_existing(Path(corpus.name))]
    prefix = corpus.name
    return [_found(f"{prefix}.{side}") for side in (corpus.source, corpus.target)]


def fingerprint(corpus: Corpus) -> dict[str, str]:
    """The SHA-256 of each file, by its name: what a model was trained on."""
    if corpus.name.startswith(PHRASEBOOK):
        text = "\n".join("\t".join(pair) for pair in pairs(corpus))
        return {corpus.name: hashlib.sha256(text.encode()).hexdigest()}
    marks = {}
    for path in files(corpus):
        with path.open("rb") as file:
            marks[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return marks


def lines(path: Path) -> Iterator[str]:
    """Lines of a text file, split at newlines only, decompressed by its ending.

    The byte order mark that some programs put at the beginning is no text.
    """
    opener = OPENERS.get(path.suffix, open)
    number = 0
    try:
        with opener(path, "rb") as file:
            for line in file:
                number += 1
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                yield line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{path}, line {number}: byte 0x{byte:02x} is not UTF-8. Convert the file."
        ) from error
    except (
        OSError,
        EOFError,
        lzma.LZMAError,
        zlib.error,
        zstandard.ZstdError,
    ) as error:
        raise InputError(
            f"{path} cannot be read after line {number}: {error}."
        ) from error


@functools.cache
def _splits() -> dict[str, list[Pair]]:
    return phrasebook.split()._asdict()


def _phrasebook(corpus: Corpus) -> list[Pair]:
    languages = corpus.source, corpus.target
    if languages not in (("en", "hi"), ("hi", "en")):
        raise InputError(
            f"The phrasebook has English and Hindi, not {corpus.source!r} and "
            f"{corpus.target!r}. Name your own corpus with data.train and data.valid."
        )
    part = corpus.name.removeprefix(PHRASEBOOK)
    splits = _splits()
    if part not in splits:
        raise InputError(
            f"{corpus.name!r} is none of " + ", ".join(PHRASEBOOK + p for p in splits)
        )
    chosen = splits[part]
    return chosen if corpus.source == "en" else [(hi, en) for en, hi in chosen]


def _format(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix in OPENERS else path.suffix


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    return path


def _found(name: str) -> Path:
    """The file of that name, or the compressed one."""
    for suffix in ("", *OPENERS):
        if (path := Path(name + suffix)).is_file():
            return path
    endings = ", ".join(OPENERS)
    raise InputError(f"{name} does not exist, nor with {endings} behind it.")


def _aligned(source: Path, target: Path) -> Iterator[Pair]:
    count = 0
    for left, right in zip_longest(lines(source), lines(target)):
        if left is None or right is None:
            extra = target if left is None else source
            raise InputError(
                f"{source} and {target} have different lengths: {extra} goes on after "
                f"line {count}. Align them line by line."
            )
        count += 1
        yield left, right


def _records(path: Path, corpus: Corpus) -> Iterator[Pair]:
    parse = _tab_separated if _format(path) == ".tsv" else _json_record
    for number, line in enumerate(lines(path), start=1):
        try:
            yield parse(line, corpus)
        except (ValueError, RecursionError) as error:  # the latter of JSON too deep
            raise InputError(
                f"{path}, line {number}: {error} in {line[:80]!r}."
            ) from error


def _tab_separated(line: str, corpus: Corpus) -> Pair:
    del corpus
    source, tab, target = line.partition("\t")
    if not tab:
        raise ValueError("no tab")
    return source, target.split("\t")[0]


def _json_record(line: str, corpus: Corpus) -> Pair:
    record = json.loads(line)
    if isinstance(record, dict):
        record = record.get("translation", record)
    if not isinstance(record, dict):
        raise ValueError("no object with sentences")
    return _sentence(record, corpus.source), _sentence(record, corpus.target)


def _sentence(record: dict[str, Any], language: str) -> str:
    if language not in record:
        keys = ", ".join(map(repr, record)) or "none"
        raise ValueError(f"no {language!r} among the keys ({keys})")
    if not isinstance(record[language], str):
        raise ValueError(f"{language!r} is no string")
    return record[language]
