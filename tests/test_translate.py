"""The script's own part: what a half-done file belongs to."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import translate
from transformer import folder, streams, tokenizer, weights
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.errors import InputError
from transformer.folder import Description
from transformer.model import Transformer
from transformer.options import Demands, Search
from transformer.tokenizer import Tokenizers

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
        *({"search": search} for search in OTHER_SEARCHES),
        *({"demands": demands} for demands in OTHER_DEMANDS),
    ],
    ids=str,
)
def test_what_changes_the_translation_changes_the_mark(model, change):
    one, other = (translate.Command(model=model, **c) for c in ({}, change))
    assert translate.settings(one) != translate.settings(other)


def test_other_weights_change_the_mark(model):
    command = translate.Command(model=model)
    before = translate.settings(command)
    (model / "weights" / "3" / "seal.json").write_text('{"file": "0"}')
    assert translate.settings(command) != before


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
    folder.create(path, Description(cfg, (size, size), {}), Tokenizers(joint, joint))
    tokens = jnp.ones((1, 1), jnp.int32)
    init = partial(Transformer(cfg.model).init, train=False)
    params = jax.jit(init)(jax.random.key(0), tokens, tokens)
    checkpoints = weights.of(path)
    checkpoints.save(1, {weights.NAME: params}, {})
    checkpoints.wait()
    return path


def test_two_processes_at_once_make_the_file_that_one_makes(untrained, tmp_path):
    """What is drawn depends on the numbers of the lines, which are to be the same."""
    source, alone, shared = (tmp_path / name for name in ("source", "alone", "shared"))
    filler = "\n" * (streams.PART - 2)
    source.write_text(f"a dog\nthe cat\n{filler}a dog\na dog\n{filler}a dog")

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
    assert start(alone).communicate()[0] == ""
    assert [output for output, _ in said] == ["", ""]
    assert "shared is written." in said[0][1] + said[1][1]
    assert shared.read_bytes() == alone.read_bytes()
    drawn = alone.read_text().split("\n")
    assert len(drawn) == 2 * streams.PART + 2
    assert len({drawn[line] for line in (0, streams.PART, streams.PART + 1, -2)}) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"source", "alone", "shared"}
