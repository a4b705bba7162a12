"""Lines in, lines out: pipes answered at once, files in large parts and resumable.

Whatever a line holds, exactly one line comes out for it, with the same end. Only a
newline ends a line; carriage returns right before it belong to the end.
"""

import hashlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, ProgressColumn, Task
from rich.text import Text

from transformer import alignments, corpora, workers
from transformer.errors import InputError, unreadable
from transformer.lines import Translation
from transformer.shards import ALONE, Shard, Shares

HOUR = 3600

PART = 1024
"""Lines translated together at most."""


@runtime_checkable
class Translate(Protocol):
    """Texts, and the number of the first of them, to translations."""

    def __call__(
        self, texts: Sequence[str], *, first_line: int
    ) -> list[Translation]: ...


Render = Callable[[Translation, str], str]
"""From a translation, and the end of its source's line, to a line with its end."""


def plain(translation: Translation, end: str) -> str:
    """The text; if several were asked for, the alternatives behind it after tabs."""
    both = (translation, *translation.alternatives)
    line = "\t".join(one.text for one in both)
    return line + (end if line or end else "\n")  # or there would be no line


def aligned(translation: Translation, end: str) -> str:
    """The text, and which words belong together: "ein Hund ||| 0-0 1-1"."""
    links = alignments.pharaoh(translation.alignment or [])
    return f"{translation.text} ||| {links}{end}"


def as_json(translation: Translation, end: str) -> str:
    """One object: text, score, confidence, tokens with their log-probabilities,
    alignment, warnings, alternatives. A newline ends it, whatever ended the source."""
    del end
    return json.dumps(_fields(translation), ensure_ascii=False) + "\n"


def _fields(translation: Translation) -> dict[str, object]:
    return translation._asdict() | {
        "confidence": translation.confidence,
        "alternatives": [_fields(other) for other in translation.alternatives],
    }


def text(line: bytes) -> str:
    """A line without its end; bytes that are no UTF-8 become U+FFFD."""
    return corpora.parted(_decoded(line))[0]


def argument(text: str) -> str:
    """An argument of the command line; bytes that are no UTF-8 become U+FFFD."""
    return _decoded(os.fsencode(text))


def _decoded(line: bytes) -> str:
    return line.decode(errors="replace")


def write(line: str, end: str = "\n") -> None:
    """Puts a line on standard output, in UTF-8 whatever the locale says."""
    sys.stdout.buffer.write((line + end).encode())


def standard_input() -> BinaryIO:
    """Standard input, through a buffer of its own.

    Python locks that of `sys.stdin` to leave, and aborts where a thread waits with it.

    Raises:
        InputError: if it is closed.
    """
    if sys.stdin is None:
        raise InputError("Standard input is closed. Give texts, or a file by --input.")
    return open(sys.stdin.fileno(), "rb", closefd=False)


def given() -> Iterator[str]:
    """The lines of standard input without their ends."""
    return map(text, corpora.unmarked(standard_input()))


def pipe(source: Iterable[bytes], translate: Translate, render: Render) -> None:
    """Answers each line as soon as it is known: what has arrived goes together.

    A byte order mark at the beginning is no text, as in files.
    """
    number = 0
    for lines in _arrived(source):
        for line in _rendered(lines, number, translate, render):
            write(line, end="")
        sys.stdout.buffer.flush()
        number += len(lines)


def _rendered(
    lines: Sequence[str], number: int, translate: Translate, render: Render
) -> Iterator[str]:
    """The lines to write for some, the first of which has a number."""
    texts, ends = zip(*map(corpora.parted, lines), strict=True)
    return map(render, translate(texts, first_line=number), ends)


def _arrived(source: Iterable[bytes]) -> Iterator[list[str]]:
    """Waits for a line, then yields it with all others that are there already."""
    arrivals: queue.Queue[bytes | None] = queue.Queue(PART)
    failures: list[Exception] = []

    def read() -> None:
        try:
            for line in corpora.unmarked(source):
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
        yield [_decoded(line) for line in lines]
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
    shard: Shard = ALONE,
    processes: int = 1,
) -> None:
    """Translates a file into another, which appears when it is whole.

    What is done is kept beside `target`; the same call continues there after an
    interruption, but starts anew if `source` or `settings` have changed. Of several
    processes each does its share, and the last to finish joins them.

    Args:
        processes: how many call `translate` and `render` beside each other; if not
            just this one does, they must survive pickling.

    Raises:
        InputError: if `source` cannot be read, `target` cannot be written, or either
            is no regular file.
    """
    for path in (source, target):
        _check_regular(path)
    own = lambda: shard.own(corpora.whole_lines(source), PART)  # noqa: E731
    size = sum(1 for _ in own())
    mark = _mark(source, f"{settings} {PART} {shard.count}")
    shares = Shares(target, mark, shard.count)
    try:
        if not shares.has(shard.index):
            with shares.open(shard.index) as output, _progress(console) as bar:
                done = _whole_lines(output)
                task = bar.add_task("Translating", total=size, completed=done)
                parts = _parts(islice(own(), done, None))
                work = partial(_written, translate, render)
                count = max(1, min(processes, -(-(size - done) // PART)))
                with closing(workers.ordered(work, parts, count, few=0)) as each:
                    for (_, lines), written in each:
                        output.write(written)
                        output.flush()
                        os.fsync(output.fileno())
                        bar.advance(task, len(lines))
        missing = shares.join(PART)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.") from error
    if shard.count > 1:
        news = _news(shard, missing, target)
        console.print(news, markup=False, highlight=False, soft_wrap=True)


def _check_regular(path: Path) -> None:
    """Raises `InputError` for what is there, but cannot be read again or replaced."""
    try:
        folder, other = path.is_dir(), path.exists() and not path.is_file()
    except OSError as error:
        raise unreadable(path, error) from error
    if folder:
        raise InputError(f"{path} is a folder.")
    if other:
        raise InputError(
            f"{path} is no file that can be read again and replaced. Translate a "
            "pipe into a pipe: python translate.py MODEL < INPUT > OUTPUT"
        )


def _progress(console: Console) -> Progress:
    """Parts take long, and so does what speed is told by."""
    columns = *Progress.get_default_columns(), MofNCompleteColumn(), _Speed()
    return Progress(*columns, console=console, speed_estimate_period=HOUR)


class _Speed(ProgressColumn):
    """Lines a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f} sentences/s")


def _written(
    translate: Translate, render: Render, part: tuple[int, Sequence[str]]
) -> bytes:
    number, lines = part
    return "".join(_rendered(lines, number, translate, render)).encode()


def _news(shard: Shard, missing: int, target: Path) -> str:
    if not missing:
        return f"Share {shard} is done, and {target} is written."
    return (
        f"Share {shard} is done. So far {shard.count - missing} of {shard.count} are; "
        f"the last one to finish writes {target}."
    )


def _mark(source: Path, settings: str) -> str:
    """The same for the same content and settings, whatever the process."""
    with source.open("rb") as file:
        start = lambda: hashlib.sha256(settings.encode())  # noqa: E731
        return hashlib.file_digest(file, start).hexdigest()[:12]


def _parts(numbered: Iterable[tuple[int, str]]) -> Iterator[tuple[int, list[str]]]:
    """The lines that are translated together, and the number of the first."""
    for _, part in groupby(numbered, key=lambda line: line[0] // PART):
        numbers, lines = zip(*part, strict=True)
        yield numbers[0], list(lines)


def _whole_lines(output: BinaryIO) -> int:
    """Goes behind the complete lines of a file, and counts them.

    What a crash left behind them is written over.
    """
    number = end = 0
    for line in output:
        if line.endswith(b"\n"):
            number, end = number + 1, end + len(line)
    output.seek(end)
    return number
