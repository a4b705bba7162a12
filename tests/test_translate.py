"""The script's own part: flags, what a half-done file belongs to, what is printed."""

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import transformer
import translate
from transformer import (
    backend,
    budget,
    folder,
    judgement,
    phrases,
    streams,
    tokenizer,
    weights,
    workers,
)
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.errors import InputError
from transformer.folder import Description
from transformer.insights import Views
from transformer.model import Transformer
from transformer.options import Demands, Search
from transformer.orders import Order
from transformer.search import IMPOSSIBLE
from transformer.tokenizer import Tokenizers
from transformer.translator import Translation

ROOT = Path(__file__).parents[1]

OTHER_SEARCHES = [
    Search(beam=2),
    Search(n_best=2),
    Search(length_penalty=1.0),
    Search(diverse=0.5),
    Search(alternatives=2),
    Search(sample=True),
    Search(mbr=8),
    Search(sample=True, top_k=2),
    Search(seed=1),
]
OTHER_DEMANDS = [
    Demands(prefix="a"),
    Demands(require=("a",)),
    Demands(ban=("a",)),
    Demands(protect="numbers"),
    Demands(no_repeat=2),
    Demands(min_length=2),
    Demands(max_ratio=1.5),
]


@pytest.fixture
def model(tmp_path):
    seal = tmp_path / "weights" / "3" / "seal.json"
    seal.parent.mkdir(parents=True)
    seal.write_text("{}")
    return tmp_path


def test_two_processes_name_a_half_done_file_alike(model):
    code = (
        "import sys, pathlib, translate\n"
        "command = translate.Command(model=pathlib.Path(sys.argv[1]))\n"
        "print(translate.settings(command))"
    )

    def marked():
        call = [sys.executable, "-c", code, str(model)]
        return subprocess.check_output(call, cwd=ROOT, text=True)

    assert marked() == marked() != ""


@pytest.mark.parametrize(
    "change",
    [
        {"json": True},
        {"alignments": True},
        {"precision": "bfloat16"},
        {"fast": True},
        {"to": "hi"},
        *({"search": search} for search in OTHER_SEARCHES),
        *({"demands": demands} for demands in OTHER_DEMANDS),
    ],
    ids=str,
)
def test_what_changes_the_translation_changes_the_mark(model, change):
    one, other = (translate.Command(model=model, **c) for c in ({}, change))
    assert translate.settings(one) != translate.settings(other)


@pytest.mark.parametrize("flag", ["terms", "vocabulary"])
def test_other_contents_of_a_file_change_the_mark(model, flag):
    path = model / "file"

    def marked(content):
        path.write_text(content)
        demands = Demands(**{flag: path})
        return translate.settings(translate.Command(model=model, demands=demands))

    assert marked("dog\tHund") == marked("dog\tHund")
    assert marked("dog\tHund") != marked("dog\tKatze")


def test_more_models_change_the_mark(model):
    one = translate.Command(model=model)
    assert translate.settings(one) != translate.settings(replace(one, others=(model,)))


def test_other_weights_change_the_mark(model):
    command = translate.Command(model=model)
    before = translate.settings(command)
    (model / "weights" / "3" / "seal.json").write_text('{"file": "0"}')
    assert translate.settings(command) != before


JUDGED: dict[str, Any] = {"input": ROOT, "reference": ROOT}


def share(written):
    return translate.Command(model=ROOT, input=ROOT, output=ROOT, shard=written)


@pytest.mark.parametrize(
    "written", ["2/0", "0/0", "8/8", "x", "", "-1/2", "1", "0/1/2", "٠/٢"]
)
def test_a_share_that_cannot_be_is_refused(written):
    with pytest.raises(InputError, match="counting begins at 0"):
        translate.check(share(written))


def test_a_share_needs_a_file():
    with pytest.raises(InputError, match="--shard needs --input and --output"):
        translate.check(translate.Command(model=ROOT, shard="1/2", texts=("a",)))
    translate.check(share("1/2"))


DEMANDED: dict[str, Any] = {"demands": Demands(require=("a",))}


def test_a_text_may_stand_behind_a_flag_that_may_be_repeated(monkeypatch):
    line = "translate.py M --require ein --require zwei --ban drei --others N eins"
    monkeypatch.setattr(sys, "argv", line.split())
    command = translate.read()
    assert command.texts == ("eins",)
    assert command.demands == Demands(require=("ein", "zwei"), ban=("drei",))
    assert command.others == (Path("N"),)


def test_the_texts_of_all_flags_are_read_as_utf_8_and_no_path_is():
    raw, read = os.fsdecode(b"a\xff"), "a\N{REPLACEMENT CHARACTER}"
    command = translate.Command(
        model=Path(raw),
        texts=(raw,),
        views=Views(compare=(raw, "b"), neighbours=raw),
        demands=Demands(prefix=raw, require=(raw,), ban=("b", raw)),
    )
    assert translate.in_utf_8(command) == translate.Command(
        model=Path(raw),
        texts=(read,),
        views=Views(compare=(read, "b"), neighbours=read),
        demands=Demands(prefix=read, require=(read,), ban=("b", read)),
    )


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"input": ROOT}, "--input needs --output or --reference"),
        ({"output": ROOT}, "need --input"),
        ({"reference": ROOT}, "need --input"),
        ({"input": ROOT, "output": ROOT, "against": ROOT}, "needs --reference"),
        (JUDGED | {"json": True}, "one plain translation"),
        (JUDGED | {"alignments": True}, "one plain translation"),
        (JUDGED | {"search": Search(n_best=2)}, "one plain translation"),
        (JUDGED | {"search": Search(alternatives=2)}, "one plain translation"),
        (JUDGED | {"shard": "0/2"}, "a whole file"),
        ({"input": ROOT, "output": ROOT, "texts": ("a",)}, "not both"),
        (JUDGED | {"tokens": True}, "--tokens .* --reference"),
        (JUDGED | {"score": ROOT}, "--score .* --reference"),
        (JUDGED | {"verify": ROOT}, "--verify .* --reference"),
        (JUDGED | {"views": Views(explain=True)}, "--explain .* --reference"),
        (JUDGED | {"views": Views(html=ROOT)}, "--html .* --reference"),
        ({"against": ROOT, "tokens": True}, "--tokens .* --against"),
        ({"output": ROOT, "verify": ROOT}, "--verify .* --output"),
        ({"input": ROOT, "views": Views(neighbours="a")}, "--neighbours .* --input"),
        ({"others": (ROOT,), "score": ROOT}, "take one model"),
        ({"others": (ROOT,), "verify": ROOT}, "take one model"),
        ({"verify": ROOT, "search": Search(sample=True)}, "plain beam search"),
        ({"verify": ROOT, "search": Search(n_best=2)}, "plain beam search"),
        ({"verify": ROOT, "demands": Demands(ban=("a",))}, "plain beam search"),
        ({"processes": 2}, "--processes needs --input"),
        (JUDGED | {"processes": 0}, "--processes 0 must be at least 1"),
        ({"alignments": True, "search": Search(n_best=2)}, "Add --json"),
        ({"search": Search(diverse=0.5, sample=True)}, "Choose one"),
        ({"tokens": True, "score": ROOT}, "--tokens and --score are different"),
        ({"verify": ROOT, "views": Views(explain=True)}, "Ask for one"),
        ({"verify": ROOT, "texts": ("a",)}, "--verify reads a file"),
        ({"score": ROOT, "demands": Demands(prefix="a")}, "do not search"),
        ({"tokens": True, "search": Search(beam=2)}, "do not search"),
        ({"search": Search(sample=True, beam=2)}, "--beam is for a beam"),
        ({"search": Search(mbr=8, coverage_penalty=1.0)}, "--coverage-penalty is for"),
        (DEMANDED | {"search": Search(sample=True)}, "found by plain beam search"),
        (DEMANDED | {"search": Search(alternatives=2)}, "found by plain beam search"),
        (DEMANDED | {"search": Search(diverse=0.5)}, "found by plain beam search"),
        ({"others": (ROOT,), "search": Search(coverage_penalty=1.0)}, "one model"),
    ],
    ids=str,
)
def test_flags_that_contradict_each_other_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        translate.check(translate.Command(model=ROOT, **flags))


def test_flags_that_agree_are_not_refused(tmp_path):
    agreeing: list[dict[str, Any]] = [
        {"verify": ROOT, "search": Search(beam=2, length_penalty=1.0)},
        {"alignments": True, "search": Search(mbr=8)},
        {"alignments": True, "json": True, "search": Search(n_best=2)},
        {"others": (ROOT,)},
        DEMANDED | {"search": Search(mbr=8)},
        {"texts": ("a",), "tokens": True},
        {"texts": ("a",), "views": Views(explain=True, html=ROOT)},
        JUDGED,
        JUDGED | {"output": ROOT, "against": ROOT},
    ]
    bans = tmp_path / "bans.tsv"
    bans.write_text("dog\tKöter\tno\n")
    agreeing += [{"demands": Demands(terms=bans), "search": Search(sample=True)}]
    for flags in agreeing:
        translate.check(translate.Command(model=ROOT, **flags))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A whole model folder; its translations are nonsense, but differ."""
    path = tmp_path_factory.mktemp("model")
    joint = tokenizer.train(["a dog runs", "the cat"] * 5, vocab_size=300, kind="bpe")
    size = joint.size
    cfg = Config(
        model=ModelConfig(
            vocab_size=size,
            dim=8,
            hidden_dim=8,
            num_heads=2,
            encoder_layers=1,
            decoder_layers=1,
        ),
        data=DataConfig(),
        optimizer=OptimizerConfig(peak=1e-3, warmup=1),
        training=TrainingConfig(steps=1),
    )
    folder.create(
        path,
        Description(cfg, (size, size), {}, (("en", "hi"),)),
        Tokenizers(joint, joint),
    )
    tokens = jnp.ones((1, 1), jnp.int32)
    init = partial(Transformer(cfg.model).init, train=False)
    params = jax.jit(init)(jax.random.key(0), tokens, tokens)
    checkpoints = weights.of(path)
    checkpoints.save(1, {weights.NAME: params}, {})
    checkpoints.wait()
    return path


def test_two_processes_at_once_make_the_file_that_one_makes(untrained, tmp_path):
    """What is drawn depends on the numbers of the lines, which are to be the same."""
    names = "source", "alone", "shared", "started"
    source, alone, shared, started = (tmp_path / name for name in names)
    filler = "\n" * (streams.PART - 2)
    text = f"a dog\r\nthe cat\n{filler}a dog\na dog\r\n{filler}a dog"
    source.write_bytes(text.encode())

    def start(target, *more):
        return subprocess.Popen(
            [sys.executable, ROOT / "translate.py", untrained, "--sample"]
            + ["--input", source, "--output", target, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    both = [start(shared, "--shard", "0/2"), start(shared, "--shard", "1/2")]
    said = [process.communicate() for process in both]
    assert start(alone, "--processes", "1").communicate()[0] == ""
    assert start(started, "--processes", "2").communicate()[0] == ""
    assert [output for output, _ in said] == ["", ""]
    assert "shared is written." in said[0][1] + said[1][1]
    assert shared.read_bytes() == started.read_bytes() == alone.read_bytes()
    lines = alone.read_bytes().decode().split("\n")
    assert len(lines) == 2 * streams.PART + 1
    returns = [number for number, line in enumerate(lines) if line.endswith("\r")]
    assert returns == [0, streams.PART + 1]
    drawn = [line.removesuffix("\r") for line in lines]
    assert len({drawn[line] for line in (0, streams.PART, streams.PART + 1, -1)}) == 4
    assert {path.name for path in tmp_path.iterdir()} == set(names)


@pytest.fixture(scope="module")
def translator(untrained):
    return transformer.load(untrained)


def test_an_order_is_sent_without_what_it_loaded_and_is_the_same(untrained):
    order = Order(models=(untrained,), search=Search(sample=True))
    found = order(["a dog"], first_line=3)
    assert len(pickle.dumps(order)) < 10_000
    sent = pickle.loads(pickle.dumps(order))
    assert sent == order
    assert sent(["a dog"], first_line=3) == found


def test_there_is_a_process_for_each_core_if_memory_allows(untrained, monkeypatch):
    order = Order(models=(untrained,))
    monkeypatch.setattr(workers, "cores", lambda: 6)
    for room, count in (9, 6), (4, 4), (0, 1):
        monkeypatch.setattr(budget, "copies", lambda params, room=room: room)
        assert order.processes(None) == count
        assert order.processes(7) == 7
    monkeypatch.setattr(backend, "on_cpu", lambda: False)
    assert order.processes(None) == order.processes(1) == 1
    with pytest.raises(InputError, match="--processes 2 are for a CPU"):
        order.processes(2)


@pytest.fixture
def call(untrained, monkeypatch, capsys):
    """What the script prints for its arguments."""

    def called(*words):
        arguments = ["translate.py", untrained, *words]
        monkeypatch.setattr(sys, "argv", [str(word) for word in arguments])
        translate.main(Console(quiet=True))
        return capsys.readouterr().out.splitlines()

    return called


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--max-ratio", "3"], "--max-ratio 3.0"),
        (["--diverse", "0.5", "--sample"], "Choose one"),
        (["--terms", "absent.tsv"], "absent.tsv"),
        (["--require", ""], "--require"),
        (["--alternatives", "9999"], "--alternatives 9999 are more than the"),
        (["--no-repeat", "0"], "Repeats of 0"),
    ],
    ids=str,
)
def test_the_script_refuses_what_cannot_be(call, flags, message):
    with pytest.raises(InputError, match=message):
        call("a dog", *flags)


def strictly(line):
    """JSON without what is none: NaN and Infinity."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(line, parse_constant=refuse)


def test_json_has_all_of_each_translation(call, tmp_path):
    (tmp_path / "terms").write_text("dog\tcat\nbird\tcat\n")
    demands = ["--terms", tmp_path / "terms", "--min-length", 3]
    texts = ["a dog {0}", "www.a.org", ""]
    found = [strictly(line) for line in call(*texts, "--json", "--n-best=2", *demands)]
    assert [set(one) for one in found] == [FIELDS] * 3
    assert phrases.contains(found[0]["text"], "cat")
    assert "{0}" in found[0]["text"]
    assert [one["text"] for one in found[1:]] == ["www.a.org", ""]
    assert [len(one["alternatives"]) for one in found] == [1, 0, 0]
    assert [set(one) for one in found[0]["alternatives"]] == [FIELDS]
    assert all(len(link) == 2 for link in found[0]["alignment"])


def test_numbers_are_protected_on_request(call):
    flags = ["--json", "--beam=1"]
    (free,), (kept,) = (
        call("the dog 12 km", *flags, *more) for more in ([], ["--protect", "numbers"])
    )
    assert "12 km" not in strictly(free)["text"]
    assert "12 km" in strictly(kept)["text"]
    assert "placeholder" in strictly(kept)["warnings"]
    assert "placeholder" not in strictly(free)["warnings"]


FIELDS = set(Translation._fields) | {"confidence"}


def test_an_impossible_score_is_valid_json():
    one = Translation("", float(IMPOSSIBLE), (), (), warnings=("impossible",))
    assert strictly(streams.as_json(one, "\n"))["score"] < -1e38


def test_alignments_follow_the_text(call):
    (line,) = call("a dog", "--alignments", "--beam=1")
    _, links = line.split(" ||| ")
    assert all(re.fullmatch("[01]-[0-9]+", link) for link in links.split())


def test_more_models_translate_together(call, untrained):
    both = call("a dog", "--others", untrained, "--beam=1", "--json")
    alone = call("a dog", "--beam=1", "--json")
    assert strictly(both[0])["text"] == strictly(alone[0])["text"]


def scored(translator, path, capsys, **flags):
    command = translate.Command(model=ROOT, score=path, **flags)
    translate.show_scores(translator, command, path)
    return capsys.readouterr().out.splitlines()


def test_each_pair_has_a_line_with_its_score(translator, tmp_path, capsys):
    path = tmp_path / "pairs"
    path.write_text("a dog\tthe cat\n\t\na\t" + "dog " * 999 + "\n")
    totals = [float(line) for line in scored(translator, path, capsys)]
    assert [total < 0 for total in totals] == [True, True, False]
    assert np.isnan(totals[2])
    one, empty, none = map(strictly, scored(translator, path, capsys, json=True))
    assert one["score"] == pytest.approx(totals[0], abs=1e-5)
    assert one["score"] == pytest.approx(sum(one["log_probs"]))
    assert len(empty["log_probs"]) == 1
    assert none is None


@pytest.fixture
def files(tmp_path):
    """A source, what people and another system made of it, and a place for ours."""
    texts = {"source": "a dog\n\nthe cat\n", "people": "a dog\n\nthe dog runs\n"}
    for name, text in (texts | {"other": "a cat\na\nthe dog runs\n"}).items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in ("source", "people", "other", "ours")]


def test_a_file_is_translated_as_ever_and_scored(call, files):
    source, people, other, ours = files
    assert call("--input", source, "--output", ours) == []
    alone = ours.read_bytes()
    ours.unlink()
    judged = call("--input", source, "--output", ours, "--reference", people)
    assert ours.read_bytes() == alone
    assert [line.split()[0] for line in judged] == ["BLEU", "chrF2", "TER"]
    assert judged == call("--input", source, "--reference", people)
    judge = judgement.read(source, people, other)
    flags = ["--reference", people, "--against", other]
    assert call("--input", source, *flags) == judge.report(alone.decode().splitlines())


def test_a_compressed_translation_is_scored_as_well(call, files):
    source, people, _, ours = files
    packed = ours.with_name("ours.gz")
    judged = call("--input", source, "--output", packed, "--reference", people)
    assert packed.read_bytes().startswith(b"\x1f\x8b")
    assert judged == call("--input", source, "--reference", people)


def test_a_reference_that_does_not_fit_is_refused_before_anything_is_done(call, files):
    source, people, _, ours = files
    people.write_text("a dog\n")
    with pytest.raises(InputError, match="people has 1 lines"):
        call("--input", source, "--output", ours, "--reference", people)
    assert not ours.exists()


@pytest.mark.parametrize("line", ["a dog", "", "a\tb\tc"])
def test_a_line_that_is_no_pair_is_named(tmp_path, line):
    (tmp_path / "pairs").write_text(f"a\tb\n{line}\nc\td\n")
    with pytest.raises(InputError, match="pairs:2 is not a source, a tab and a target"):
        list(translate.pairs(tmp_path / "pairs"))


def test_verification_says_whether_all_agree(translator, tmp_path, capsys):
    (tmp_path / "lines").write_text("a dog\n\nthe cat\n")
    search = Search(beam=2)
    assert translate.verified(translator, search, tmp_path / "lines")
    assert "2" in capsys.readouterr().out
