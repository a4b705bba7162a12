"""An English–Hindi phrasebook: hand-written sentences, and patterns filled with words.

>>> from transformer import phrasebook
>>> train, valid, test = phrasebook.split(seed=0)
"""

import functools
import hashlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from transformer.phrasebook import grammar
from transformer.phrasebook.grammar import Parts, Pattern

VALID, TEST = 7, 20  # of a thousand combinations of words
ENDS = {
    "statement": (".", "।"),
    "question": ("?", "?"),
    "exclamation": ("!", "!"),
    "fragment": ("", ""),
}

Pair = tuple[str, str]


class Splits(NamedTuple):
    """English–Hindi pairs, written or plain: "How are you?" or "how are you"."""

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]


class Exemplar(NamedTuple):
    """A plain sentence that the explanation of the Transformer uses."""

    source: str
    target: str
    training: bool
    point: str


class Sentence(NamedTuple):
    """What is split: `key` decides where it goes, the first form is the tested one."""

    key: str
    forms: tuple[Pair, ...]


def split(seed: int = 0, size: int = 60_000) -> Splits:
    """About `size` drawn pairs and all others; no test words together in training."""
    always = set(map(joined, combinations("training")))
    shares: dict[str, list[Sentence]] = {"train": [], "valid": [], "test": []}
    for sentence in distinct([*handwritten(), *drawn(seed, size)]):
        key = sentence.key
        shares["train" if key in always else share(seed, key)].append(sentence)
    shown = [(exemplar.source, exemplar.target) for exemplar in exemplars()]
    taught = [(e.source, e.target) for e in exemplars() if e.training]
    test = tested(shares["test"], avoid=shown)
    valid = tested(shares["valid"], avoid=[*shown, *test])
    unseen = texts([*valid, *test, *(pair for pair in shown if pair not in taught)])
    train = (pair for sentence in shares["train"] for pair in sentence.forms)
    train = (pair for pair in train if unseen.isdisjoint(texts([pair])))
    return Splits(list(dict.fromkeys([*taught, *train])), valid, test)


def sentences() -> list[Pair]:
    """The hand-written pairs, in written form."""
    folder = grammar.FOLDER.joinpath("sentences")
    files = sorted(f"sentences/{file.name}" for file in folder.iterdir())
    return [(english, hindi) for file in files for english, hindi in grammar.rows(file)]


def exemplars() -> list[Exemplar]:
    """The sentences of the explanation; those not `training` are never trained on."""
    return [
        Exemplar(english, hindi, use == "training", point)
        for english, hindi, use, _, point in grammar.rows("exemplars.tsv")[1:]
    ]


@functools.cache
def combinations(use: str) -> list[frozenset[str]]:
    """The words of the exemplars that are used for "training" or "held out"."""
    rows = grammar.rows("exemplars.tsv")[1:]
    return [frozenset(row[3].split(", ")) for row in rows if row[2] == use]


def handwritten() -> list[Sentence]:
    """The hand-written sentences, each in written and in plain form."""
    return [
        Sentence(english, ((english, hindi), (plain(english), bare(hindi))))
        for english, hindi in sentences()
    ]


def drawn(seed: int, size: int) -> Iterator[Sentence]:
    """Small patterns give all they have, large ones share the rest of `size`."""
    patterns = sorted(grammar.patterns(), key=capacity)
    for done, pattern in enumerate(patterns):
        found = sample(pattern, seed, size // (len(patterns) - done))
        size -= len(found)
        yield from found


def sample(pattern: Pattern, seed: int, quota: int) -> list[Sentence]:
    """At most `quota` different sentences of a pattern."""
    few = capacity(pattern) <= quota
    ways = every_way(pattern) if few else random_ways(pattern, seed, 2 * quota)
    found: dict[str, Sentence] = {}
    for parts in ways:
        words = grammar.words(parts)
        if words and not any(words >= hidden for hidden in combinations("held out")):
            english = grammar.fill(pattern.english, parts, "en")
            if english not in found:
                hindi = grammar.fill(pattern.hindi, parts, "hi")
                form = styled(english, hindi, pattern.sentence)
                found[english] = Sentence(joined(words), (form,))
                if len(found) == quota:
                    break
    return list(found.values())


@functools.cache
def capacity(pattern: Pattern) -> int:
    """How many ways there are to fill the slots."""
    return math.prod(sum(map(len, kinds)) for kinds in grammar.choices(pattern))


def every_way(pattern: Pattern) -> Iterator[Parts]:
    """All fillings, in order."""
    ways = [itertools.chain(*kinds) for kinds in grammar.choices(pattern)]
    for way in itertools.product(*ways):
        yield {slot: entry for parts in way for slot, entry in parts.items()}


def random_ways(pattern: Pattern, seed: int, tries: int) -> Iterator[Parts]:
    """Fillings in which each kind that a slot names is equally likely."""
    for attempt in range(tries):
        rest = number(f"{seed} {pattern.name} {attempt}")
        parts = {}
        for kinds in grammar.choices(pattern):
            rest, kind = divmod(rest, len(kinds))
            rest, way = divmod(rest, len(kinds[kind]))
            parts |= kinds[kind][way]
        yield parts


def distinct(sentences: Iterable[Sentence]) -> list[Sentence]:
    """The first sentence of each English text."""
    found: dict[str, Sentence] = {}
    for sentence in sentences:
        found.setdefault(bare(sentence.forms[0][0]).casefold(), sentence)
    return list(found.values())


def joined(words: Iterable[str]) -> str:
    """The key of the sentences that are made of these words."""
    return ", ".join(sorted(words))


def share(seed: int, key: str) -> str:
    """Which part of the split all sentences with this key belong to."""
    place = number(f"{seed} {key}") % 1000
    return "valid" if place < VALID else "test" if place < VALID + TEST else "train"


def tested(sentences: list[Sentence], avoid: list[Pair]) -> list[Pair]:
    """One form of each sentence that has no text in common with `avoid`."""
    known = texts(avoid)
    pairs = [sentence.forms[0] for sentence in sentences]
    return [pair for pair in pairs if known.isdisjoint(texts([pair]))]


def texts(pairs: Iterable[Pair]) -> set[str]:
    """Both sides of all pairs, as compared: without case and final punctuation."""
    return {bare(side).casefold() for pair in pairs for side in pair}


def styled(english: str, hindi: str, sentence: str) -> Pair:
    """The pair in written or, every other time, in plain form."""
    if number(english) % 2:
        return english, hindi
    ends = ENDS[sentence]
    return english[0].upper() + english[1:] + ends[0], hindi + ends[1]


def plain(english: str) -> str:
    """An English sentence as people type it: how are you."""
    first = re.split(r"\W", english, maxsplit=1)[0]
    return bare(english if first in proper() else english[0].lower() + english[1:])


def bare(text: str) -> str:
    """The text without its final punctuation."""
    return text.rstrip(".?!।")


@functools.cache
def proper() -> frozenset[str]:
    """Words that keep their capital everywhere: I, Ravi, Delhi, Monday."""
    texts = [entry.forms["en"] for entry in grammar.lexicon()]
    texts += [re.sub(r"(^|[.?!] )\w+", "", english) for english, _ in sentences()]
    return frozenset(re.findall(r"\b[A-Z]\w*", " ".join(texts)))


def number(key: str) -> int:
    """A number that looks random but is the same everywhere for the same key."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest())
