"""From files to what training reads: everything read is kept, or dropped and told."""

import io
import os
import random
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from transformer import (
    cleaning,
    corpora,
    dataset,
    pieces,
    store,
    tokenizer,
    workers,
)
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.text import normalize
from transformer.tokenizer import Tokenizers

WORDS = {"the": "der", "red": "rote", "dog": "hund", "cat": "kater", "runs": "rennt"}
CHANCE = random.Random(0)
DRAWN = [CHANCE.choices(list(WORDS), k=4 + i % 3) for i in range(40)]
GOOD = [(" ".join(words), " ".join(WORDS[word] for word in words)) for words in DRAWN]
GOOD = list(dict.fromkeys(GOOD))
VALID = [("the dog sleeps", "der hund schläft"), ("a cat", "ein kater")]
BAD = [
    ("", "leer"), ("empty", ""), ("\u2581\x85", "blank"),
    ("same", "same"), ("same again", " same  again"),
    ("a", "b" * 99),
    GOOD[0], (GOOD[1][0] + " ", GOOD[1][1]),
]  # fmt: skip
DROPPED = {"empty": 3, "identical": 2, "ratio": 1, "duplicate": 2}


@pytest.fixture(autouse=True)
def own_stores(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(folder, name, pairs):
    for side, lines in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{name}.{side}").write_bytes(text.encode())
    return str(folder / name)


def settings(
    folder, train, valid=VALID, *, vocab_size=300, source_vocab_size=None, **data
):
    """The configuration of a corpus of these pairs."""
    return Config(
        model=ModelConfig(
            vocab_size=vocab_size,
            source_vocab_size=source_vocab_size,
            dim=16,
            num_heads=2,
        ),
        data=DataConfig(
            train=(write(folder, "train", train),),
            valid=(write(folder, "valid", valid),),
            target="de",
            **data,
        ),
        optimizer=OptimizerConfig(peak=1e-3, warmup=10),
        training=TrainingConfig(steps=20),
    )


def decoded(data):
    """The pairs of the store, as text."""
    return [
        (
            data.tokenizers.source.decode(data.store.source[i].tolist()),
            data.tokenizers.target.decode(data.store.target[i].tolist()),
        )
        for i in range(data.store.size)
    ]


def rendered(data, width=200):
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(data.report.render())
    return capture.get()


def known_tokenizers():
    learnt = tokenizer.train(["unlike the corpus"], vocab_size=280, kind="unigram")
    return Tokenizers(learnt, learnt)


def test_the_store_holds_what_was_kept_in_the_order_of_the_files(tmp_path):
    data = dataset.prepare(settings(tmp_path, BAD[:2] + GOOD + BAD[2:]))
    assert decoded(data) == GOOD
    assert data.fitting.all()
    assert [one.pairs for one in data.valid] == [VALID]


def test_all_that_is_read_is_kept_or_dropped_by_a_rule(tmp_path):
    counts = dataset.prepare(settings(tmp_path, GOOD + BAD)).report.cleaning
    assert counts.read == len(GOOD) + len(BAD)
    assert counts.kept == len(GOOD)
    assert counts.dropped == DROPPED
    assert counts.examples["identical"] == ("same", "same")


def test_text_is_normalised_before_anything_else(tmp_path):
    raw = [(f"{source}\u2028x\u0308 ", f"\t{target}") for source, target in GOOD]
    data = dataset.prepare(settings(tmp_path, raw))
    assert decoded(data) == [(normalize(s), normalize(t)) for s, t in raw]


def test_pairs_with_too_many_tokens_are_counted_and_left_out(tmp_path):
    long = [("the " * 30, "der " * 9), ("cat " * 9, "kater " * 30)]
    data = dataset.prepare(settings(tmp_path, GOOD + long, max_length=20))
    assert data.report.cleaning.dropped["over 20 tokens"] == 1 + 1
    assert data.report.cleaning.examples["over 20 tokens"] == (
        normalize(long[0][0]),
        normalize(long[0][1]),
    )
    assert data.report.cleaning.kept == data.fitting.sum() == len(GOOD)
    assert data.fitting.tolist() == [True] * len(GOOD) + [False] * 2


def test_a_pair_of_the_longest_allowed_length_fits(tmp_path):
    cfg = settings(tmp_path, GOOD)
    data = dataset.prepare(cfg)
    sides = (data.store.source, data.store.target)
    longest = 1 + max(int(side.lengths.max()) for side in sides)
    for limit, all_fit in ((longest, True), (longest - 1, False)):
        again = dataset.prepare(settings(tmp_path, GOOD, max_length=limit))
        assert again.fitting.all() == all_fit


def test_validation_sentences_inside_the_training_data_are_told(tmp_path):
    leaked = [(VALID[0][0], "anders"), (f" {VALID[0][0]}", "wieder anders")]
    data = dataset.prepare(settings(tmp_path, GOOD + leaked))
    assert data.report.cleaning.dropped["overlap"] == 2
    assert decoded(data) == GOOD
    assert "flatter" not in rendered(data)


def test_they_are_told_loudly_if_they_are_kept(tmp_path):
    leaked = [(VALID[0][0], "anders")]
    cfg = settings(tmp_path, GOOD + leaked, keep=("overlap",))
    data = dataset.prepare(cfg)
    assert data.report.cleaning.noted["overlap"] == 1
    assert decoded(data) == GOOD + leaked
    assert f"“{VALID[0][0]}”" in rendered(data)
    assert "scores will flatter" in rendered(data)


def test_test_sentences_are_held_out_as_well(tmp_path):
    test = write(tmp_path, "test", [(GOOD[0][0].upper() + "!", "x")])
    data = dataset.prepare(settings(tmp_path, GOOD, test=(test,)))
    assert decoded(data) == GOOD[1:]


def test_rules_that_are_none_are_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="did you mean 'script'"):
        dataset.prepare(settings(tmp_path, GOOD, keep=("scripts",)))
    assert not list((tmp_path / "cache").rglob("*"))


def test_what_is_dropped_follows_the_rules_named(tmp_path):
    pairs = [*GOOD, ("same", "same"), ("3 dogs", "drei hunde")]
    kept = dataset.prepare(settings(tmp_path, pairs, keep=("identical",)))
    assert decoded(kept) == pairs
    fewer = dataset.prepare(settings(tmp_path, pairs, drop=("numbers",)))
    assert decoded(fewer) == GOOD


def test_nothing_is_told_of_an_overlap_that_is_none(tmp_path):
    data = dataset.prepare(settings(tmp_path, GOOD))
    assert not data.report.cleaning.dropped["overlap"]
    assert "flatter" not in rendered(data)


def test_validation_pairs_without_text_are_left_out(tmp_path):
    valid = [("", "x"), *VALID, ("y", " ")]
    data = dataset.prepare(settings(tmp_path, GOOD, valid))
    assert [one.pairs for one in data.valid] == [VALID]
    assert data.report.validation == len(VALID)


def test_a_corpus_of_which_nothing_is_left_is_refused_with_the_counts(tmp_path):
    with pytest.raises(InputError, match=r"No pair is left.*train.*2 read.*'empty': 1"):
        dataset.prepare(settings(tmp_path, [("", "x"), ("y", "y")]))


@pytest.mark.parametrize("name", ["train", "valid"])
def test_an_empty_corpus_is_refused_by_name(tmp_path, name):
    cfg = settings(tmp_path, GOOD)
    for side in ("en", "de"):
        (tmp_path / f"{name}.{side}").write_bytes(b"")
    with pytest.raises(InputError, match=str(tmp_path / name)):
        dataset.prepare(cfg)
    assert not list((tmp_path / "cache").rglob("*"))


def test_a_corpus_of_long_pairs_only_is_refused_with_the_setting(tmp_path):
    with pytest.raises(InputError, match=r"max_length=2 .*Raise"):
        dataset.prepare(settings(tmp_path, GOOD, max_length=2))


def test_the_same_data_gives_the_same_dataset(tmp_path, monkeypatch):
    cfg = settings(tmp_path, GOOD + BAD)
    one = dataset.prepare(cfg)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    other = dataset.prepare(cfg)
    assert one.tokenizers.target.model == other.tokenizers.target.model
    assert decoded(one) == decoded(other)
    assert one.fingerprint == other.fingerprint
    assert one.report == other.report


def _refuse_training(pairs):
    def checked(corpus):
        assert not corpus.name.endswith("train"), "all was there"
        return pairs(corpus)

    return checked


@pytest.mark.parametrize("known", [None, known_tokenizers()])
def test_what_was_worked_out_is_reused_with_other_batches(tmp_path, monkeypatch, known):
    first = dataset.prepare(settings(tmp_path, GOOD + BAD), known)
    cfg = settings(tmp_path, GOOD + BAD, tokens=999, accumulate=2)

    def refuse(*_):
        raise AssertionError("all was there")

    monkeypatch.setattr(store, "make", refuse)
    monkeypatch.setattr(corpora, "pairs", _refuse_training(corpora.pairs))
    again = dataset.prepare(cfg, known)
    assert decoded(again) == decoded(first)
    assert again.report == first.report


def test_changed_data_makes_a_new_store(tmp_path):
    before = dataset.prepare(settings(tmp_path, GOOD))
    after = dataset.prepare(settings(tmp_path, GOOD[::-1]))
    assert before.fingerprint != after.fingerprint
    assert decoded(after) == GOOD[::-1]


def test_other_tokenizers_make_a_new_store(tmp_path):
    cfg = settings(tmp_path, GOOD)
    dataset.prepare(cfg)
    assert decoded(dataset.prepare(cfg, known_tokenizers())) == GOOD


def test_known_tokenizers_are_kept(tmp_path):
    known = known_tokenizers()
    data = dataset.prepare(settings(tmp_path, GOOD), known)
    assert data.tokenizers is known
    assert data.report.vocabulary == (known.source.size, known.target.size)


def test_a_vocabulary_is_joint_unless_the_source_has_its_own_size(tmp_path):
    joint = dataset.prepare(settings(tmp_path, GOOD)).tokenizers
    separate = dataset.prepare(
        settings(tmp_path, GOOD, source_vocab_size=290)
    ).tokenizers
    assert joint.joint
    assert not separate.joint
    assert separate.source.size <= 290
    assert not any(map(separate.target.is_byte, separate.target.encode("hund")))
    assert any(map(separate.source.is_byte, separate.source.encode("k")))


def test_tokenizers_learn_nothing_from_what_is_dropped(tmp_path):
    clean = dataset.prepare(settings(tmp_path, GOOD)).tokenizers
    dirty = [("zzz zzz", "zzz zzz"), ("", "zzz zzz")] * 50
    cleaned = dataset.prepare(settings(tmp_path, GOOD + dirty)).tokenizers
    assert cleaned.target.model == clean.target.model


def test_the_tokenizer_is_of_the_kind_asked_for(tmp_path):
    models = set()
    for kind in ("bpe", "unigram"):
        data = dataset.prepare(settings(tmp_path, GOOD, tokenizer=kind))
        models.add(data.tokenizers.target.model)
    assert len(models) == 2


@pytest.mark.parametrize("count", [3, 30])
def test_tokenizers_may_learn_from_a_sample_of_pairs(tmp_path, count):
    marks = [chr(ord("一") + i) for i in range(30)]
    pairs = [(f"{mark} the dog", f"{mark} der hund") for mark in marks]
    cfg = settings(tmp_path, pairs, vocab_size=310, tokenizer_sentences=count)
    data = dataset.prepare(cfg)
    learnt = data.tokenizers.source
    seen = [mark for mark in marks if not any(map(learnt.is_byte, learnt.encode(mark)))]
    assert len(seen) == count
    assert decoded(data) == pairs


def test_the_fingerprint_is_that_of_the_training_files(tmp_path):
    cfg = settings(tmp_path, GOOD)
    expected = corpora.fingerprint(Corpus(cfg.data.train[0], "en", "de"))
    found = dataset.prepare(cfg).fingerprint
    assert found == expected | {dataset.KEPT: found[dataset.KEPT]}


def test_an_error_in_the_validation_files_comes_before_any_work(tmp_path):
    cfg = settings(tmp_path, GOOD)
    (tmp_path / "valid.de").unlink()
    with pytest.raises(InputError, match=r"valid\.de"):
        dataset.prepare(cfg)
    assert not list((tmp_path / "cache").rglob("*"))


def test_the_report_counts_the_tokens_that_training_reads(tmp_path):
    pairs = [*GOOD, ("the " * 40, "der " * 30)]
    data = dataset.prepare(settings(tmp_path, pairs, max_length=20))
    assert data.report.cleaning.dropped["over 20 tokens"] == 1
    expected = [
        int(side.lengths[data.fitting].sum()) + len(GOOD)
        for side in (data.store.source, data.store.target)
    ]
    assert list(data.report.tokens) == expected
    assert data.report.lengths.total() == len(GOOD)
    longer = 1 + np.maximum(data.store.source.lengths, data.store.target.lengths)
    bins = Counter((longer[data.fitting] // 8 * 8).tolist())
    assert data.report.lengths == bins


def test_validation_characters_without_a_piece_are_counted(tmp_path):
    valid = [("the 字字 dog", "der ß hund")]
    report = dataset.prepare(settings(tmp_path, GOOD, valid)).report
    assert report.unknown == {"字": 2, "ß": 1}


def test_the_report_shows_every_rule_with_its_count_and_an_example(tmp_path):
    shown = rendered(dataset.prepare(settings(tmp_path, GOOD + BAD)))
    assert f"{len(GOOD) + len(BAD)} read, {len(GOOD)} kept" in shown
    for rule, count in DROPPED.items():
        [line] = [line for line in shown.splitlines() if line.strip().startswith(rule)]
        assert line.split(rule)[1].split()[0] == str(count)
    assert "“same” – “same”" in shown


@pytest.mark.parametrize(
    "odd",
    [
        "[bold]x[/bold]",
        "[/]",
        "[/red]",
        "[link=x",
        "ends in \\",
        "[😀] 👩‍👩‍👧 🇮🇳",
        "\u202eabc",
    ],
)
@pytest.mark.parametrize("width", [20, 200])
def test_text_that_looks_like_markup_is_shown_as_it_is(tmp_path, odd, width):
    pairs = [*GOOD, (odd, odd), (odd, "x" * 300), ("", odd)]
    data = dataset.prepare(settings(tmp_path, pairs, [(odd, odd)]))
    shown = rendered(data, width)
    assert data.report.cleaning.dropped["identical"] == 1
    if width == 200:
        assert odd.rstrip("\\") in shown


def test_long_examples_are_shortened(tmp_path):
    long = "word " * 100
    shown = rendered(dataset.prepare(settings(tmp_path, [*GOOD, (long, long)])))
    assert normalize(long) not in shown
    assert "…”" in shown


def test_a_sample_takes_kept_pairs_from_everywhere_and_none_twice(tmp_path):
    pairs = [(str(i), str(i)) for i in range(4000)]
    numbers = Corpus(write(tmp_path, "numbers", pairs), "en", "de")
    odd = np.arange(4000) % 2 == 1
    places = [int(source) for source, _ in pieces.sample(numbers, odd, 1000)]
    assert len(set(places)) == len(places) == 1000
    assert all(place % 2 for place in places)
    assert np.mean(places) == pytest.approx(2000, abs=150)
    assert pieces.sample(numbers, np.arange(4000) < 9, 10) == pairs[:9]


def test_nothing_depends_on_how_many_processes_prepare(tmp_path, monkeypatch):
    monkeypatch.setattr(cleaning, "CHUNK", 3)
    found = []
    for cores in (1, 2):
        monkeypatch.setattr(workers, "cores", lambda cores=cores: cores)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(cores)))
        data = dataset.prepare(settings(tmp_path, GOOD + BAD))
        found.append((decoded(data), data.report, data.tokenizers.target.model))
    assert found[0] == found[1]
    assert len(GOOD) > 3 * workers.FEW


def test_ids_of_the_store_are_of_the_vocabulary(tmp_path):
    data = dataset.prepare(settings(tmp_path, GOOD, source_vocab_size=290))
    for side, one in zip(data.store, data.tokenizers, strict=True):
        assert side.ids.max() < one.size
        assert side.ids.min() > 3
        assert side.ids.dtype == np.uint32


UNIGRAM = {"tokenizer": "unigram", "subword_dropout": 0.0, "subword_alpha": 0.1}


def segmented(folder, pairs=GOOD, **data):
    sampling = {"segmentations": 3, "subword_dropout": 0.3}
    return dataset.prepare(settings(folder, pairs, vocab_size=330, **sampling | data))


@pytest.mark.parametrize("kind", [{}, UNIGRAM], ids=["bpe", "unigram"])
def test_each_copy_of_the_corpus_is_otherwise_segmented(tmp_path, kind):
    data = segmented(tmp_path, **kind)
    assert decoded(data) == GOOD * 3
    assert data.fitting.tolist() == [True] * 3 * len(GOOD)
    ids = [tuple(data.store.target[i].tolist()) for i in range(data.store.size)]
    plain = [tuple(data.tokenizers.target.encode(target)) for _, target in GOOD]
    copies = [ids[start :: len(GOOD)] for start in range(len(GOOD))]
    assert sum(len(set(copy)) > 1 for copy in copies) > len(GOOD) / 2
    assert sum(map(len, ids)) > 3 * sum(map(len, plain))


@pytest.mark.parametrize("kind", [{}, UNIGRAM], ids=["bpe", "unigram"])
def test_the_segmentations_are_the_same_whenever_they_are_made(
    tmp_path, monkeypatch, kind
):
    one = segmented(tmp_path, **kind)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    other = segmented(tmp_path, **kind)
    for side, again in zip(one.store, other.store, strict=True):
        np.testing.assert_array_equal(side.ids, again.ids)


def test_another_dropout_alpha_or_number_makes_a_new_store(tmp_path):
    changes = [{}, {"subword_dropout": 0.2}, {"segmentations": 2}]
    changes += [UNIGRAM, UNIGRAM | {"subword_alpha": 0.3}]
    sizes = {segmented(tmp_path, **one).store.source.ids.size for one in changes}
    assert len(sizes) == 5


def test_the_report_counts_pairs_and_not_their_copies(tmp_path):
    long = ("the " * 15, "der " * 9)  # 16 tokens, or more if it is otherwise segmented
    data = segmented(tmp_path, [*GOOD, long], max_length=20)
    counts = data.report.cleaning
    assert counts.kept == data.report.lengths.total() == len(GOOD)
    assert counts.read == counts.kept + counts.dropped.total()
    assert counts.dropped["over 20 tokens"] == 1
    one = range(len(GOOD))
    tokens = [sum(len(side[i]) + 1 for i in one) for side in data.store]
    assert list(data.report.tokens) == tokens
    assert not data.fitting[len(GOOD) :: len(GOOD) + 1].any()


def several(folder, **data):
    """English to German, and back from other sentences."""
    cfg = settings(folder, GOOD)
    back = [(f"{source} now", f"jetzt {target}") for source, target in GOOD[:5]]
    names = (cfg.data.train[0], write(folder, "back", back) + ":de-en")
    changed = replace(cfg.data, **({"train": names} | data))
    return replace(cfg, data=changed), back


def test_corpora_stand_one_behind_the_other_each_with_the_tag_of_its_target(tmp_path):
    cfg, back = several(tmp_path)
    data = dataset.prepare(cfg)
    assert decoded(data) == GOOD + [(de, en) for en, de in back]
    source = data.tokenizers.source
    firsts = [source.piece(int(data.store.source[i][0])) for i in range(len(GOOD) + 5)]
    assert firsts == ["<2de>"] * len(GOOD) + ["<2en>"] * 5
    assert data.store.target.ids.min() >= 4


def test_corpora_of_one_target_need_no_tags_but_their_own(tmp_path):
    cfg = settings(tmp_path, GOOD)
    names = (*cfg.data.train, "bt=" + write(tmp_path, "more", [("x y", "z w")]))
    data = dataset.prepare(replace(cfg, data=replace(cfg.data, train=names)))
    assert data.tokenizers.source.tags == ("<bt>",)
    tagged = data.store.source[len(GOOD)].tolist()
    assert data.tokenizers.source.piece(tagged[0]) == "<bt>"
    assert decoded(data)[-1] == ("x y", "z w")


def test_each_corpus_is_counted_and_has_its_share(tmp_path):
    cfg, back = several(tmp_path)
    report = dataset.prepare(cfg).report
    assert [(p.read, p.kept) for p in report.corpora] == [(len(GOOD),) * 2, (5, 5)]
    assert [p.share for p in report.corpora] == pytest.approx(
        [len(GOOD) / (len(GOOD) + 5), 5 / (len(GOOD) + 5)]
    )
    assert "back (de → en)" in rendered(dataset.prepare(cfg))


def test_weights_and_temperature_change_how_often_pairs_come_and_nothing_else(tmp_path):
    cfg, _ = several(tmp_path)
    plain = dataset.prepare(cfg)
    assert (plain.rates == 1).all()
    one, other = cfg.data.train
    for changed in ({"train": (one, other + "@3")}, {"temperature": 4.0}):
        data = dataset.prepare(replace(cfg, data=replace(cfg.data, **changed)))
        assert decoded(data) == decoded(plain)
        assert data.rates.sum() == pytest.approx(plain.rates.sum(), rel=1e-4)
        assert data.rates[-1] > 1 > data.rates[0]


def test_tokenizers_learn_from_all_corpora_in_their_shares(tmp_path):
    cfg, _ = several(tmp_path)
    corpus = dataset.training(cfg.data)
    kept = [np.ones(len(GOOD), bool), np.ones(5, bool)]
    cold = pieces.mixed(cfg.data, corpus, kept)
    assert sorted(cold[: len(GOOD)]) == sorted(GOOD)
    assert len(cold) == len(GOOD) + 5
    warm = pieces.mixed(replace(cfg.data, temperature=1e6), corpus, kept)
    assert len(warm) == pytest.approx(len(cold), abs=1)
    assert Counter(pair[1].endswith(" now") for pair in warm)[True] == len(cold) // 2


def test_the_same_files_in_another_order_or_direction_are_another_store(tmp_path):
    cfg, _ = several(tmp_path)
    one, other = cfg.data.train
    known = known_tokenizers()
    before = dataset.prepare(settings(tmp_path, GOOD), known)
    for train in ((one, other[:-6]), (other[:-6], one)):
        data = dataset.prepare(replace(cfg, data=replace(cfg.data, train=train)), known)
        assert len(decoded(data)) == len(decoded(before)) + 5
    assert decoded(data)[5:] == decoded(before)


@pytest.mark.parametrize("kind", ["selections", "stores", "tokenizers"])
def test_what_is_damaged_in_the_cache_is_named_and_made_again(
    tmp_path, monkeypatch, kind
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cfg = settings(tmp_path, GOOD)
    before = decoded(dataset.prepare(cfg))
    [folder] = (store.cache() / kind).iterdir()
    for path in folder.iterdir():
        os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(InputError, match=f"{folder} cannot be read: .*Remove it"):
        dataset.prepare(cfg)
    shutil.rmtree(folder)
    assert decoded(dataset.prepare(cfg)) == before


def test_a_pair_may_come_again_in_another_language(tmp_path):
    """As a sentence that Portuguese has on both sides of the ocean."""
    cfg = settings(tmp_path, GOOD)
    (name,) = cfg.data.train
    (tmp_path / "train.nl").write_text((tmp_path / "train.de").read_text("utf-8"))
    both = replace(cfg, data=replace(cfg.data, train=(name, f"{name}:en-nl")))
    assert len(decoded(dataset.prepare(both))) == 2 * len(GOOD)


def test_pairs_to_evaluate_with_that_lack_a_side_are_counted(tmp_path):
    for side, text in ("en", "a\n\nb\n"), ("de", "x\n\n\n"):
        (tmp_path / f"held.{side}").write_text(text)
    [held] = dataset.held(settings(tmp_path, GOOD).data, [str(tmp_path / "held")])
    assert (held.pairs, held.left_out) == ([("a", "x")], 2)


def test_a_corpus_is_evaluated_with_once(tmp_path):
    cfg = settings(tmp_path, GOOD)
    with pytest.raises(InputError, match="named twice to evaluate with"):
        dataset.held(cfg.data, cfg.data.valid * 2)


@pytest.mark.parametrize("name", ["x:en-fr", "bt=valid", "valid@2"])
def test_what_cannot_be_evaluated_with_is_refused(tmp_path, name):
    cfg = settings(tmp_path, GOOD)
    for side in ("en", "fr"):
        (tmp_path / f"x.{side}").write_text("a\n")
    spelled = name.replace("x", f"{tmp_path}/x").replace("valid", f"{tmp_path}/valid")
    with pytest.raises(InputError, match="to evaluate with"):
        dataset.prepare(replace(cfg, data=replace(cfg.data, valid=(spelled,))))
