"""Token ids on disk: what is read is what was written, whole or not at all."""

import errno
import mmap
import os
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import store
from transformer.errors import InputError

IDS = st.lists(st.integers(0, 2**32 - 1), max_size=9)
PAIRS = st.lists(st.tuples(IDS, IDS), max_size=20)


def each(pairs):
    """A part for each pair."""
    return (store.collect([pair]) for pair in pairs)


def listed(stored):
    """The pairs of a store as lists."""
    return [
        (stored.source[i].tolist(), stored.target[i].tolist())
        for i in range(stored.size)
    ]


def mapped(array):
    """Whether an array is backed by a file."""
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array is not None


@given(PAIRS)
@settings(deadline=None, max_examples=50)
def test_what_is_read_is_what_was_written(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("stores") / "store"
    store.write(path, each(pairs))
    assert listed(store.read(path)) == pairs


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_a_store_in_memory_is_the_same(pairs):
    assert listed(store.collect(pairs)) == pairs


@given(st.lists(st.tuples(IDS, IDS), min_size=1, max_size=20))
@settings(deadline=None, max_examples=50)
def test_lengths_are_those_of_the_sentences(pairs):
    stored = store.collect(pairs)
    assert stored.source.lengths.tolist() == [len(source) for source, _ in pairs]
    assert stored.target.lengths.tolist() == [len(target) for _, target in pairs]


def test_ids_are_four_bytes_and_stay_in_their_files(tmp_path):
    store.write(tmp_path / "store", each([([1, 2, 3], [4])]))
    stored = store.read(tmp_path / "store")
    for side in stored:
        assert side.ids.dtype == np.uint32
        assert mapped(side.ids)
        assert mapped(side[0])
    assert (tmp_path / "store" / "source.ids").stat().st_size == 3 * 4


def test_a_store_cannot_be_changed_by_its_reader(tmp_path):
    store.write(tmp_path / "store", each([([1, 2], [3])]))
    with pytest.raises(ValueError, match="read-only"):
        store.read(tmp_path / "store").source.ids[0] = 7


def test_pairs_are_written_while_they_stream(tmp_path):
    def pairs():
        for number in range(3):
            yield [number], [number, number]

    store.write(tmp_path / "a" / "b" / "store", each(pairs()))
    assert store.read(tmp_path / "a" / "b" / "store").size == 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_if_writing_fails(tmp_path, error):
    def pairs():
        yield [1], [2]
        raise error("while reading")

    with pytest.raises(error, match="while reading"):
        store.write(tmp_path / "store", each(pairs()))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    expected = f"{re.escape(str(tmp_path))} cannot be written: No space left.*Make room"
    with pytest.raises(InputError, match=expected):
        store.write(tmp_path / "store", each([([1], [2])]))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "file"))):
        store.write(tmp_path / "file" / "store", each([([1], [2])]))


def test_the_name_appears_only_when_all_is_written(tmp_path):
    def pairs():
        yield [1], [2]
        assert not (tmp_path / "store").exists()
        yield [3], [4]

    store.write(tmp_path / "store", each(pairs()))
    assert store.read(tmp_path / "store").size == 2
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_ids_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(OverflowError):
        store.write(tmp_path / "store", each([([2**32], [1])]))
    assert list(tmp_path.iterdir()) == []


@given(PAIRS, st.integers(1, 20))
@settings(deadline=None, max_examples=50)
def test_parts_stand_end_to_end_however_large_they_are(tmp_path_factory, pairs, size):
    path = tmp_path_factory.mktemp("stores") / "store"
    starts = range(0, len(pairs), size)
    store.write(path, (store.collect(pairs[i : i + size]) for i in starts))
    assert listed(store.read(path)) == pairs


def test_what_a_killed_run_left_is_removed_after_an_hour_only(tmp_path):
    old, new = tmp_path / ".draft-old", tmp_path / ".draft-new"
    for draft in (old, new):
        draft.mkdir()
        (draft / "source.ids").write_bytes(b"half")
    ages = ((old / "source.ids", store.HOUR + 60), (old, 2 * store.HOUR))
    for path, age in (*ages, (new, 2 * store.HOUR)):
        then = time.time() - age
        os.utime(path, (then, then))
    store.write(tmp_path / "store", each([([1], [2])]))
    assert {path.name for path in tmp_path.iterdir()} == {"store", ".draft-new"}


def test_of_two_that_write_the_same_store_both_succeed(tmp_path):
    def slow():
        yield store.collect([([1], [2])])
        store.write(tmp_path / "store", each([([1], [2])]))

    store.write(tmp_path / "store", slow())
    assert listed(store.read(tmp_path / "store")) == [([1], [2])]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_cache_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache() == tmp_path / "jax-transformer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert re.fullmatch(r".*/\.cache/jax-transformer", str(store.cache()))
    assert store.cache().is_relative_to(tmp_path)
