"""Corpora in every format, and errors that name the file and the line."""

import bz2
import codecs
import gzip
import json
import lzma
import re

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import corpora, phrasebook
from transformer.corpora import Corpus
from transformer.errors import InputError

PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
PAIRS = [("one", "eins"), ("", "zwei"), ("drei – three", "“3”\u2028\x85")]
LONG = "".join(f"{i} {i**5 % 99991}\t{i**7 % 99991}\n" for i in range(20_000))


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


def prefix(folder, source, target, packer=""):
    """A corpus of two files with that content."""
    for side, content in (("en", source), ("de", target)):
        path = folder / f"train.{side}{packer}"
        path.write_bytes(PACKERS[packer](content))
    return Corpus(str(folder / "train"), "en", "de")


def one_file(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return Corpus(str(path), "en", "de")


def read(corpus):
    return list(corpora.pairs(corpus))


def fails(corpus, *parts):
    """Reading fails with a message that has all `parts`, in this order."""
    pattern = ".*".join(re.escape(str(part)) for part in parts)
    with pytest.raises(InputError, match=f"(?s){pattern}"):
        read(corpus)


@pytest.mark.parametrize("packer", PACKERS)
def test_a_prefix_is_two_files_with_a_sentence_a_line(tmp_path, packer):
    source, target = zip(*PAIRS, strict=True)
    assert read(prefix(tmp_path, text(source), text(target), packer)) == PAIRS


@pytest.mark.parametrize("packer", PACKERS)
def test_a_tsv_file_has_a_pair_a_line(tmp_path, packer):
    content = PACKERS[packer](text("\t".join(pair) for pair in PAIRS))
    assert read(one_file(tmp_path, f"a.tsv{packer}", content)) == PAIRS


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("nested", [True, False])
def test_a_json_file_has_an_object_a_line(tmp_path, packer, nested):
    records = [{"id": 7, "en": source, "de": target} for source, target in PAIRS]
    lines = [{"translation": r} if nested else r for r in records]
    content = PACKERS[packer](text(map(json.dumps, lines)))
    assert read(one_file(tmp_path, f"a.jsonl{packer}", content)) == PAIRS


def test_the_languages_choose_the_sides(tmp_path):
    corpus = prefix(tmp_path, b"a\n", b"b\n")
    record = one_file(tmp_path, "a.jsonl", b'{"de": "b", "en": "a"}\n')
    for one in (corpus, record):
        assert read(one) == [("a", "b")]
        assert read(one._replace(source="de", target="en")) == [("b", "a")]


def test_the_two_files_of_a_prefix_may_be_packed_differently(tmp_path):
    (tmp_path / "train.en.xz").write_bytes(lzma.compress(b"a\n"))
    (tmp_path / "train.de").write_bytes(b"b\n")
    assert read(Corpus(str(tmp_path / "train"), "en", "de")) == [("a", "b")]


def test_a_prefix_may_have_dots(tmp_path):
    for side in ("en", "de"):
        (tmp_path / f"news.2012.{side}").write_bytes(b"x\n")
    assert read(Corpus(str(tmp_path / "news.2012"), "en", "de")) == [("x", "x")]


def test_further_columns_of_a_tsv_file_are_ignored(tmp_path):
    assert read(one_file(tmp_path, "a.tsv", b"a\tb\tCC-BY\t3\n")) == [("a", "b")]


@given(st.lists(st.text().filter(lambda s: not set(s) & {"\n", "\r"})))
@settings(deadline=None, max_examples=50)
def test_only_a_newline_ends_a_line(tmp_path_factory, sentences):
    path = tmp_path_factory.mktemp("lines") / "a.en"
    path.write_bytes(text(sentences))
    assert list(corpora.lines(path)) == sentences


@pytest.mark.parametrize("char", "\t\x0b\x0c\x1c\x85\u2028\u2029\r")
@pytest.mark.parametrize("packer", PACKERS)
def test_other_separators_stay_inside_a_line(tmp_path, char, packer):
    corpus = prefix(tmp_path, text([f"a{char}b", "c"]), text(["x", "y"]), packer)
    assert read(corpus) == [(f"a{char}b", "x"), ("c", "y")]


def test_carriage_returns_at_the_end_of_lines_are_no_text(tmp_path):
    corpus = prefix(tmp_path, b"a\r\nb\r\n", b"x\ny\n")
    assert read(corpus) == [("a", "x"), ("b", "y")]


def test_blanks_at_the_ends_of_a_line_are_kept(tmp_path):
    corpus = prefix(tmp_path, b" a \t\n\x0c\n", b"x\ny \r\n")
    assert read(corpus) == [(" a \t", "x"), ("\x0c", "y ")]


def test_the_last_line_needs_no_newline(tmp_path):
    assert read(prefix(tmp_path, b"a\nb", b"x\ny\n")) == [("a", "x"), ("b", "y")]


def test_empty_files_have_no_pairs(tmp_path):
    assert read(prefix(tmp_path, b"", b"")) == []


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("de", "en")])
def test_files_of_different_length_are_named_with_the_line(tmp_path, source, target):
    prefix(tmp_path, b"a\nb\nc\n", b"x\ny\n")
    corpus = Corpus(str(tmp_path / "train"), source, target)
    names = [tmp_path / f"train.{side}" for side in (source, target)]
    longer = f"{tmp_path / 'train.en'} goes on after line 2"
    fails(corpus, *names, "different lengths", longer)


def test_pairs_before_an_error_are_still_yielded(tmp_path):
    stream = corpora.pairs(prefix(tmp_path, b"a\nb\n", b"x\n"))
    assert next(stream) == ("a", "x")
    with pytest.raises(InputError):
        next(stream)


def test_a_missing_side_is_named_with_the_endings_tried(tmp_path):
    prefix(tmp_path, b"a\n", b"b\n")
    corpus = Corpus(str(tmp_path / "train"), "en", "fr")
    fails(corpus, tmp_path / "train.fr", "does not exist", *corpora.OPENERS)


@pytest.mark.parametrize("name", ["none.tsv", "none.jsonl", "none.tsv.gz"])
def test_a_missing_file_is_named(tmp_path, name):
    fails(Corpus(str(tmp_path / name), "en", "de"), tmp_path / name, "does not exist")


@pytest.mark.parametrize("packer", PACKERS)
def test_bytes_that_are_not_utf8_are_named_with_file_and_line(tmp_path, packer):
    corpus = prefix(tmp_path, b"a\nb\n", b"x\ngr\xfcn\n", packer)
    file = tmp_path / f"train.de{packer}"
    fails(corpus, f"{file}, line 2", "0xfc", "not UTF-8")


def test_a_tsv_line_without_a_tab_is_named(tmp_path):
    corpus = one_file(tmp_path, "a.tsv", b"a\tb\nno such thing\n")
    fails(corpus, f"{tmp_path / 'a.tsv'}, line 2", "no tab", "no such thing")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        '{"en": "a"}',
        '{"translation": {"en": "a"}}',
        '{"translation": null}',
        '{"translation": "a"}',
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    corpus = one_file(tmp_path, "a.jsonl", text(['{"en": "a", "de": "b"}', line]))
    fails(corpus, f"{tmp_path / 'a.jsonl'}, line 2:")


@pytest.mark.parametrize("record", ["{}", '{"translation": {}}'])
def test_a_missing_language_is_named_with_those_that_are_there(tmp_path, record):
    line = record.replace("{}", '{"en": "a", "fr": "b"}')
    corpus = one_file(tmp_path, "a.jsonl", f"{line}\n".encode())
    fails(corpus, tmp_path / "a.jsonl", "line 1", "no 'de'", "'en', 'fr'")


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("brackets", ["[]", ('{"en":', "}")])
def test_deep_json_is_named_like_any_other(tmp_path, depth, brackets):
    line = brackets[0] * depth + "1" + brackets[1] * depth
    fails(one_file(tmp_path, "a.jsonl", line.encode()), "a.jsonl, line 1:")


@pytest.mark.parametrize("packer", PACKERS)
def test_a_byte_order_mark_is_no_text(tmp_path, packer):
    def marked(name, content):
        packed = PACKERS[packer](codecs.BOM_UTF8 + content)
        return one_file(tmp_path, name + packer, packed)

    for side in ("en", "de"):
        marked(f"train.{side}", b"a\nb\n")
    expected = [("a", "a"), ("b", "b")]
    assert read(Corpus(str(tmp_path / "train"), "en", "de")) == expected
    assert read(marked("a.tsv", b"a\ta\nb\tb\n")) == expected
    records = text(json.dumps({"en": x, "de": x}) for x in "ab")
    assert read(marked("a.jsonl", records)) == expected


def test_only_the_first_byte_order_mark_of_a_file_goes(tmp_path):
    mark = codecs.BOM_UTF8
    corpus = one_file(tmp_path, "a.tsv", mark + b"a\tb\n" + mark + b"c\td\n")
    assert read(corpus) == [("a", "b"), ("\ufeffc", "d")]
    assert read(one_file(tmp_path, "b.tsv", mark + mark + b"a\tb\n")) == [
        ("\ufeffa", "b")
    ]


@pytest.mark.parametrize("packer", [".gz", ".xz", ".zst"])
def test_a_truncated_file_is_named_with_the_last_good_line(tmp_path, packer):
    packed = PACKERS[packer](LONG.encode())
    corpus = one_file(tmp_path, f"a.tsv{packer}", packed[: len(packed) // 2])
    stream, count = corpora.pairs(corpus), 0
    with pytest.raises(InputError) as caught:
        for _ in stream:
            count += 1
    assert 0 < count < 20_000
    expected = f"{tmp_path / f'a.tsv{packer}'} cannot be read after line {count}: "
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("packer", [p for p in PACKERS if p])
def test_a_packed_file_is_refused_wherever_it_is_cut(tmp_path, packer):
    packed = PACKERS[packer](text(["a\tb"] * 50))
    assert len(read(one_file(tmp_path, f"a.tsv{packer}", packed))) == 50
    for end in range(1, len(packed)):
        corpus = one_file(tmp_path, f"a.tsv{packer}", packed[:end])
        fails(corpus, f"a.tsv{packer} cannot be read after line")


@pytest.mark.parametrize("packer", [p for p in PACKERS if p])
@pytest.mark.parametrize("size", [10, 1 << 18])
def test_packed_files_may_stand_end_to_end(tmp_path, packer, size):
    lines = [f"{i:x}\t" + "x" * size for i in range(4)]
    packed = [PACKERS[packer](text(lines[:1])), PACKERS[packer](text(lines[1:]))]
    corpus = one_file(tmp_path, f"a.tsv{packer}", b"".join(packed))
    assert ["\t".join(pair) for pair in read(corpus)] == lines
    fails(one_file(tmp_path, f"b.tsv{packer}", b"".join(packed)[:-1]), "b.tsv")


@pytest.mark.parametrize("packer", [p for p in PACKERS if p])
def test_a_file_that_is_not_packed_as_its_name_says_is_named(tmp_path, packer):
    fails(one_file(tmp_path, f"a.tsv{packer}", b"a\tb\n"), f"a.tsv{packer}", "line 0")


@pytest.mark.parametrize("packer", PACKERS)
def test_the_fingerprint_has_every_file_and_changes_with_content(tmp_path, packer):
    corpus = prefix(tmp_path, b"a\n", b"x\n", packer)
    before = corpora.fingerprint(corpus)
    assert set(before) == {f"train.en{packer}", f"train.de{packer}"}
    assert corpora.fingerprint(corpus) == before
    after = corpora.fingerprint(prefix(tmp_path, b"a\n", b"y\n", packer))
    assert after[f"train.en{packer}"] == before[f"train.en{packer}"]
    assert after[f"train.de{packer}"] != before[f"train.de{packer}"]


def test_the_fingerprint_does_not_depend_on_the_folder(tmp_path):
    marks = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        marks.append(corpora.fingerprint(prefix(tmp_path / name, b"a\n", b"x\n")))
    assert marks[0] == marks[1]


@pytest.fixture
def small_phrasebook(monkeypatch):
    """A phrasebook that takes no seconds to make."""
    parts = phrasebook.Splits([("a", "अ")], [("b", "ब")], [("c", "स")])
    monkeypatch.setattr(corpora, "_splits", parts._asdict)
    return parts


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_the_phrasebook_has_parts_in_both_directions(small_phrasebook, part):
    [(english, hindi)] = getattr(small_phrasebook, part)
    name = f"phrasebook:{part}"
    assert read(Corpus(name, "en", "hi")) == [(english, hindi)]
    assert read(Corpus(name, "hi", "en")) == [(hindi, english)]
    assert corpora.files(Corpus(name, "en", "hi")) == []


def test_the_fingerprint_of_the_phrasebook_is_of_its_text(
    small_phrasebook, monkeypatch
):
    corpus = Corpus("phrasebook:train", "en", "hi")
    before = corpora.fingerprint(corpus)
    changed = small_phrasebook._replace(train=[("a", "आ")])
    monkeypatch.setattr(corpora, "_splits", changed._asdict)
    assert corpora.fingerprint(corpus).keys() == before.keys() == {"phrasebook:train"}
    assert corpora.fingerprint(corpus) != before


def test_other_languages_of_the_phrasebook_are_refused():
    fails(Corpus("phrasebook:train", "en", "de"), "'en' and 'de'", "data.train")


@pytest.mark.usefixtures("small_phrasebook")
def test_other_parts_of_the_phrasebook_are_refused():
    fails(Corpus("phrasebook:dev", "en", "hi"), "phrasebook:dev", "phrasebook:valid")


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("a/b", Corpus("a/b", "en", "hi")),
        ("a/b:de-en", Corpus("a/b", "de", "en")),
        ("a/b@2", Corpus("a/b", "en", "hi", weight=2.0)),
        ("bt=a/b:en-pt_BR@.5", Corpus("a/b", "en", "pt_BR", "bt", 0.5)),
        ("phrasebook:train", Corpus("phrasebook:train", "en", "hi")),
        ("phrasebook:train:hi-en", Corpus("phrasebook:train", "hi", "en")),
        ("hub:wmt14/de-en", Corpus("hub:wmt14/de-en", "en", "hi")),
        ("me@home/a", Corpus("me@home/a", "en", "hi")),
    ],
)
def test_a_corpus_may_say_more_than_its_name(spelled, expected):
    assert corpora.parse(spelled, "en", "hi") == expected


def test_what_the_system_cannot_look_at_is_named():
    for name in ("x" * 300, f"{'x' * 300}.tsv"):
        fails(Corpus(name, "en", "de"), name, "cannot be read: File name too long")


@pytest.mark.parametrize(
    ("spelled", "reason"),
    [
        ("a:de-de", "between 'de' and itself"),
        ("a@0", "weight 0"),
        (f"a@{'9' * 400}", "weight inf"),
        ("unk=a", "a token of every tokenizer"),
        ("", "names no"),
    ],
)
def test_a_corpus_that_cannot_be_is_refused(spelled, reason):
    with pytest.raises(InputError, match=reason):
        corpora.parse(spelled, "en", "hi")


def test_fingerprints_of_files_with_one_name_stay_apart():
    one, other = {"train.en": "a", "train.de": "b"}, {"train.en": "c", "train.de": "b"}
    assert corpora.together([one]) == one
    assert corpora.together([one, one]) == one
    assert corpora.together([one, other]) == one | {"train.en (2)": "c"}
    assert corpora.together([one, other]) != corpora.together([other, one])


@pytest.mark.parametrize(
    "name",
    [
        "hf:wmt/wmt14/de-en#validation",
        "sacrebleu:wmt14/full",
        "mtdata:Statmt-europarl-7-deu-eng",
        "http://localhost:8000/a-b.{}.gz#sha256=en:0a,de:0b",
    ],
)
def test_names_of_corpora_elsewhere_take_directions_and_weights_too(name):
    plain = Corpus(name, "en", "de")
    assert corpora.parse(name, "en", "de") == plain
    spelled = f"bt={name}:de-en@0.5"
    assert corpora.parse(spelled, "en", "fr") == Corpus(name, "de", "en", "bt", 0.5)
