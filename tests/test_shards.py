"""However many processes share a file, and whatever befalls them, it is one file."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from functools import partial
from pathlib import Path

import pretence
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from transformer import shards, streams
from transformer.compression import OPENERS
from transformer.errors import InputError
from transformer.shards import ALONE, Shard, Shares
from transformer.translator import Translation

ROOT = Path(__file__).parents[1]

QUIET = Console(quiet=True)

PART = 3
"""Lines dealt out together in these tests."""


@pytest.fixture(autouse=True, scope="module")
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "PART", PART)
        yield


def numbered(texts, *, first_line):
    return [
        Translation(f"{first_line + i} {text}", 0.0, (), ())
        for i, text in enumerate(texts)
    ]


recorded = partial(pretence.recorded, numbered)
interrupted_at = partial(pretence.interrupted_at, numbered)


def failing(texts, *, first_line):
    if first_line == 12:
        raise InputError("of line 12")
    return numbered(texts, first_line=first_line)


def run(
    source,
    target,
    shard=ALONE,
    translate=numbered,
    settings="",
    console=QUIET,
    processes=1,
):
    how = settings, console, shard, processes
    streams.file(source, target, translate, streams.plain, *how)


def text(lines):
    return "".join(f"line {number}\n" for number in range(lines))


def whole(lines):
    return "".join(f"{number} line {number}\n" for number in range(lines))


def all_of(count):
    return [Shard(index, count) for index in range(count)]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in" / "source"
    path.parent.mkdir()
    path.write_text(text(20))
    return path


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "out" / "target"
    path.parent.mkdir()
    return path


def beside(target):
    return {path.name for path in target.parent.iterdir()} - {target.name}


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 5))
def test_every_line_belongs_to_one_process_and_keeps_its_number(lines, count, part):
    texts = [str(number) for number in range(lines)]
    owned = [list(shard.own(texts, part)) for shard in all_of(count)]
    assert sorted(sum(owned, [])) == sorted(enumerate(texts))
    sizes = [len(lines) for lines in owned]
    assert max(sizes) - min(sizes) <= part


@settings(deadline=None)
@given(st.data(), st.integers(0, 30), st.integers(1, 6), st.booleans())
def test_any_number_of_processes_in_any_order_write_what_one_writes(
    data, lines, count, ended
):
    order = data.draw(st.permutations(all_of(count)))
    stops = data.draw(st.lists(st.integers(0, 30), max_size=3))
    drawn = st.lists(st.sampled_from(["\n", "\r\n"]), min_size=lines, max_size=lines)
    ends = data.draw(drawn)
    if lines and not ended:
        ends[-1] = ""
    content = "".join(f"line {number}{end}" for number, end in enumerate(ends))
    expected = "".join(f"{n} line {n}{end}" for n, end in enumerate(ends)).encode()
    with tempfile.TemporaryDirectory() as path:
        source, alone, shared = (Path(path, name) for name in ("in", "one", "all"))
        source.write_bytes(content.encode())
        run(source, alone)
        for shard in order:
            assert not shared.exists()
            for stop in stops:
                try:
                    run(source, shared, shard, interrupted_at(stop))
                except KeyboardInterrupt:
                    continue
                break
            else:
                run(source, shared, shard)
        assert shared.read_bytes() == alone.read_bytes() == expected
        assert len(list(Path(path).iterdir())) == 3


@pytest.mark.parametrize("count", [1, 2])
def test_processes_that_one_starts_write_what_it_would_write(source, target, count):
    for shard in all_of(count):
        run(source, target, shard, processes=2)
    assert target.read_text() == whole(20)
    assert not beside(target)


def test_what_comes_before_the_part_of_a_process_that_fails_is_kept(source, target):
    with pytest.raises(InputError, match="of line 12"):
        run(source, target, translate=failing, processes=2)
    seen = []
    run(source, target, translate=recorded(seen))
    assert seen == [f"line {number}" for number in range(12, 20)]
    assert target.read_text() == whole(20)


def test_a_share_translates_its_own_lines_only_and_none_again(source, target):
    seen = []
    with pytest.raises(KeyboardInterrupt):
        run(source, target, Shard(1, 2), interrupted_at(10))
    run(source, target, Shard(1, 2), recorded(seen))
    assert seen == [f"line {number}" for number in (9, 10, 11, 15, 16, 17)]
    run(source, target, Shard(1, 2), recorded(seen))
    assert len(seen) == 6


def test_what_is_left_of_a_part_is_translated_with_its_numbers(source, target):
    """A kill can leave a part half written; what follows begins within it."""
    with pytest.raises(KeyboardInterrupt):
        run(source, target, Shard(1, 2), interrupted_at(10))
    (draft,) = target.parent.glob("*.partial/*")
    with draft.open("a") as file:
        file.write("9 line 9\n10 li")
    seen = []
    run(source, target, Shard(1, 2), recorded(seen))
    assert seen[:2] == ["line 10", "line 11"]
    run(source, target, Shard(0, 2))
    assert target.read_text() == whole(20)


KILLED = """
import os, signal, sys
from pathlib import Path
from rich.console import Console
from transformer import streams
from transformer.shards import Shard
from transformer.translator import Translation

def translate(texts, *, first_line):
    if first_line == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    found = (f"{first_line + i} {text}" for i, text in enumerate(texts))
    return [Translation(text, 0.0, (), ()) for text in found]

streams.PART = 3
source, target = map(Path, sys.argv[1:])
console = Console(quiet=True)
streams.file(source, target, translate, streams.plain, "", console, Shard(1, 2))
"""


def test_a_killed_process_has_kept_the_parts_it_did(source, target):
    process = subprocess.run([sys.executable, "-c", KILLED, source, target], cwd=ROOT)
    assert process.returncode == -signal.SIGKILL
    seen = []
    run(source, target, Shard(1, 2), recorded(seen))
    assert seen[0] == "line 9"
    run(source, target, Shard(0, 2))
    assert target.read_text() == whole(20)
    assert not beside(target)


@pytest.mark.parametrize("changed", ["settings", "source", "count"])
def test_shares_of_other_settings_another_text_or_number_are_not_mixed_in(
    source, target, changed
):
    odd = lambda texts, first_line: numbered(["odd"] * len(texts), first_line=0)  # noqa: E731
    run(source, target, Shard(0, 2), odd)
    shares = [Shard(1, 2)]
    if changed == "source":
        source.write_text(source.read_text().replace("line 0", "Line 0"))
    if changed == "count":
        shares = [Shard(1, 3), Shard(2, 3)]
    settings = "other" if changed == "settings" else ""
    for shard in shares:
        run(source, target, shard, settings=settings)
    assert not target.exists()
    run(source, target, Shard(0, shares[0].count), settings=settings)
    assert target.read_text().casefold() == whole(20)


def ready(source, target):
    """Two whole shares that nobody has joined yet."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shares, "join", lambda shares, part: found.append(shares) or 1)
        for shard in all_of(2):
            run(source, target, shard)
    assert not target.exists()
    return found[0]


STEPS = {
    "all shares are seen to be whole": (uuid, "uuid4"),
    "they are open": (shards, "cycle"),
    "they are joined": (os, "fsync"),
    "the file is in its place": (shutil, "rmtree"),
}
"""Moments of joining, and what is called then."""


@pytest.fixture
def at(monkeypatch):
    """Does something once, when joining comes to a step."""

    def prepare(step, then):
        module, name = STEPS[step]
        original = getattr(module, name)

        def called(*args, **kwargs):
            monkeypatch.undo()
            then()
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, called)

    return prepare


@pytest.mark.parametrize("step", STEPS)
def test_two_may_join_at_once(source, target, at, step):
    ready(source, target)
    inner = []

    def other():
        run(source, target, Shard(0, 2))
        inner.append(target.read_text())

    at(step, other)
    run(source, target, Shard(1, 2))
    assert inner == [target.read_text()] == [whole(20)]
    assert not beside(target)


@pytest.mark.parametrize("step", STEPS)
def test_a_joiner_that_is_killed_is_replaced_by_another(source, target, at, step):
    def kill():
        raise KeyboardInterrupt

    ready(source, target)
    at(step, kill)
    with pytest.raises(KeyboardInterrupt):
        run(source, target, Shard(1, 2))
    assert target.exists() == (step == "the file is in its place")
    seen = []
    run(source, target, Shard(0, 2), recorded(seen))
    assert not seen
    assert target.read_text() == whole(20)
    assert not beside(target)


def test_shares_that_are_being_removed_are_not_taken_for_missing(
    source, target, monkeypatch
):
    late, seen = ready(source, target), []

    def slowly(path, ignore_errors):
        if path.exists():
            monkeypatch.undo()
            (path / "0").unlink()
            seen.append(late.join(PART))
            shutil.rmtree(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", slowly)
    run(source, target, Shard(1, 2))
    assert seen == [0]
    assert target.read_text() == whole(20)
    assert not beside(target)


def test_what_a_killed_joiner_could_not_remove_does_not_hinder_the_next(source, target):
    run(source, target, Shard(0, 2))
    (folder,) = target.parent.iterdir()
    left = folder.with_suffix(".joined")
    left.mkdir()
    (left / "0").touch()
    run(source, target, Shard(1, 2))
    assert target.read_text() == whole(20)
    assert not beside(target)


def test_many_at_once_never_show_half_a_file(source, target):
    """Each round is a race of four; whoever looks sees no file or a whole one."""
    seen, over = set(), threading.Event()

    def watch():
        while not over.is_set():
            if target.exists():
                seen.add(target.read_text())
            time.sleep(0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(30):
        racers = [
            threading.Thread(target=run, args=(source, target, shard))
            for shard in all_of(4)
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        assert not beside(target)
    over.set()
    watcher.join()
    assert seen == {whole(20)}


def test_the_same_share_twice_at_once_does_no_harm(source, target):
    """The second is at work when the first finishes, joins and removes the shares."""
    run(source, target, Shard(0, 2))

    def translate(texts, *, first_line):
        if first_line == 9:
            run(source, target, Shard(1, 2))
        return numbered(texts, first_line=first_line)

    with pytest.raises(InputError, match="No such file"):
        run(source, target, Shard(1, 2), translate)
    assert target.read_text() == whole(20)
    assert not beside(target)


def test_the_news_tell_what_is_missing_and_leave_standard_output_clean(
    source, target, capsys
):
    news = []
    for index in (2, 0, 1):
        run(source, target, Shard(index, 3), console=Console(stderr=True, width=40))
        output, errors = capsys.readouterr()
        assert not output
        news.append(errors.splitlines()[-1])
    last = f"the last one to finish writes {target}."
    assert news == [
        f"Share 2/3 is done. So far 1 of 3 are; {last}",
        f"Share 0/3 is done. So far 2 of 3 are; {last}",
        f"Share 1/3 is done, and {target} is written.",
    ]


@pytest.mark.parametrize("ending", OPENERS)
def test_a_file_is_compressed_as_its_ending_says_whatever_interrupts_it(
    source, target, ending
):
    packed = target.with_name(f"target{ending}")
    with pytest.raises(KeyboardInterrupt):
        run(source, packed, translate=interrupted_at(10))
    for shard in ALONE, *all_of(2):
        run(source, packed, shard)
        with OPENERS[ending](packed, "rb") as file:
            assert file.read() == whole(20).encode()
    written = packed.read_bytes()
    run(source, packed)
    assert packed.read_bytes() == written
    assert not beside(packed)


@given(st.integers(1, 10**8), st.data())
def test_a_share_is_read_as_it_is_written(count, data):
    shard = Shard(data.draw(st.integers(0, count - 1)), count)
    assert shards.parse(str(shard)) == shard


@given(st.text() | st.tuples(st.integers(), st.integers()).map("{0[0]}/{0[1]}".format))
def test_what_is_no_share_is_refused(written):
    try:
        shard = shards.parse(written)
    except InputError as error:
        assert repr(written) in str(error)
    else:
        assert 0 <= shard.index < shard.count
