"""Ways to search, as values: what to do is chosen by passing one of these.

They are hashable, so a compiled program is kept for each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Protocol, runtime_checkable

from transformer import mbr, sampling, selects
from transformer.errors import InputError
from transformer.sampling import Lanes
from transformer.search import Likeliest, Penalty, Select, gnmt


@runtime_checkable
class Strategy(Protocol):
    """How many hypotheses a sentence has, how they go on, and how they are judged."""

    @property
    def width(self) -> int:
        """K, the hypotheses under way."""
        ...

    @property
    def best(self) -> int:
        """Translations to find, at most K."""
        ...

    @property
    def penalty(self) -> Penalty: ...

    @property
    def select(self) -> Select: ...

    @property
    def coverage(self) -> float:
        """Weight of GNMT's coverage penalty; 0 is none."""
        ...

    def ranked(self, texts: Sequence[str]) -> list[int]:
        """Which of the translations found are given, best first."""
        ...


class _AsFound:
    """All that is found is given, by score."""

    def ranked(self, texts: Sequence[str]) -> list[int]:
        return list(range(len(texts)))


class _Plain(_AsFound):
    """As many translations as hypotheses, by log-probability."""

    count: int

    @property
    def width(self) -> int:
        return self.count

    @property
    def best(self) -> int:
        return self.count

    @property
    def penalty(self) -> Penalty:
        return gnmt(0.0)

    @property
    def select(self) -> Select:
        return Likeliest()

    @property
    def coverage(self) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Beam(_AsFound):
    """The `best` of a beam of `width`, with GNMT's penalties (0 is none).

    Args:
        alpha: exponent of that of the length.
        coverage: weight of that of what was not looked at.
    """

    width: int = 4
    best: int = 1
    alpha: float = 0.6
    coverage: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.best <= self.width:
            raise InputError(
                f"A beam of {self.width} finds from 1 to {self.width} translations, "
                f"not {self.best}. Widen the beam or ask for fewer."
            )
        if not 0 <= self.alpha < inf:
            raise InputError(f"The length penalty {self.alpha} must be 0 or above.")
        if not 0 <= self.coverage < inf:
            raise InputError(f"The coverage penalty {self.coverage} must be 0 or more.")

    @property
    def penalty(self) -> Penalty:
        return gnmt(self.alpha)

    @property
    def select(self) -> Select:
        return Likeliest()


@dataclass(frozen=True, kw_only=True)
class DiverseBeam(Beam):
    """Beams side by side, each of which pays for tokens that those before it took.

    Vijayakumar et al. 2018. As many beams as hypotheses differ most.
    """

    best: int = 4
    groups: int = 4
    strength: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.select.share(self.width)

    @property
    def select(self) -> selects.Diverse:
        return selects.Diverse(self.groups, self.strength)


@dataclass(frozen=True, kw_only=True)
class Greedy(_Plain):
    """The likeliest token at each step."""

    count = 1


@dataclass(frozen=True, kw_only=True)
class Sample(_Plain):
    """`count` translations drawn from the model after the filters that are given."""

    count: int = 1
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    epsilon: float | None = None

    def __post_init__(self) -> None:
        fewest = min(self.count, 1 if self.top_k is None else self.top_k)
        if fewest < 1 or not 1e-3 <= self.temperature <= 1e3:
            raise InputError(
                f"Sampling needs a count of at least 1 (here {self.count}), a "
                f"temperature from 0.001 to 1000 ({self.temperature}) and top-k of at "
                f"least 1 ({self.top_k})."
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top-p must be in (0, 1], not {self.top_p}.")
        if self.epsilon is not None and not 0 <= self.epsilon < 1:
            raise InputError(f"epsilon must be in [0, 1), not {self.epsilon}.")

    @property
    def select(self) -> Select:
        filters = [sampling.temperature(self.temperature)]
        if self.top_k is not None:
            filters.append(sampling.top_k(self.top_k))
        if self.top_p is not None:
            filters.append(sampling.nucleus(self.top_p))
        if self.epsilon is not None:
            filters.append(sampling.epsilon(self.epsilon))
        return Lanes(sampling.drawn(*filters))


@dataclass(frozen=True, kw_only=True)
class MinimumRisk(Sample):
    """Of `count` samples the `keep` that most resemble all others, by chrF.

    Minimum Bayes risk; Eikema & Aziz 2020. Samples without the unlikeliest tokens are
    the better ones to compare (Freitag et al. 2023).
    """

    count: int = 32
    epsilon: float | None = 0.02
    keep: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.keep <= self.count:
            raise InputError(
                f"Of {self.count} samples from 1 to {self.count} can be kept, not "
                f"{self.keep}. Draw more or keep fewer."
            )

    def ranked(self, texts: Sequence[str]) -> list[int]:
        return mbr.choose(texts)[: self.keep]


@dataclass(frozen=True, kw_only=True)
class Alternatives(_Plain):
    """The `count` likeliest words to go on with after a prefix, each to its end.

    Greedy but for that word.
    """

    count: int = 5

    def __post_init__(self) -> None:
        if self.count < 1:
            raise InputError(f"There is no use in {self.count} alternatives.")

    @property
    def select(self) -> Select:
        return selects.Branch.of(0)
