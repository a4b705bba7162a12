"""Parallel corpora as streams of sentence pairs, whatever the files look like.

    PREFIX              PREFIX.en and PREFIX.de, a sentence a line
    FILE.tsv            source, tab, target
    FILE.jsonl          {"en": …, "de": …} or {"translation": {"en": …, "de": …}} a line
    phrasebook:train    the built-in corpus; also phrasebook:valid and phrasebook:test
    https://…  hf:…  sacrebleu:…  mtdata:…      corpora elsewhere, as in `sources`

Every file may end in .gz, .xz, .zst or .bz2 as well. Of several corpora each can say
more for itself: `[TAG=]NAME[:SOURCE-TARGET][@WEIGHT]`.

    a:de-en             translated from de into en, whatever the others are
    a@2                 each pair comes twice as often as those of weight 1
    bt=a                every source sentence begins with the tag <bt>
"""

import codecs
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, count, islice, zip_longest
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from transformer import phrasebook, sources
from transformer.cleaning import Pair
from transformer.compression import DAMAGED, OPENERS
from transformer.errors import InputError, unreadable

PHRASEBOOK = "phrasebook:"

SPECIAL = ("pad", "s", "unk")

_SPELLING = re.compile(
    r"(?:(?P<tag>[A-Za-z]\w*)=)?(?P<name>.+?)"
    r"(?::(?P<source>[A-Za-z]\w*)-(?P<target>[A-Za-z]\w*))?"
    r"(?:@(?P<weight>\d+(?:\.\d*)?|\.\d+))?"
)


class Corpus(NamedTuple):
    """A name as in `DataConfig`, and the languages of its two sides."""

    name: str
    source: str
    target: str
    tag: str | None = None
    """Begins every source sentence, after the tag of the target language."""
    weight: float = 1.0
    """How often a pair comes, in proportion to those of other corpora."""

    def __str__(self) -> str:
        return f"{self.name} ({self.source} → {self.target})"

    @property
    def direction(self) -> str:
        return f"{self.source}-{self.target}"


def parse(spelled: str, source: str, target: str) -> Corpus:
    """A corpus from its spelling, between `source` and `target` unless that says more.

    Raises:
        InputError: if its languages are the same, or its weight is zero.
    """
    found = _SPELLING.fullmatch(spelled)
    if not found:
        raise InputError(f"{spelled!r} names no corpus.")
    corpus = Corpus(
        found["name"],
        found["source"] or source,
        found["target"] or target,
        found["tag"],
        float(found["weight"] or 1),
    )
    if corpus.source == corpus.target:
        raise InputError(
            f"The corpus {spelled!r} is between {corpus.source!r} and itself; name two "
            "languages, as in a:en-de."
        )
    if corpus.tag in SPECIAL:
        raise InputError(
            f"The tag of the corpus {spelled!r} is a token of every tokenizer: "
            f"{', '.join(SPECIAL)} are none to choose. Name another."
        )
    if not 0 < corpus.weight < inf:
        raise InputError(
            f"The corpus {spelled!r} has the weight {corpus.weight:g}; leave it "
            "out, or give it one above zero, and finite."
        )
    return corpus


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
        try:
            with path.open("rb") as file:
                marks[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise unreadable(path, error) from error
    return marks


def together(several: Sequence[dict[str, str]]) -> dict[str, str]:
    """Fingerprints in one; of different files with one name later ones get a number."""
    marks: dict[str, str] = {}
    for name, mark in chain.from_iterable(one.items() for one in several):
        names = chain([name], (f"{name} ({number})" for number in count(2)))
        marks[next(n for n in names if marks.get(n, mark) == mark)] = mark
    return marks


def lines(path: Path) -> Iterator[str]:
    """The `whole_lines` of a file without their ends."""
    return (parted(line)[0] for line in whole_lines(path))


def parted(line: str) -> tuple[str, str]:
    """The text of a line, and its end: carriage returns and the newline, if any."""
    text = line.rstrip("\r\n")
    return text, line[len(text) :]


def unmarked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines without the byte order mark that some programs put before the first."""
    lines = iter(lines)
    yield from (line.removeprefix(codecs.BOM_UTF8) for line in islice(lines, 1))
    yield from lines


def whole_lines(path: Path) -> Iterator[str]:
    """Lines of a text file, split at newlines only, decompressed by its ending."""
    opener = OPENERS.get(path.suffix, open)
    number = 0
    try:
        with opener(path, "rb") as file:
            for line in unmarked(file):
                number += 1
                yield line.decode()
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{path}, line {number}: byte 0x{byte:02x} is not UTF-8. Convert the file."
        ) from error
    except DAMAGED as error:
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
            f"{corpus.name} is in English and Hindi, not {corpus.source!r} and "
            f"{corpus.target!r}. Name your own corpora as data.train, data.valid and "
            "data.test."
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
    if not _is_file(path):
        raise InputError(f"{path} does not exist.")
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:  # its name is too long, or a folder must not be searched
        raise unreadable(path, error) from error


def _found(name: str) -> Path:
    """The file of that name, or the compressed one."""
    for suffix in ("", *OPENERS):
        if _is_file(path := Path(name + suffix)):
            return path
    endings = ", ".join(OPENERS)
    raise InputError(f"{name} does not exist, nor with {endings} behind it.")


def _aligned(source: Path, target: Path) -> Iterator[Pair]:
    read = 0
    for left, right in zip_longest(lines(source), lines(target)):
        if left is None or right is None:
            extra = target if left is None else source
            raise InputError(
                f"{source} and {target} have different lengths: {extra} goes on after "
                f"line {read}. Align them line by line."
            )
        read += 1
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
