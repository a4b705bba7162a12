"""Files from a site on this machine: whole and right, or not there."""

import hashlib
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from sites import serving

from transformer import downloads
from transformer.downloads import Remote
from transformer.errors import InputError

CONTENT = b"".join(b"%d\n" % (i**3) for i in range(500))
OTHER = CONTENT[::-1] + b"more"


def digits(content):
    return hashlib.sha256(content).hexdigest()


RIGHT = digits(CONTENT)


@pytest.fixture
def site():
    with serving() as site:
        site.put("/a", CONTENT)
        yield site


@pytest.fixture
def path(tmp_path):
    return tmp_path / "downloads" / "a"


def fails(remote, path, *parts):
    """Fetching fails with a message that has all `parts`, in this order."""
    pattern = ".*".join(re.escape(str(part)) for part in parts)
    with pytest.raises(InputError, match=f"(?s){pattern}"):
        downloads.fetch(remote, path)


def remains(path):
    """All files beside `path`, but for the lock."""
    return {each.name for each in path.parent.iterdir()} - {f"{path.name}.lock"}


@pytest.mark.parametrize("sha256", [None, RIGHT])
def test_a_file_is_fetched_once(site, path, sha256):
    remote = Remote(f"{site.url}/a", sha256)
    for _ in range(3):
        assert downloads.fetch(remote, path).read_bytes() == CONTENT
    assert site.asked == [("/a", None)]
    assert remains(path) == {"a"}


@pytest.mark.parametrize("etag", [None, '"one"', 'W/"one"'])
@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("sha256", [None, RIGHT])
def test_a_broken_connection_leaves_a_whole_file_or_none(
    site, path, etag, ranges, sha256
):
    site.etag, site.ranges, site.limit = etag, ranges, 100
    remote = Remote(f"{site.url}/a", sha256)
    if ranges and (sha256 or etag == '"one"'):
        downloads.fetch(remote, path)
        assert path.read_bytes() == CONTENT
    else:
        fails(remote, path, "ended after 100 of", path)
        assert not path.exists()


def test_a_broken_download_is_continued_where_it_stopped(site, path):
    site.limit = 1000
    downloads.fetch(Remote(f"{site.url}/a", None), path)
    starts = range(1000, len(CONTENT), 1000)
    ranges = [None, *(f"bytes={start}-" for start in starts)]
    assert site.asked == [("/a", each) for each in ranges]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, '"one"'])
def test_a_later_run_continues_too(site, path, etag):
    """Without a mark of its version, a file is continued if a checksum watches."""
    site.etag = etag
    part = started(site, path, 700)
    downloads.fetch(Remote(f"{site.url}/a", RIGHT), path)
    assert path.read_bytes() == CONTENT
    assert site.asked == [("/a", None), ("/a", "bytes=700-")]
    assert not part.exists()


def started(site, path, size):
    """Leaves what a run leaves that is killed after `size` bytes."""
    downloads.fetch(Remote(f"{site.url}/a", None), path)
    part = path.with_name("a.part")
    part.write_bytes(path.read_bytes()[:size])
    path.unlink()
    if site.etag:
        path.with_name("a.version").write_text(site.etag)
    return part


def test_a_whole_draft_becomes_the_file(site, path):
    started(site, path, len(CONTENT))
    downloads.fetch(Remote(f"{site.url}/a", RIGHT), path)
    assert path.read_bytes() == CONTENT
    assert site.asked[1:] == [("/a", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize("sha256", [None, digits(OTHER)])
@pytest.mark.parametrize("etag", [None, '"two"'])
@pytest.mark.parametrize("content", [OTHER, b"short"])
def test_two_versions_of_a_file_are_never_joined(site, path, sha256, etag, content):
    started(site, path, 700)
    if etag is None:
        path.with_name("a.version").unlink()
    site.etag = etag
    site.put("/a", content)
    wanted = sha256 and digits(content)
    downloads.fetch(Remote(f"{site.url}/a", wanted), path)
    assert path.read_bytes() == content


def test_another_file_than_the_checksum_says_is_not_kept(site, path):
    wrong = digits(OTHER)
    fails(Remote(f"{site.url}/a", wrong), path, site.url, RIGHT, wrong)
    assert remains(path) <= {"a.version"}


def test_a_file_put_there_by_hand_is_taken_if_it_is_right(site, path):
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert downloads.fetch(Remote(f"{site.url}/none", RIGHT), path) == path
    path.write_bytes(OTHER)
    fails(Remote(f"{site.url}/a", RIGHT), path, path, digits(OTHER), "emove the file")
    assert path.read_bytes() == OTHER
    assert not site.asked


def test_what_the_site_does_not_have_is_said(site, path):
    remote = Remote(f"{site.url}/none", None)
    fails(remote, path, f"{site.url}/none", "404", "put it at", path)


def test_without_a_network_the_place_is_named(path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        url = f"http://localhost:{free.getsockname()[1]}/a"
        fails(Remote(url, None), path, url, "refused", "put it at", path)
    url = "http://no-such-host.invalid/a"
    fails(Remote(url, None), path, url, "put it at", path)


def test_a_folder_that_cannot_be_written_is_named(site, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "a"
    fails(Remote(f"{site.url}/a", None), path, path, "cannot be written", "XDG_CACHE")


def test_whoever_wants_the_same_file_at_once_waits_for_the_first(site, path):
    remote = Remote(f"{site.url}/a", RIGHT)
    with ThreadPoolExecutor(4) as pool:  # the lock is one of the file, not of a process
        paths = pool.map(lambda _: downloads.fetch(remote, path), range(8))
    assert set(paths) == {path}
    assert site.asked == [("/a", None)]
