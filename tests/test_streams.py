"""Whatever comes in, one line goes out for each line, and no line is lost."""

import codecs
import contextlib
import io
import json
import os
import select
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import Any

import pretence
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from transformer import shards, streams
from transformer.errors import InputError
from transformer.translator import Translation

WAIT = 20
"""Seconds after which an answer counts as missing; it takes milliseconds."""

QUIET = Console(quiet=True)

raw_lines = st.lists(
    st.binary(max_size=12).map(lambda line: line.replace(b"\n", b""))
    | st.sampled_from([b"", b"\r", b"\xff\xfe", b"\x0c\x1c", "नमस्ते\u2028".encode()]),
    max_size=8,
)


ends = st.sampled_from(["\n", "\r\n", "\r\r\n"])

mixed_lines = st.lists(st.tuples(raw_lines.map(b"".join), ends), max_size=9)
"""Lines as bytes, which may end in more carriage returns, and their ends."""


def translation(text, *others):
    more = tuple(translation(other) for other in others)
    return Translation(text, -1.5, ("▁a", "b"), (-0.5, -0.5, -0.5), more)


def numbered(texts, *, first_line):
    return [
        translation(f"{first_line + i} {ascii(text)}") for i, text in enumerate(texts)
    ]


recorded = partial(pretence.recorded, numbered)
interrupted_at = partial(pretence.interrupted_at, numbered)


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(streams, "PART", 2)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.txt"
    path.write_bytes(b"a\nb\n\nd\ne")
    return path


WHOLE = b"0 'a'\n1 'b'\n2 ''\n3 'd'\n4 'e'"


def run(source, target, translate=numbered, settings="beam 4"):
    streams.file(source, target, translate, streams.plain, settings, QUIET)


def left_over(target, source):
    """What lies beside a finished file, apart from its source."""
    return set(target.parent.iterdir()) - {source, target}


def test_plain_puts_the_alternatives_behind_the_best_after_tabs():
    assert streams.plain(translation("best"), "\n") == "best\n"
    several = translation("best", "good", "fair")
    assert streams.plain(several, "\r\n") == "best\tgood\tfair\r\n"


def test_a_last_line_without_an_end_has_none_unless_it_would_be_no_line():
    assert streams.plain(translation("best"), "") == "best"
    assert streams.plain(translation(""), "") == "\n"


def test_links_between_words_follow_the_text():
    one = translation("ein Hund")
    assert streams.aligned(one, "\n") == "ein Hund ||| \n"
    linked = one._replace(alignment=[(0, 0), (1, 2)])
    assert streams.aligned(linked, "\r\n") == "ein Hund ||| 0-0 1-2\r\n"


@given(st.lists(st.text(), min_size=1, max_size=3), ends)
def test_json_is_one_line_with_every_field_of_every_translation(texts, end):
    line = streams.as_json(translation(*texts), end)
    assert line.index("\n") == len(line) - 1
    assert "\r" not in line
    best = json.loads(line)
    assert [best["text"], *(other["text"] for other in best["alternatives"])] == texts
    for one in (best, *best["alternatives"]):
        assert one["score"] == -1.5
        assert one["tokens"] == ["▁a", "b"]
        assert one["log_probs"] == [-0.5, -0.5, -0.5]


def test_json_writes_letters_of_any_language_as_they_are():
    assert "नमस्ते" in streams.as_json(translation("नमस्ते"), "\n")


@pytest.mark.parametrize(
    "raw, text",
    [
        (b"a b\n", "a b"),
        (b"a\r\n", "a"),
        (b"a", "a"),
        (b"\n", ""),
        (b" a \x0c\n", " a \x0c"),
        (b"a\xffb\n", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_a_line_loses_its_end_and_nothing_else(raw, text):
    assert streams.text(raw) == text


def contents(lines, ended):
    """A file of `lines`, and what becomes of it when its lines are numbered."""
    written = [line + end.encode() for line, end in lines]
    if lines and not ended:
        written[-1] = lines[-1][0] or b"unended"
    texts = [line.rstrip(b"\r\n").decode(errors="replace") for line in written]
    found = [one.text for one in numbered(texts, first_line=0)]
    kept = [line[len(line.rstrip(b"\r\n")) :] for line in written]
    answers = (text.encode() + end for text, end in zip(found, kept, strict=True))
    return b"".join(written), b"".join(answers)


property_test = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # patches, folders and captured output are the same for all examples


@property_test
@given(mixed_lines, st.booleans())
def test_a_pipe_answers_every_line_in_order_with_its_own_end(
    small_parts, capsysbinary, lines, ended
):
    content, answers = contents(lines, ended)
    streams.pipe(io.BytesIO(content), numbered, streams.plain)
    assert capsysbinary.readouterr().out == answers


@property_test
@given(mixed_lines, st.booleans(), st.lists(st.integers(0, 9), max_size=2))
def test_a_file_keeps_the_end_of_every_line_whatever_interrupts_it(
    small_parts, tmp_path_factory, lines, ended, stops
):
    lines = [(line.decode(errors="ignore").encode(), end) for line, end in lines]
    content, answers = contents(lines, ended)
    folder = tmp_path_factory.mktemp("ends")
    source, target = folder / "source", folder / "target"
    source.write_bytes(content)
    for stop in stops:
        with contextlib.suppress(KeyboardInterrupt):
            run(source, target, interrupted_at(stop))
    run(source, target)
    assert target.read_bytes() == answers
    assert not left_over(target, source)


def test_an_unended_last_line_is_written_once_if_a_kill_comes_right_after_it(
    source, tmp_path, small_parts, monkeypatch
):
    target = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(shards.Shares, "join", lambda shares, part: 1)
        run(source, target)
    (share,) = tmp_path.glob("*.partial/0")
    share.rename(share.with_name("0.draft"))
    run(source, target)
    assert target.read_bytes() == WHOLE


def test_a_pipe_answers_in_utf_8_whatever_the_locale(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    greet = lambda texts, first_line: [translation("नमस्ते") for _ in texts]  # noqa: E731
    streams.pipe(io.BytesIO(b"hello\n"), greet, streams.plain)
    assert output.buffer.getvalue().decode() == "नमस्ते\n"  # type: ignore[attr-defined]


def test_a_pipe_answers_a_line_before_the_next_one_is_written(monkeypatch):
    ask_here, ask = os.pipe()
    answer, answer_here = os.pipe()
    with (
        open(ask_here, "rb") as source,
        open(answer_here, "w") as output,
        open(answer, "rb", buffering=0) as answers,
        open(ask, "wb", buffering=0) as questions,
    ):
        monkeypatch.setattr(sys, "stdout", output)
        work = threading.Thread(
            target=streams.pipe, args=(source, numbered, streams.plain), daemon=True
        )
        work.start()
        for number in range(3):
            questions.write(b"hello\n")
            assert select.select([answers], [], [], WAIT)[0], "no answer came"
            assert answers.read(100) == f"{number} 'hello'\n".encode()
        questions.close()
        work.join(WAIT)
        assert not work.is_alive()


def test_a_pipe_translates_together_what_arrived_together(monkeypatch, capsysbinary):
    """The lines that arrive while the first is translated make one call."""
    sizes = []
    arrived = threading.Event()

    def lines():
        yield b"first\n"
        started.wait(WAIT)
        yield from [b"more\n"] * 5
        arrived.set()

    def translate(texts, *, first_line):
        sizes.append(len(texts))
        started.set()
        arrived.wait(WAIT)
        return numbered(texts, first_line=first_line)

    started = threading.Event()
    monkeypatch.setattr(streams, "PART", 8)
    source: Any = lines()
    streams.pipe(source, translate, streams.plain)
    assert sizes == [1, 5]


def test_a_file_is_translated_line_by_line(source, tmp_path, small_parts):
    target = tmp_path / "out"
    run(source, target)
    assert target.read_bytes() == WHOLE
    assert not left_over(target, source)


def test_an_empty_file_gives_an_empty_file(tmp_path):
    (tmp_path / "empty").touch()
    run(tmp_path / "empty", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""


@pytest.mark.parametrize("line", range(5))
def test_a_file_continues_after_an_interruption(source, tmp_path, small_parts, line):
    target, rest = tmp_path / "out", []
    with pytest.raises(KeyboardInterrupt):
        run(source, target, interrupted_at(line))
    assert not target.exists()
    run(source, target, recorded(rest))
    assert rest == ["a", "b", "", "d", "e"][line - line % 2 :]
    assert target.read_bytes() == WHOLE
    assert not left_over(target, source)


def test_half_a_line_left_by_a_crash_is_dropped(source, tmp_path, small_parts):
    target, rest = tmp_path / "out", []
    with pytest.raises(KeyboardInterrupt):
        run(source, target, interrupted_at(3))
    (draft,) = tmp_path.glob("*.partial/*")
    with draft.open("ab") as file:
        file.write(b"2 half of the third line" * 9)
    run(source, target, recorded(rest))
    assert rest == ["", "d", "e"]
    assert target.read_bytes() == WHOLE


@pytest.mark.parametrize("changed", ["settings", "source"])
def test_other_settings_or_another_text_start_anew(
    source, tmp_path, small_parts, changed
):
    target, seen = tmp_path / "out", []
    with pytest.raises(KeyboardInterrupt):
        run(source, target, interrupted_at(3))
    if changed == "source":
        source.write_bytes(source.read_bytes().replace(b"a", b"A"))
    run(source, target, recorded(seen), "beam 5" if changed == "settings" else "beam 4")
    assert len(seen) == 5
    assert len(target.read_bytes().splitlines()) == 5


def test_what_was_there_stays_until_the_translation_is_whole(
    source, tmp_path, small_parts
):
    target = tmp_path / "out"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        run(source, target, interrupted_at(4))
    assert target.read_text() == "old"
    run(source, target)
    assert target.read_bytes() == WHOLE


def test_a_missing_input_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(InputError, match="absent"):
        run(tmp_path / "absent", tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_input_that_is_no_text_is_refused_with_its_line(tmp_path):
    (tmp_path / "broken").write_bytes(b"a\nb\xff\n")
    with pytest.raises(InputError, match="line 2"):
        run(tmp_path / "broken", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


def test_an_output_that_cannot_be_written_is_noticed_before_translating(
    source, tmp_path
):
    seen = []
    with pytest.raises(InputError, match="nowhere"):
        run(source, tmp_path / "nowhere" / "out", recorded(seen))
    assert not seen


def test_an_output_that_is_a_folder_is_noticed_before_translating(source, tmp_path):
    seen = []
    with pytest.raises(InputError, match="is a folder"):
        run(source, tmp_path, recorded(seen))
    assert not seen


def test_one_process_says_nothing_of_shares(source, tmp_path, capsys):
    console = Console(stderr=True)
    streams.file(source, tmp_path / "out", numbered, streams.plain, "", console)
    output, errors = capsys.readouterr()
    assert not output
    assert "hare" not in errors


def test_a_reader_that_fails_does_not_leave_the_pipe_waiting():
    def lines():
        yield b"one\n"
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        streams.pipe(lines(), lambda texts, *, first_line: [], streams.plain)


PIPE = """
import sys
from transformer import scripts, streams
from transformer.errors import InputError

def translate(texts, *, first_line):
    raise InputError(texts[0]) if texts[0] == "wrong" else BrokenPipeError

def main(console):
    print("ready", file=sys.stderr, flush=True)
    streams.pipe(streams.standard_input(), translate, streams.plain)

sys.exit(scripts.run(main))
"""


def test_a_pipe_ends_as_it_should_while_its_input_stays_open():
    pipe: Any = partial(subprocess.Popen, [sys.executable, "-c", PIPE], text=True)
    with contextlib.ExitStack() as stack:
        both = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
        running = [stack.enter_context(pipe(**both)) for _ in range(3)]
        assert all(process.stderr.readline() == "ready\n" for process in running)
        refused, broken, interrupted = running
        for process, line in (refused, "wrong\n"), (broken, "a\n"):
            process.stdin.write(line)
            process.stdin.flush()
        interrupted.send_signal(signal.SIGINT)
        assert [process.wait(6 * WAIT) for process in running] == [2, 0, 130]
        assert refused.stderr.read() == "Error: wrong\n"


def test_standard_input_that_is_closed_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="Standard input is closed"):
        streams.standard_input()


def test_a_pipe_without_a_regular_file_is_refused_as_a_file(source, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for paths in (tmp_path / "fifo", tmp_path / "out"), (source, tmp_path / "fifo"):
        with pytest.raises(InputError, match="fifo is no file that can be read again"):
            run(*paths)
    assert not (tmp_path / "out").exists()


def test_a_byte_order_mark_is_no_text_in_a_pipe_either(capsysbinary):
    mark = codecs.BOM_UTF8
    streams.pipe(io.BytesIO(mark + b"a\n" + mark + b"b\n"), numbered, streams.plain)
    assert capsysbinary.readouterr().out == b"0 'a'\n1 '\\ufeffb'\n"


def test_an_argument_in_no_utf_8_has_marks_for_what_is_lost():
    assert streams.argument("ein Hündchen") == "ein Hündchen"
    raw = os.fsdecode(b"a\xffb")
    assert streams.argument(raw) == "a\N{REPLACEMENT CHARACTER}b"
