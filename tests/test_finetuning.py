"""What a model takes from another one, its vocabulary grown or not."""

import shutil
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer import (
    finetuning,
    folder,
    optimizers,
    parallel,
    tokenizer,
    vocabulary,
    weights,
)
from transformer.checkpoints import Checkpoints
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
from transformer.strategies import Greedy
from transformer.tokenizer import Tokenizers
from transformer.translator import Translator

TEXTS = ["the dog runs", "the cat sees the dog", "a bird sings", "dog cat bird"]
ALONE = parallel.alone()


def settings(vocabulary, own=None, **optimizer):
    return Config(
        model=ModelConfig(
            vocab_size=vocabulary,
            source_vocab_size=own,
            dim=8,
            hidden_dim=8,
            num_heads=2,
            encoder_layers=1,
            decoder_layers=1,
        ),
        data=DataConfig(max_length=24),
        optimizer=OptimizerConfig(peak=1e-3, warmup=1, **optimizer),
        training=TrainingConfig(steps=1),
    )


@pytest.fixture(scope="module", params=["joint", "separate"])
def parent(request, tmp_path_factory):
    """A whole model folder of random weights."""
    path = tmp_path_factory.mktemp("parent")
    learn = partial(tokenizer.train, TEXTS * 3, kind="bpe")
    joint = learn(vocab_size=300)
    separate = Tokenizers(learn(vocab_size=290), joint)
    both = Tokenizers(joint, joint) if request.param == "joint" else separate
    sizes = both.source.size, both.target.size
    cfg = settings(sizes[1], None if both.joint else sizes[0])
    folder.create(path, Description(cfg, sizes, {}, (("en", "hi"),)), both)
    model = Transformer(cfg.model)
    tokens = jnp.ones((1, 1), jnp.int32)
    params = jax.jit(partial(model.init, train=False))(
        jax.random.key(0), tokens, tokens
    )
    checkpoints = weights.of(path)
    checkpoints.save(1, {weights.NAME: jax.tree.map(lambda x: 3 * x, params)}, {})
    checkpoints.wait()
    return path


def translated(cfg, params, tokenizers):
    sizes = tokenizers.source.size, tokenizers.target.size
    model = Transformer(folder.sized(cfg.model, sizes))
    translator = Translator(model, params, tokenizers, 24)
    return [found.text for found in translator.translate(TEXTS, strategy=Greedy())]


def test_a_model_whose_vocabulary_grew_translates_as_before(parent):
    """Greedily: no row that is a mean of others scores above all of these."""
    cfg = folder.describe(parent).config
    old = tokenizer.load_both(parent)
    grow = partial(vocabulary.extended, sentences=["यह नया है xyz"] * 3, count=9)
    new = grow(old.target, ["<2de>", "<bt>"])
    source = new if old.joint else grow(old.source, ["<2de>"])
    both = Tokenizers(source, new)
    begun = finetuning.start(cfg, parent, both, ALONE)
    assert begun.opt_state is None
    table = begun.params["params"]["embedding"]["table"]
    assert len(table) == new.size > old.target.size
    before = weights.load(parent, Transformer(folder.describe(parent).model))
    texts = translated(cfg, before, old)
    assert len(set(texts)) > 1
    assert translated(cfg, begun.params, both) == texts


def test_new_rows_are_the_mean_of_those_they_stand_for():
    table = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    tree = {"params": {"embedding": {"table": table}, "other": {"table": table}}}
    there = {"/embedding/table": [[4, 5], [1]]}
    grown = finetuning.grown(tree, there, ALONE)["params"]
    np.testing.assert_array_equal(grown["other"]["table"], table)
    np.testing.assert_array_equal(grown["embedding"]["table"][:6], table)
    means = [table[[4, 5]].mean(axis=0), table[1]]
    np.testing.assert_allclose(grown["embedding"]["table"][6:], means, rtol=1e-6)


def test_without_a_checkpoint_there_is_no_state_to_inherit(parent):
    cfg = folder.describe(parent).config
    cfg = settings(cfg.model.vocab_size, cfg.model.source_vocab_size, state="inherited")
    with pytest.raises(InputError, match="no intact checkpoint.*--optimizer.state"):
        finetuning.start(cfg, parent, tokenizer.load_both(parent), ALONE)


@pytest.mark.parametrize(
    "other, said",
    [
        ({"ema": 0.9}, "ema=0.9, but .* with 0.0.*both.*or neither"),
        ({"kind": "muon"}, "kind=muon, but .* with adam.*same kind"),
    ],
)
def test_a_state_is_inherited_only_from_one_of_its_kind(parent, other, said):
    cfg = folder.describe(parent).config
    sizes = cfg.model.vocab_size, cfg.model.source_vocab_size
    states = Checkpoints(parent / "checkpoints", pytest.fail)
    states.save(1, {"nothing": jnp.zeros(1)}, {})
    states.wait()
    cfg = settings(*sizes, state="inherited", **other)
    with pytest.raises(InputError, match=said):
        finetuning.start(cfg, parent, tokenizer.load_both(parent), ALONE)
    shutil.rmtree(parent / "checkpoints")


def test_no_state_is_inherited_of_what_was_frozen(parent, tmp_path):
    path, both = tmp_path / "frozen", tokenizer.load_both(parent)
    shutil.copytree(parent, path)
    cfg = folder.describe(path).config
    sizes = cfg.model.vocab_size, cfg.model.source_vocab_size
    frozen = settings(*sizes, freeze=("encoder",))
    folder.create(path, folder.describe(path)._replace(config=frozen), both)
    states = Checkpoints(path / "checkpoints", pytest.fail)
    states.save(1, {"nothing": jnp.zeros(1)}, {})
    states.wait()
    with pytest.raises(InputError, match="encoder.* no state to inherit"):
        finetuning.start(settings(*sizes, state="inherited"), path, both, ALONE)


def test_an_inherited_average_begins_where_the_parameters_do():
    params = {"table": jnp.arange(3.0)}
    make = partial(OptimizerConfig, peak=1e-3, warmup=1)
    state = optimizers.make(make(ema=0.9), 1).init(params)
    average = optimizers.average(optimizers.averaging_from(state, params))
    assert average is not None and average["table"] is not params["table"]
    np.testing.assert_array_equal(average["table"], params["table"])
    plain = optimizers.make(make(), 1).init(params)
    assert optimizers.averaging_from(plain, params) is plain


def corpora(folder, *directions):
    for direction in directions:
        for side in direction.split("-"):
            (folder / f"a.{side}").write_text("the dog\nzebra\n")
    return DataConfig(train=tuple(f"{folder}/a:{one}" for one in directions))


def test_tags_come_when_there_are_several_targets(parent, tmp_path):
    old = tokenizer.load_both(parent)
    same = finetuning.tokenizers(corpora(tmp_path, "en-de"), parent)
    assert [side.model for side in same] == [side.model for side in old]
    both = finetuning.tokenizers(corpora(tmp_path, "en-de", "en-fr"), parent)
    assert both.source.tags == ("<2de>", "<2fr>")
    assert both.joint == old.joint


def test_what_the_parent_learnt_is_kept_if_tags_can_ask_for_it(parent, tmp_path):
    cfg = corpora(tmp_path, "en-de")
    assert finetuning.directions(cfg, None) == (("en", "de"),)
    assert finetuning.directions(cfg, parent) == (("en", "de"),)
    tagged = tokenizer.train(TEXTS, vocab_size=300, kind="bpe", tags=["<2hi>", "<2fr>"])
    sizes = tagged.size, tagged.size
    told = Description(settings(tagged.size), sizes, {}, (("en", "hi"), ("en", "fr")))
    folder.create(tmp_path / "told", told, Tokenizers(tagged, tagged))
    learnt = finetuning.directions(cfg, tmp_path / "told")
    assert learnt == (("en", "de"), ("en", "hi"), ("en", "fr"))


def test_subwords_are_sampled_as_the_parent_was_tokenised(parent, tmp_path):
    cfg = corpora(tmp_path, "en-de")
    kind = tokenizer.load_both(parent).target.kind
    fitting = replace(cfg, segmentations=2, subword_dropout=0.1)
    assert finetuning.tokenizers(fitting, parent).target.kind == kind == "bpe"
    other = replace(cfg, segmentations=2, subword_alpha=0.2, tokenizer="unigram")
    with pytest.raises(InputError, match="is bpe.*tokenizer=bpe and.*subword_dropout"):
        finetuning.tokenizers(other, parent)
