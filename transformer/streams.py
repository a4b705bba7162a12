"""Lines in, lines out: pipes answered at once, files in large parts and resumable.

Whatever a line holds, exactly one line comes out for it. Only a newline ends a line.
"""

import hashlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import Progress

from transformer import corpora
from transformer.errors import InputError
from transformer.translator import Translation

PART = 1024
"""Lines translated together at most."""


@runtime_checkable
class Translate(Protocol):
    """Texts, and the number of the first of them, to translations."""

    def __call__(
        self, texts: Sequence[str], *, first_line: int
    ) -> list[Translation]: ...


Render = Callable[[Translation], str]


def plain(translation: Translation) -> str:
    """The text; if several were asked for, the alternatives behind it after tabs."""
    both = (translation, *translation.alternatives)
    return "\t".join(one.text for one in both)


def as_json(translation: Translation) -> str:
    """One object: text, score, tokens with their log-probabilities, alternatives."""
    return json.dumps(_fields(translation), ensure_ascii=False)


def _fields(translation: Translation) -> dict[str, object]:
    fields = translation._asdict()
    fields["alternatives"] = [_fields(other) for other in translation.alternatives]
    return fields


def text(line: bytes) -> str:
    """A line without its end; bytes that are no UTF-8 become U+FFFD."""
    return line.rstrip(b"\r\n").decode(errors="replace")


def write(line: str) -> None:
    """Puts a line on standard output, in UTF-8 whatever the locale says."""
    sys.stdout.buffer.write(line.encode() + b"\n")


def pipe(source: Iterable[bytes], translate: Translate, render: Render) -> None:
    """Answers each line as soon as it is known: what has arrived goes together."""
    number = 0
    for lines in _arrived(source):
        for translation in translate(lines, first_line=number):
            write(render(translation))
        sys.stdout.buffer.flush()
        number += len(lines)


def _arrived(source: Iterable[bytes]) -> Iterator[list[str]]:
    """Waits for a line, then yields it with all others that are there already."""
    arrivals: queue.Queue[bytes | None] = queue.Queue(PART)
    failures: list[Exception] = []

    def read() -> None:
        try:
            for line in source:
                arrivals.put(line)
        except Exception as error:  # raised again by whoever waits for the lines
            failures.append(error)
        finally:
            arrivals.put(None)

    threading.Thread(target=read, daemon=True).start()
    line = arrivals.get()
    while line is not None:
        lines = [line]
        while len(lines) < PART and not arrivals.empty():
            if (line := arrivals.get()) is None:
                break
            lines.append(line)
        yield [text(line) for line in lines]
        line = None if line is None else arrivals.get()
    for error in failures:
        raise error


def file(
    source: Path,
    target: Path,
    translate: Translate,
    render: Render,
    settings: str,
    console: Console,
) -> None:
    """Translates a file into another, which appears when it is whole.

    What is done is kept beside `target`; the same call continues there after an
    interruption, but starts anew if `source` or `settings` have changed.

    Raises:
        InputError: if `source` cannot be read or `target` cannot be written.
    """
    total = sum(1 for _ in corpora.lines(source))
    mark = hashlib.sha256(settings.encode() + source.read_bytes()).hexdigest()[:12]
    partial = target.with_name(f"{target.name}.{mark}.partial")
    try:
        with partial.open("a+b") as output, Progress(console=console) as bar:
            done = _whole_lines(output)
            task = bar.add_task("Translating", total=total, completed=done)
            rest = islice(corpora.lines(source), done, None)
            while lines := list(islice(rest, PART)):
                for translation in translate(lines, first_line=done):
                    output.write(render(translation).encode() + b"\n")
                output.flush()
                os.fsync(output.fileno())
                done += len(lines)
                bar.update(task, completed=done)
        partial.replace(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.") from error


def _whole_lines(output: BinaryIO) -> int:
    """The complete lines of a file; what a crash left behind them is cut off."""
    output.seek(0)
    content = output.read()
    end = content.rfind(b"\n") + 1
    output.truncate(end)
    return content.count(b"\n")
