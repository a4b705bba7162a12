"""Flags become what they say, and those that cannot be are refused by name."""

import pytest

from transformer import tokenizer
from transformer.errors import InputError
from transformer.options import Demands, Search
from transformer.rules import NoRepeat, Vocabulary
from transformer.strategies import (
    Alternatives,
    Beam,
    DiverseBeam,
    Greedy,
    MinimumRisk,
    Sample,
)


@pytest.fixture(scope="module")
def target():
    return tokenizer.train(["a dog runs", "the cat"] * 5, vocab_size=300, kind="bpe")


@pytest.fixture
def glossary(tmp_path):
    def written(content, name="terms.tsv"):
        path = tmp_path / name
        path.write_text(content)
        return path

    return written


@pytest.mark.parametrize(
    "flags, strategy",
    [
        ({}, Beam(width=4)),
        ({"beam": 1}, Greedy()),
        (
            {"beam": 6, "n_best": 2, "length_penalty": 1.0},
            Beam(width=6, best=2, alpha=1.0),
        ),
        ({"diverse": 0.3}, DiverseBeam(width=4, groups=4, best=1, strength=0.3)),
        (
            {"diverse": 0.3, "coverage_penalty": 0.2},
            DiverseBeam(width=4, groups=4, best=1, strength=0.3, coverage=0.2),
        ),
        ({"alternatives": 3}, Alternatives(count=3)),
        ({"sample": True, "top_k": 5, "n_best": 2}, Sample(count=2, top_k=5)),
        ({"sample": True, "temperature": 0.5}, Sample(temperature=0.5)),
        ({"mbr": 8}, MinimumRisk(count=8)),
        (
            {"mbr": 8, "epsilon": 0.1, "n_best": 2},
            MinimumRisk(count=8, epsilon=0.1, keep=2),
        ),
    ],
    ids=str,
)
def test_flags_choose_the_strategy(flags, strategy):
    assert Search(**flags).strategy() == strategy


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"diverse": 0.5, "sample": True}, "Choose one"),
        ({"mbr": 4, "alternatives": 4}, "Choose one"),
        ({"top_k": 4}, "need --sample or --mbr"),
        ({"temperature": 0.5, "diverse": 1.0}, "need --sample or --mbr"),
        ({"beam": 0}, "beam of 0"),
        ({"n_best": 0}, "not 0"),
        ({"n_best": 5}, "Widen the beam"),
        ({"n_best": 5, "mbr": 4}, "keep fewer"),
        ({"n_best": 2, "alternatives": 4}, "leave out --n-best"),
        ({"alternatives": 0}, "0 alternatives"),
        ({"length_penalty": -1.0}, "-1.0"),
        ({"length_penalty": float("nan")}, "nan"),
        ({"diverse": -1.0}, "strength"),
        ({"sample": True, "temperature": 0.0}, "temperature"),
        ({"sample": True, "top_k": 0}, "top-k"),
        ({"sample": True, "top_p": 1.5}, "top-p"),
        ({"sample": True, "epsilon": 1.0}, "epsilon"),
        ({"mbr": 0}, "count"),
        ({"seed": -1}, "--seed -1"),
        ({"seed": 10**20}, "must be from 0"),
    ],
    ids=str,
)
def test_flags_that_cannot_be_are_refused(flags, message):
    with pytest.raises(InputError, match=message):
        Search(**flags).strategy()


@pytest.mark.parametrize(
    "flags, message",
    [
        ({"max_ratio": 3.0}, "--max-ratio 3.0 must be above 0 and at most 2.0"),
        ({"max_ratio": 0.0}, "--max-ratio 0.0"),
        ({"max_ratio": float("nan")}, "--max-ratio nan"),
        ({"min_length": -1}, "--min-length -1"),
        ({"no_repeat": 0}, "Repeats of 0"),
        ({"require": ("",)}, "--require needs a phrase"),
        ({"require": ("a", " \t")}, "--require needs a phrase"),
        ({"ban": ("\u2581",)}, "--ban needs a phrase"),
        ({"require": ("a dog",), "ban": ("dog",)}, "'dog' is banned, and 'a dog' is"),
        ({"prefix": "The dog", "ban": ("dog",)}, "'dog' is banned"),
    ],
    ids=str,
)
def test_demands_that_cannot_be_are_refused(target, flags, message):
    with pytest.raises(InputError, match=message):
        Demands(**flags).control(target)


def test_a_glossary_that_is_missing_or_none_is_named(target, glossary, tmp_path):
    with pytest.raises(InputError, match="absent.tsv"):
        Demands(terms=tmp_path / "absent.tsv").control(target)
    with pytest.raises(InputError, match="absent.txt"):
        Demands(vocabulary=tmp_path / "absent.txt").control(target)
    with pytest.raises(InputError, match=r"terms.tsv:2: 'dog' is no term"):
        Demands(terms=glossary("cat\tKatze\ndog\n")).control(target)


def test_a_glossary_does_not_require_what_is_banned(target, glossary):
    demands = Demands(terms=glossary("dog\tHund\n"), ban=("Hund",))
    with pytest.raises(InputError, match="'Hund' is banned"):
        demands.control(target)


def test_demands_reach_the_search(target, glossary):
    demands = Demands(
        terms=glossary("dog\tHund\ncat\tKater\tno\n"),
        vocabulary=glossary("a dog\n", "words"),
        prefix="the",
        require=("a", "Hund"),
        ban=("runs",),
        no_repeat=2,
        min_length=3,
        max_ratio=1.5,
    )
    control = demands.control(target)
    assert (control.fewest, control.ratio, control.prefix) == (3, 1.5, "the")
    wish = control.wish("The dog and a cat")
    assert wish.required == ("Hund", "a")
    assert wish.banned == ("Kater", "runs")
    assert control.wish("a bird") == (("a", "Hund"), ("runs",))
    no_repeat, vocabulary = control.rules
    assert no_repeat == NoRepeat(2)
    assert isinstance(vocabulary, Vocabulary)
    assert set(vocabulary.allowed.nonzero()[0]) == set(target.encode("a dog"))


def test_what_a_flag_requires_a_glossary_does_not_ban(target, glossary):
    """The flag is the more special of the two."""
    demands = Demands(terms=glossary("dog\tKöter\tno\n"), require=("der Köter",))
    assert demands.control(target).wish("a dog") == (("der Köter",), ())


def test_the_mark_changes_with_what_stands_in_the_files(glossary):
    def mark(terms, words):
        paths = glossary(terms), glossary(words, "words")
        return Demands(terms=paths[0], vocabulary=paths[1]).mark()

    one = mark("dog\tHund\n", "a\n")
    assert mark("dog\tHund\n", "a\n") == one
    others = {mark("dog\tHund\na\tein", "a\n"), mark("dog\tHund", "a\na\n")}
    assert len(others) == 2
    assert one not in others
    assert mark("a\tb\nc\td", "e") != mark("a\tb", "c\td\ne")
