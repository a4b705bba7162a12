"""The fast path against the float64 reference, sentence by sentence.

Both search in the same way, so they find the same translation, unless two hypotheses
are so nearly alike that rounding decides between them: a tie.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from transformer import reference, seating
from transformer.axes import Params
from transformer.config import ModelConfig
from transformer.reference import Decision
from transformer.strategies import Beam
from transformer.tokenizer import Tokenizers
from transformer.translator import Translator

TOLERANCE = 2e-5
"""Of a score, relative to it or to 1, whichever is more.

A float32 is off by up to 6e-8 of itself. After the operations of a whole network, one
upon the other, that was 1.4e-6 at most in 1,000 sentences of a trained model of 8
layers; 15 times that leaves room for other models, and excuses few sentences that
rounding does not.
"""

Verdict = Literal["equal", "tie", "difference"]


class Request(NamedTuple):
    """A sentence, or a part of a long one, as the search sees it."""

    ids: Sequence[int]
    """Source tokens, EOS included."""
    limit: int
    """Most tokens of its translation, EOS included."""


class Result(NamedTuple):
    """The best translation that the fast path found."""

    tokens: Sequence[int]
    """EOS included."""
    score: float


@runtime_checkable
class Subject(Protocol):
    """What is verified: a translator, as far as it deals in token ids."""

    @property
    def cfg(self) -> ModelConfig: ...
    @property
    def params(self) -> Params: ...
    @property
    def tokenizers(self) -> Tokenizers: ...

    def requests(self, text: str) -> list[Request]:
        """The parts of a text; none if it is empty."""
        ...

    def search(
        self, requests: Sequence[Request], *, width: int, alpha: float
    ) -> list[Result]:
        """Plain beam search: no rule but the limit, no length penalty but GNMT's."""
        ...


class Fast(NamedTuple):
    """A translator as what is verified."""

    translator: Translator

    @property
    def cfg(self) -> ModelConfig:
        return self.translator.model.cfg

    @property
    def params(self) -> Params:
        return self.translator.params

    @property
    def tokenizers(self) -> Tokenizers:
        return self.translator.tokenizers

    def requests(self, text: str) -> list[Request]:
        parts = self.translator.parts(text)
        return [Request(ids, seating.most(len(ids))) for ids in parts]

    def search(
        self, requests: Sequence[Request], *, width: int, alpha: float
    ) -> list[Result]:
        strategy = Beam(width=width, alpha=alpha)
        sources = [request.ids for request in requests]
        found = self.translator.search(sources, strategy=strategy)
        return [Result(best[0].ids, best[0].score) for best in found]


class Side(NamedTuple):
    """What one of the two found."""

    text: str
    tokens: tuple[int, ...]
    score: float
    """By the reference, in float64."""


class Outcome(NamedTuple):
    """What both made of one sentence."""

    line: int
    """Counted from 1."""
    source: str
    fast: Side
    slow: Side
    reported: float
    """What the fast path takes for the score of its translation."""
    narrowest: Decision
    """Of the reference's search."""

    @property
    def error(self) -> float:
        """Of the reported score."""
        return abs(self.reported - self.fast.score)

    @property
    def gap(self) -> float:
        """Between the scores of the two translations."""
        return abs(self.fast.score - self.slow.score)

    @property
    def verdict(self) -> Verdict:
        """A tie if rounding can have decided between the two translations.

        Either because they score alike, or because two hypotheses did of which the beam
        had room for one. A wrong score is a difference in any case.
        """
        allowed = TOLERANCE * max(1.0, abs(self.fast.score))
        if self.error > allowed:
            return "difference"
        if self.fast.tokens == self.slow.tokens:
            return "equal"
        near = min(self.gap, self.narrowest.margin) <= allowed
        return "tie" if near else "difference"


def verify(
    subject: Subject, texts: Sequence[str], *, width: int = 4, alpha: float = 0.6
) -> Iterator[list[Outcome]]:
    """For each text, the outcomes of its parts. The fast path does all texts first."""
    requests = [subject.requests(text) for text in texts]
    every = [request for parts in requests for request in parts]
    results = iter(subject.search(every, width=width, alpha=alpha))
    params = reference.double(subject.params)
    judge = _Judge(subject.cfg, params, subject.tokenizers, width, alpha)
    for line, parts in enumerate(requests, start=1):
        yield [judge(line, request, next(results)) for request in parts]


class _Judge(NamedTuple):
    """Searches again, and compares."""

    cfg: ModelConfig
    params: Params
    tokenizers: Tokenizers
    width: int
    alpha: float

    def __call__(self, line: int, request: Request, result: Result) -> Outcome:
        ids, limit = request
        found = reference.beam(
            self.cfg, self.params, ids, width=self.width, alpha=self.alpha, limit=limit
        )
        fast = tuple(result.tokens)
        gains = reference.rescore(self.cfg, self.params, ids, fast)
        score = float(gains.sum()) / reference.penalty(len(fast), self.alpha)
        return Outcome(
            line=line,
            source=self.tokenizers.source.decode(ids),
            fast=self._side(fast, score),
            slow=self._side(*found.best[0]),
            reported=result.score,
            narrowest=found.narrowest,
        )

    def _side(self, tokens: tuple[int, ...], score: float) -> Side:
        return Side(self.tokenizers.target.decode(tokens), tokens, score)


def passed(outcomes: Sequence[Outcome]) -> bool:
    return all(outcome.verdict != "difference" for outcome in outcomes)


def report(outcomes: Sequence[Outcome]) -> str:
    """Counts, the largest error of a score, and all that is not equal, for people."""
    count = Counter(outcome.verdict for outcome in outcomes)
    lines = [
        f"{len(outcomes):,} sentences: {count['equal']:,} equal, "
        f"{count['tie']:,} tied, {count['difference']:,} different."
    ]
    if outcomes:
        worst = max(outcomes, key=lambda outcome: outcome.error)
        lines.append(
            f"The fast path's scores are off by at most {worst.error:.1e} "
            f"(line {worst.line}: {worst.reported:.6f}, in float64 "
            f"{worst.fast.score:.6f})."
        )
    for outcome in outcomes:
        if outcome.verdict != "equal":
            lines += ["", *_described(outcome)]
    return "\n".join(lines)


def _described(outcome: Outcome) -> Iterator[str]:
    yield f"Line {outcome.line}, {outcome.verdict}: {outcome.source}"
    yield f"  fast       {outcome.fast.score:12.7f}  {outcome.fast.text}"
    yield f"  reference  {outcome.slow.score:12.7f}  {outcome.slow.text}"
    margin, length = outcome.narrowest
    yield (
        f"  The scores differ by {outcome.gap:.1e}; the narrowest decision of the "
        f"search, at token {length}, was by {margin:.1e}; the fast path's own score "
        f"is off by {outcome.error:.1e}."
    )
