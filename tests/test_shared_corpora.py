"""The real corpora beside the repository, where there are any."""

import dataclasses
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from transformer import batches, corpora, dataset, experiments, store, tokenizer
from transformer.batches import Plan
from transformer.corpora import Corpus
from transformer.text import normalize

DATA = Path(__file__).parents[2] / "shared" / "data"
MULTI30K = Corpus(str(DATA / "multi30k" / "train"), "en", "de")
SAMPLE = DATA / "opennmt-sample-10k"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no corpora in {DATA}")


@pytest.fixture(scope="module")
def captions():
    return list(corpora.pairs(MULTI30K))


def test_compressed_files_are_found_for_a_prefix():
    assert [path.name for path in corpora.files(MULTI30K)] == [
        "train.en.xz", "train.de.xz",
    ]  # fmt: skip


def test_multi30k_has_all_its_pairs_though_one_has_a_tab(captions):
    assert len(captions) == 29_000
    tabs = [number for number, (_, de) in enumerate(captions, start=1) if "\t" in de]
    assert tabs == [7366]


def test_plain_and_compressed_files_of_one_folder_are_all_read():
    prefix = str(DATA / "multi30k" / "valid")
    assert sum(1 for _ in corpora.pairs(Corpus(prefix, "de", "fr"))) == 1014


@pytest.mark.parametrize("budget", [2048, 4096])
def test_padding_is_under_ten_percent_on_captions(captions, budget):
    sample = [(normalize(en), normalize(de)) for en, de in islice(captions, 0, None, 4)]
    sentences = (side for pair in sample[:2000] for side in pair)
    learnt = tokenizer.train(sentences, vocab_size=2000, kind="bpe")
    tokens = store.collect((learnt.encode(en), learnt.encode(de)) for en, de in sample)
    lengths = batches.lengths(tokens)
    shapes = batches.shapes(lengths, budget)
    plan = Plan(lengths, np.ones(len(lengths), bool), shapes, 1, 0)
    assert plan.padding() < 0.1
    assert len(shapes) <= 3


def test_all_of_a_dirty_corpus_is_kept_or_dropped_and_told(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cfg = experiments.multi30k()
    data = dataclasses.replace(
        cfg.data,
        train=(str(SAMPLE / "train"),),
        valid=(str(SAMPLE / "valid"),),
        tokenizer_sentences=1000,
    )
    model = dataclasses.replace(cfg.model, vocab_size=1000)
    prepared = dataset.prepare(dataclasses.replace(cfg, data=data, model=model))
    counts = prepared.report.cleaning
    assert counts.read == 10_000
    assert counts.kept == prepared.fitting.sum()
    assert counts.kept + counts.dropped.total() == counts.read
    assert prepared.store.size == counts.kept + counts.dropped["over 128 tokens"]
    assert counts.dropped["empty"] == 1
    source, target = counts.examples["empty"]
    assert source == ""
    assert target
    raw = corpora.pairs(Corpus(str(SAMPLE / "train"), "en", "de"))
    lost = ["\ufffd" in "".join(pair) for pair in raw]
    assert 0 < sum(lost) <= counts.dropped["encoding"]
    pieces = prepared.tokenizers.target
    for side in prepared.store:
        assert "\ufffd" not in pieces.decode(side.ids.tolist())
    assert counts.noted["markup"] > 1000
    assert any("&apos;" in text for text in counts.examples["markup"])
