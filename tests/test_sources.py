"""Corpora by name, from a site on this machine and through the real libraries."""

import hashlib
import json
import lzma
import re
import sys
import tarfile
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pytest
import sacrebleu
from sacrebleu.dataset import base
from sacrebleu.dataset.plain_text import PlainTextDataset
from sites import serving

from transformer import corpora, store
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.sources import hub, web

PAIRS = [("a dog", "ein Hund"), ("tab\tand “quotes”", "„drei“ –"), ("", "leer")]
PLAIN = PAIRS[:1] + PAIRS[2:]


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


SIDES = {"en": text(en for en, _ in PAIRS), "de": text(de for _, de in PAIRS)}
RECORDS = text(json.dumps({"translation": {"en": e, "de": d}}) for e, d in PAIRS)
TABLE = text("\t".join(pair) for pair in PLAIN)


def digits(content):
    return hashlib.sha256(content).hexdigest()


def read(name, source="en", target="de"):
    return list(corpora.pairs(Corpus(name, source, target)))


def fails(name, *parts):
    """Reading fails with a message that has all `parts`, in this order."""
    pattern = ".*".join(re.escape(str(part)) for part in parts)
    with pytest.raises(InputError, match=f"(?s){pattern}"):
        read(name)


def turned(pairs):
    return [(target, source) for source, target in pairs]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return store.cache()


@pytest.fixture
def site():
    with serving() as site:
        yield site


@pytest.mark.parametrize(
    ("file", "content", "expected"),
    [
        ("a.tsv", TABLE, PLAIN),
        ("a.tsv.xz", lzma.compress(TABLE), PLAIN),
        ("a.jsonl", RECORDS, PAIRS),
        ("a.jsonl.xz", lzma.compress(RECORDS), PAIRS),
    ],
)
@pytest.mark.parametrize("checked", [True, False])
def test_an_address_is_a_corpus(site, file, content, expected, checked):
    name = site.put(f"/some/{file}", content)
    if checked:
        name += f"#sha256={digits(content).upper()}"
    assert read(name) == expected
    assert read(name) == expected
    assert len(site.asked) == 1
    assert corpora.fingerprint(Corpus(name, "en", "de")) == {file: digits(content)}


@pytest.mark.parametrize("checked", [True, False])
def test_an_address_with_a_place_for_the_language_is_two_files(site, checked):
    for side, content in SIDES.items():
        site.put(f"/{side}/train.{side}.xz", lzma.compress(content))
    name = site.url + "/{}/train.{}.xz"
    if checked:
        sums = {side: digits(lzma.compress(SIDES[side])) for side in SIDES}
        name += f"#sha256=de:{sums['de']},en:{sums['en']}"
    assert read(name) == PAIRS
    assert read(name, "de", "en") == turned(PAIRS)
    assert len(site.asked) == 2


def test_swapped_checksums_are_refused(site):
    for side, content in SIDES.items():
        site.put(f"/train.{side}", content)
    wrong = f"en:{digits(SIDES['de'])},de:{digits(SIDES['en'])}"
    fails(site.url + "/train.{}#sha256=" + wrong, "/train.en has the SHA-256")


@pytest.mark.parametrize(
    "rest",
    ["en", "md5=1", "sha256=", "sha256=12", "sha256=" + "g" * 64]
    + ["sha256=en:" + "0" * 64, f"sha256=en:{'0' * 64},de:{'0' * 64}"],
)
def test_what_is_no_checksum_of_one_file_is_refused(rest):
    fails(f"https://localhost/a.tsv#{rest}", "must be sha256=DIGITS,")


@pytest.mark.parametrize("rest", ["sha256=" + "0" * 64, "sha256=en:" + "0" * 64])
def test_what_is_no_checksum_of_two_files_is_refused(rest):
    name = "https://localhost/a.{}#" + rest
    fails(name, "must be sha256=en:DIGITS,de:DIGITS")


@pytest.mark.parametrize("name", ["https://x/a", "https://x/a.en.gz", "https://x"])
def test_an_address_that_says_no_format_is_refused(name):
    fails(name, name, ".tsv", "{}")


@pytest.mark.parametrize(
    "name",
    ["https:///a.tsv", "https://[/a.tsv", "http://h:x/{}"]
    + ["https://user:secret@host/a.tsv"],
)
def test_what_is_no_address_is_refused(name):
    fails(name, "is no address")


def test_files_stay_in_the_cache_whatever_their_address(site, cache, tmp_path):
    for path in ("/../../../x.tsv", "/a%2f..%2f..%2fx.tsv", "/é b.tsv", "//x.tsv?../y"):
        with pytest.raises(InputError, match=r"put it at .*cache/jax-transformer/down"):
            read(site.url + path)
    assert {path.name for path in tmp_path.iterdir()} == {"cache"}


def test_an_address_may_be_as_long_as_it_likes(cache):
    place = web.place(f"https://a.b/x.tsv?Signature={'s' * 400}")
    assert max(map(len, place.parts)) <= web.LONGEST
    assert place != web.place(f"https://a.b/x.tsv?Signature={'s' * 401}")


def test_a_file_put_where_the_message_says_is_taken():
    name = "http://no-such-host.invalid/a.tsv"
    with pytest.raises(InputError) as caught:
        read(name)
    place = re.search(r"put it at (.*)\.$", str(caught.value))
    assert place
    with open(place[1], "wb") as file:
        file.write(TABLE)
    assert read(name) == PLAIN


@pytest.mark.parametrize("kind", ["hf", "mtdata"])
def test_a_library_that_is_not_installed_is_named(monkeypatch, kind):
    library = {"hf": "datasets"}.get(kind, kind)
    monkeypatch.setitem(sys.modules, library, None)
    fails(f"{kind}:some/name", f"{kind}:some/name needs", f"pip install {library}")


@pytest.fixture
def test_set(site, tmp_path, monkeypatch):
    """A test set that sacreBLEU fetches from the site."""
    archive = tmp_path / "tiny.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for side, content in SIDES.items():
            (tmp_path / side).write_bytes(content)
            tar.add(tmp_path / side, side)
    url = site.put("/tiny.tgz", archive.read_bytes())
    monkeypatch.setattr(base, "SACREBLEU_DIR", str(tmp_path / "sacrebleu"))
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    pairs: Any = {"en-de": ["en", "de"], "de-en": ["de", "en"]}
    made = PlainTextDataset("tiny/full", data=[url], md5=[md5], langpairs=pairs)
    monkeypatch.setitem(sacrebleu.DATASETS, "tiny/full", made)
    return made


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of sacreBLEU's unpacking
def test_a_test_set_is_fetched_by_sacrebleu(test_set, site):
    assert read("sacrebleu:tiny/full") == PAIRS
    assert read("sacrebleu:tiny/full") == PAIRS
    assert read("sacrebleu:tiny/full", "de", "en") == turned(PAIRS)
    assert len(site.asked) == 1


def test_a_test_set_that_does_not_come_is_named_with_its_folder(test_set, site):
    del site.files["/tiny.tgz"]
    fails("sacrebleu:tiny/full", "404", "put it at", "tiny/full, as")


def test_a_damaged_test_set_is_named_with_its_folder(test_set, site):
    site.files["/tiny.tgz"] += b"more"
    fails("sacrebleu:tiny/full", "cannot be fetched", "tiny/full", "damaged")


def test_unknown_test_sets_and_pairs_are_named_with_those_near():
    fails("sacrebleu:wmt14/ful", "'wmt14/ful'", "did you mean 'wmt14/full'?")
    with pytest.raises(InputError, match="not in de-fi, but in cs-en, de-en"):
        read("sacrebleu:wmt14/full", "de", "fi")


@pytest.fixture
def hub_set(tmp_path):
    """A set in the form of the Hub, in a folder."""
    pytest.importorskip("datasets", reason="needs the extra hf")
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(RECORDS)
    rows = ({"id": i, "en": e, "de": d} for i, (e, d) in enumerate(PAIRS))
    (folder / "flat.jsonl").write_bytes(text(map(json.dumps, rows)))
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: de-en\n  data_files:\n"
        "  - split: train\n    path: train.jsonl\n"
        "  - split: validation\n    path: train.jsonl\n"
        "- config_name: flat\n  data_files: flat.jsonl\n---\n"
    )
    return folder


def test_a_set_in_the_form_of_the_hub_is_read_by_its_library(hub_set):
    assert read(f"hf:{hub_set}/de-en") == PAIRS
    assert read(f"hf:{hub_set}/de-en", "de", "en") == turned(PAIRS)
    assert read(f"hf:{hub_set}/de-en#validation") == PAIRS
    assert read(f"hf:{hub_set}/flat") == PAIRS
    assert read(f"hf:{hub_set}/de-en#train[1:2]") == PAIRS[1:2]


def test_a_set_of_the_hub_is_read_once(hub_set, monkeypatch):
    with monkeypatch.context() as patch:
        before = read(f"hf:{hub_set}/de-en")
        patch.setattr(hub, "rows", pytest.fail)
        assert read(f"hf:{hub_set}/de-en") == before
    (hub_set / "train.jsonl").write_bytes(RECORDS.splitlines()[0])
    assert read(f"hf:{hub_set}/de-en") == before[:1]  # of a folder that has changed


def test_what_a_set_of_the_hub_does_not_have_is_said(hub_set, cache):
    fails(f"hf:{hub_set}/fr-en", "'fr-en' not found", "put it at", cache, "fr-en/train")
    fails(f"hf:{hub_set}/de-en#test", '"test"', "put it at", cache, "de-en/test.jsonl")
    with pytest.raises(
        InputError, match=r"train.jsonl, line 1: no 'fr' among the keys"
    ):
        read(f"hf:{hub_set}/de-en", "en", "fr")
    assert not list(cache.rglob(".draft-*"))


def test_a_set_of_the_hub_needs_a_configuration():
    fails("hf:wmt14", "must be hf:SET/CONFIGURATION")


EMPTY = b"\x80\x02cmtdata.index\nIndex\n)\x81}X\x07\x00\x00\x00entries}sb."
"""An index without corpora, pickled; to make and to load MTData's own takes long."""


@pytest.fixture
def indexed(site, tmp_path_factory, monkeypatch):
    """Puts a corpus into the index of MTData."""
    if not find_spec("mtdata"):
        pytest.skip("needs the extra mtdata")
    folder = tmp_path_factory.mktemp("mtdata")
    monkeypatch.setenv("MTDATA", str(folder))
    (folder / f"mtdata.index.{version('mtdata')}.pkl").write_bytes(EMPTY)
    from mtdata.entry import Entry  # pyright: ignore[reportMissingImports]
    from mtdata.index import Index  # pyright: ignore[reportMissingImports]

    index = Index.__new__(Index)
    index.entries = {}
    monkeypatch.setattr(Index, "obj", index)

    def add(identity, **what):
        entry = Entry(identity, **what)
        index.entries[entry.did] = entry

    return add


def test_a_corpus_of_mtdata_is_fetched_and_read(indexed, site):
    indexed(
        "Here-tiny-1-deu-eng",
        url=site.put("/a.tsv", text(map("\t".join, turned(PLAIN)))),
    )
    site.limit = 10  # connections break, and are continued
    assert read("mtdata:Here-tiny-1-deu-eng") == PLAIN
    site.files.clear()
    assert read("mtdata:Here-tiny-1-deu-eng") == PLAIN
    assert read("mtdata:Here-tiny-1-deu-eng", "de", "en") == turned(PLAIN)


def test_what_mtdata_does_not_have_is_said(indexed, site, cache):
    indexed("Here-french-1-fra-eng", url=f"{site.url}/none.tsv")
    indexed("Here-tiny-1-deu-eng", url=f"{site.url}/none.tsv")
    fails("mtdata:Here-no-1-deu-eng", "no corpus 'Here-no-1-deu-eng'", "mtdata list")
    fails("mtdata:nonsense", "nonsense", "put it at", cache)
    fails("mtdata:Here-french-1-fra-eng", "is in fra-eng, not in de and en")
    fails("mtdata:Here-tiny-1-deu-eng", "none.tsv cannot be fetched", "404", cache)
