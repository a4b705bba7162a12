"""What a user can ask of a translation, as the flags of translate.py say it."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal

from transformer import corpora, phrases, terms
from transformer.config import SEEDS
from transformer.errors import InputError
from transformer.rules import NoRepeat, Vocabulary
from transformer.search import Rule
from transformer.seating import RATIO
from transformer.spans import KINDS, WITH_NUMBERS, Kinds
from transformer.strategies import (
    Alternatives,
    Beam,
    DiverseBeam,
    Greedy,
    MinimumRisk,
    Sample,
    Strategy,
)
from transformer.terms import Glossary, Wish
from transformer.text import normalize
from transformer.tokenizer import Tokenizer
from transformer.translator import Control


@dataclass(frozen=True, kw_only=True)
class Search:
    """How to look for a translation."""

    beam: int = 4
    """Hypotheses of the beam search; 1 is greedy."""
    n_best: int = 1
    """Translations of each line: behind each other after tabs, or in the JSON."""
    length_penalty: float = 0.6
    """Exponent of GNMT's penalty; 0 is none, more prefers longer translations."""
    coverage_penalty: float = 0.0
    """Weight of GNMT's penalty for parts of the source that were not looked at."""
    diverse: float | None = None
    """Beams side by side, each paying so much for tokens that another one took."""
    alternatives: int | None = None
    """So many ways to go on after --prefix, each to its end."""
    sample: bool = False
    """Draw translations at random instead of searching for the best."""
    mbr: int | None = None
    """Draw so many and take the one that most resembles the others, by chrF."""
    temperature: float = 1.0
    top_k: int | None = None
    """Draw among the k likeliest tokens only."""
    top_p: float | None = None
    """Draw among the fewest tokens of this probability only (nucleus)."""
    epsilon: float | None = None
    """Draw among tokens of at least this probability only."""
    seed: int = 0
    """With the number of the line, decides what is drawn."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < SEEDS:
            raise InputError(f"--seed {self.seed} must be from 0 to {SEEDS - 1}.")

    def strategy(self) -> Strategy:
        """Raises `InputError` for flags that contradict each other."""
        drawn = {
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "epsilon": self.epsilon,
        }
        kinds = (self.diverse, self.alternatives, self.mbr)
        if sum(kind is not None for kind in kinds) + self.sample > 1:
            raise InputError(
                "--diverse, --alternatives, --sample and --mbr are different ways to "
                "search. Choose one."
            )
        if self.mbr is not None:
            if self.epsilon is None:
                drawn["epsilon"] = MinimumRisk.epsilon
            return MinimumRisk(count=self.mbr, keep=self.n_best, **drawn)
        if self.sample:
            return Sample(count=self.n_best, **drawn)
        if drawn != {"temperature": 1.0, "top_k": None, "top_p": None, "epsilon": None}:
            raise InputError(
                "--temperature, --top-k, --top-p and --epsilon need --sample or --mbr."
            )
        return self._searched()

    def _searched(self) -> Strategy:
        if self.alternatives is not None:
            if self.n_best > 1:
                raise InputError(
                    "--alternatives says how many translations there are; leave out "
                    "--n-best."
                )
            return Alternatives(count=self.alternatives)
        penalties = {"alpha": self.length_penalty, "coverage": self.coverage_penalty}
        sizes = {"width": self.beam, "best": self.n_best, **penalties}
        if self.diverse is not None:
            return DiverseBeam(groups=self.beam, strength=self.diverse, **sizes)
        if self.beam == self.n_best == 1:
            return Greedy()
        return Beam(**sizes)


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What a translation must be like."""

    terms: Path | None = None
    """A glossary: a term, a tab, its translation; after another tab `no` if it must
    not be translated so."""
    prefix: str = ""
    """How every translation begins."""
    require: tuple[str, ...] = ()
    """A phrase that stands in the translation of every sentence."""
    ban: tuple[str, ...] = ()
    """A phrase that stands in none."""
    protect: Literal["numbers"] | None = None
    """Carry over unchanged numbers as well, with their units."""
    no_repeat: int | None = None
    """No so many tokens in a row occur twice."""
    vocabulary: Path | None = None
    """A text; only its tokens are used."""
    min_length: int = 0
    """Least tokens of a translation."""
    max_ratio: float = RATIO
    """Most tokens for each of the source (and 10 more), up to 2."""

    def __post_init__(self) -> None:
        if not 0 < self.max_ratio <= RATIO:
            raise InputError(
                f"--max-ratio {self.max_ratio} must be above 0 and at most {RATIO}."
            )
        if self.min_length < 0:
            raise InputError(f"--min-length {self.min_length} must be 0 or above.")
        for flag, given in ("require", self.require), ("ban", self.ban):
            if not all(map(normalize, given)):
                raise InputError(f"--{flag} needs a phrase that is not empty.")

    @property
    def kinds(self) -> Kinds:
        return KINDS if self.protect is None else WITH_NUMBERS

    def control(self, target: Tokenizer) -> Control:
        """Raises `InputError` for a file that cannot be read or is no glossary, and
        where a phrase that is banned stands in what is demanded."""
        rules: list[Rule] = []
        if self.no_repeat is not None:
            rules.append(NoRepeat(self.no_repeat))
        if self.vocabulary is not None:
            words = corpora.lines(self.vocabulary)
            ids = {id for line in words for id in target.encode(line)}
            rules.append(Vocabulary.of(ids, target.size))
        return Control(
            rules=tuple(rules),
            fewest=self.min_length,
            ratio=self.max_ratio,
            prefix=self.prefix,
            wish=self._wish(),
            kinds=self.kinds,
        )

    def _glossary(self) -> Glossary:
        if self.terms is None:
            return Glossary({})
        glossary = terms.parse(corpora.lines(self.terms), str(self.terms))
        return replace(glossary, kinds=self.kinds)

    def required(self) -> list[str]:
        """The phrases that must stand in some translation, those of terms included."""
        return self._required(self._glossary())

    def _required(self, glossary: Glossary) -> list[str]:
        of_terms = (wish.required for wish in glossary.wishes.values())
        return [*self.require, *chain.from_iterable(of_terms)]

    def _wish(self) -> Callable[[str], Wish]:
        glossary = self._glossary()
        for demanded in (self.prefix, *self._required(glossary)):
            for phrase in _within(demanded, self.ban):
                raise InputError(
                    f"{phrase!r} is banned, and {demanded!r} is demanded. Remove one "
                    "of them."
                )

        def wish(part: str) -> Wish:
            required, banned = glossary.wish(part)
            needed = [p for one in self.require for p in _within(one, banned)]
            allowed = (phrase for phrase in banned if phrase not in needed)
            both = (*required, *self.require), (*allowed, *self.ban)
            return Wish(*(tuple(dict.fromkeys(some)) for some in both))

        return wish

    def mark(self) -> str:
        """All of it, the contents of files included."""
        files = [path for path in (self.terms, self.vocabulary) if path is not None]
        contents = [
            hashlib.sha256("\n".join(corpora.lines(path)).encode()).hexdigest()
            for path in files
        ]
        return f"{self} {contents}"


def check(search: Search, demands: Demands) -> None:
    """Raises `InputError` for flags that contradict each other or come to nothing."""
    search.strategy()
    plain = Search()
    of_beams = "beam", "length_penalty", "coverage_penalty"
    without = search.sample or search.mbr is not None or search.alternatives is not None
    for name in of_beams:
        if without and getattr(search, name) != getattr(plain, name):
            raise InputError(
                f"--{name.replace('_', '-')} is for a beam, and --sample, --mbr and "
                "--alternatives make none. Leave one of them out."
            )
    another = search.sample or search.alternatives or search.diverse is not None
    if another and demands.required():
        raise InputError(
            "Phrases of --require and --terms are found by plain beam search. Leave "
            "out --sample, --alternatives and --diverse."
        )


def _within(demanded: str, banned: Iterable[str]) -> list[str]:
    """The banned phrases that stand in what is demanded."""
    return [phrase for phrase in banned if phrases.contains(demanded, phrase)]
