"""The real corpora beside the repository, where there are any."""

from pathlib import Path

import numpy as np
import pytest

from transformer import batches, corpora, store, tokenizer
from transformer.batches import Plan
from transformer.corpora import Corpus
from transformer.text import normalize

DATA = Path(__file__).parents[2] / "shared" / "data"
MULTI30K = Corpus(str(DATA / "multi30k" / "train"), "en", "de")
VALID = MULTI30K._replace(name=str(DATA / "multi30k" / "valid"))
NEWS = Corpus(str(DATA / "wmt-newstest" / "newstest2013.en-de"), "en", "de")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no corpora in {DATA}")


def test_compressed_files_are_found_for_a_prefix():
    names = [path.name for path in corpora.files(MULTI30K)]
    assert names == ["train.en.xz", "train.de.xz"]


def test_plain_files_are_read_in_either_direction():
    found = list(corpora.pairs(VALID))
    assert len(found) == 1014
    back = corpora.pairs(VALID._replace(source="de", target="en"))
    assert [(en, de) for de, en in back] == found


def test_padding_is_under_ten_percent_on_news():
    pairs = [(normalize(en), normalize(de)) for en, de in corpora.pairs(NEWS)]
    sentences = (side for pair in pairs[:1000] for side in pair)
    learnt = tokenizer.train(sentences, vocab_size=2000, kind="bpe")
    tokens = store.collect((learnt.encode(en), learnt.encode(de)) for en, de in pairs)
    lengths = batches.lengths(tokens)
    fitting = lengths.max(axis=1) <= 128
    shapes = batches.shapes(lengths[fitting], 4096)
    plan = Plan(lengths, fitting, shapes, 1, 0)
    assert plan.padding < 0.1
    assert len(shapes) <= 3
    assert np.mean(fitting) > 0.9
