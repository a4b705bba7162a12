"""Token ids on disk: what is read is what was written, whole or not at all."""

import errno
import mmap
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import store
from transformer.errors import InputError

IDS = st.lists(st.integers(0, 2**32 - 1), max_size=9)
PAIRS = st.lists(st.tuples(IDS, IDS), max_size=20)


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
    store.write(path, pairs)
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
    store.write(tmp_path / "store", [([1, 2, 3], [4])])
    stored = store.read(tmp_path / "store")
    for side in stored:
        assert side.ids.dtype == np.uint32
        assert mapped(side.ids)
        assert mapped(side[0])
    assert (tmp_path / "store" / "source.ids").stat().st_size == 3 * 4


def test_a_store_cannot_be_changed_by_its_reader(tmp_path):
    store.write(tmp_path / "store", [([1, 2], [3])])
    with pytest.raises(ValueError, match="read-only"):
        store.read(tmp_path / "store").source.ids[0] = 7


def test_pairs_are_written_while_they_stream(tmp_path):
    def pairs():
        for number in range(3):
            yield [number], [number, number]

    store.write(tmp_path / "a" / "b" / "store", pairs())
    assert store.read(tmp_path / "a" / "b" / "store").size == 3


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_if_writing_fails(tmp_path, error):
    def pairs():
        yield [1], [2]
        raise error("while reading")

    with pytest.raises(error, match="while reading"):
        store.write(tmp_path / "store", pairs())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    def full(file, array):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    expected = f"{re.escape(str(tmp_path))} cannot be written: No space left.*Make room"
    with pytest.raises(InputError, match=expected):
        store.write(tmp_path / "store", [([1], [2])])
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=re.escape(str(tmp_path / "file"))):
        store.write(tmp_path / "file" / "store", [([1], [2])])


def test_the_name_appears_only_when_all_is_written(tmp_path):
    def pairs():
        yield [1], [2]
        assert not (tmp_path / "store").exists()
        yield [3], [4]

    store.write(tmp_path / "store", pairs())
    assert store.read(tmp_path / "store").size == 2
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_ids_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(OverflowError):
        store.write(tmp_path / "store", [([2**32], [1])])
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.cache() == tmp_path / "jax-transformer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert re.fullmatch(r".*/\.cache/jax-transformer", str(store.cache()))
    assert store.cache().is_relative_to(tmp_path)
