"""A model becomes a function from text to text."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from jax.sharding import Mesh

from transformer import (
    alignments,
    devices,
    lines,
    networks,
    parallel,
    scoring,
    seating,
)
from transformer.alignments import Alignment
from transformer.axes import Params
from transformer.cleaning import Pair
from transformer.engine import Engine
from transformer.errors import InputError
from transformer.lines import Line, Part, Translation
from transformer.model import Transformer
from transformer.parts import Office, Outcome
from transformer.scoring import Score
from transformer.search import Rule
from transformer.seating import RATIO, most
from transformer.spans import KINDS, Kinds
from transformer.strategies import Beam, Strategy
from transformer.symbols import EOS
from transformer.tasks import Found, Task
from transformer.terms import Wish
from transformer.tokenizer import Tokenizers


class Control(NamedTuple):
    """What a translation shall be like, whatever the strategy."""

    rules: tuple[Rule, ...] = ()
    """For every step of the search; see `rules`."""
    fewest: int = 0
    """Least tokens, EOS included, as far as the limit allows."""
    ratio: float = RATIO
    """Most tokens for each of the source, up to 2."""
    prefix: str = ""
    """How the translation of each text begins."""
    wish: Callable[[str], Wish] = lambda part: Wish()
    """The phrases that must and must not stand in the translation of a sentence, e.g.
    those of a glossary, `terms.Glossary.wish`."""
    kinds: Kinds = KINDS
    """Of spans that come over unchanged; `spans.WITH_NUMBERS` are all."""


class Translator:
    """Translates with one model, or several.

    The shape a sentence is computed in depends on its length alone, so that it gets
    the same translation in whatever company it comes.

    Args:
        params: what `model.init` returns.
        longest: source tokens the model was trained for; longer text is split.
        mesh: devices that share the rows of every batch; without, there is one device.
        targets: the languages it translates into, if that is known; of several the
            tokenizers have tags.
        others: more models of the same tokenizers, for the mean of all.
        fitting: shapes also depend on how many texts come together. Faster for few of
            them, but the last bits of a score, and so rarely a translation, can differ.
    """

    def __init__(
        self,
        model: Transformer,
        params: Params,
        tokenizers: Tokenizers,
        longest: int,
        mesh: Mesh | None = None,
        *,
        targets: tuple[str, ...] = (),
        others: Sequence[tuple[Transformer, Params]] = (),
        fitting: bool = False,
    ) -> None:
        mesh = mesh or parallel.alone()
        self.model, self.params = model, params
        self.targets, self.longest = targets, longest
        if len(targets) == 1:
            tokenizers = tokenizers.toward(*targets)
        self.tokenizers = tokenizers
        models, every = zip((model, params), *others, strict=True)
        network, self._joint = networks.ensemble(models, every)
        sizes = devices.decoding(mesh)
        self._engine = Engine(network, mesh, sizes, fitting=fitting)
        self._office = Office(self._engine, tokenizers)

    def with_params(self, params: Params) -> "Translator":
        """The same translator, its compiled programs included, with other weights."""
        other = copy.copy(self)
        other.params = params
        _, other._joint = networks.ensemble([self.model], [params])
        return other

    def toward(self, language: str | None) -> "Translator":
        """The same translator for one language, or for its only one.

        Raises:
            InputError: if it does not translate into `language`, or if that is None and
                there are several.
        """
        there = ", ".join(self.targets) or "a language that nobody named"
        if language is None and len(self.targets) > 1:
            raise InputError(
                f"The model translates into {there}. Say which: --to {self.targets[0]} "
                f"of translate.py, to={self.targets[0]!r} in Python."
            )
        if language is None or self.targets == (language,):
            return self
        if language not in self.targets:
            raise InputError(
                f"The model does not translate into {language!r}, only into {there}."
            )
        other = copy.copy(self)
        other.targets = (language,)
        other.tokenizers = self.tokenizers.toward(language)
        other._office = Office(self._engine, other.tokenizers)
        return other

    def translate(
        self,
        texts: Sequence[str],
        *,
        to: str | None = None,
        beam: int = 4,
        strategy: Strategy | None = None,
        control: Control | None = None,
        seed: int = 0,
        first_line: int = 0,
        align: bool = False,
    ) -> list[Translation]:
        """One translation for each text, in order; empty text gives empty text.

        Args:
            to: the language to translate into; needed if the model has several.
            beam: hypotheses of the beam search.
            strategy: any other way to search, e.g. `Sample(top_k=10)`.
            seed: with the number of the line, counted from `first_line`, and of the
                part of it, decides what is drawn where the strategy draws.
            align: also says which words belong together.

        Raises:
            InputError: if the model does not translate into `to`.
        """
        told = self.toward(to)
        if told is not self:
            return told.translate(
                texts,
                strategy=strategy or Beam(width=beam),
                control=control,
                seed=seed,
                first_line=first_line,
                align=align,
            )
        strategy, control = strategy or Beam(width=beam), control or Control()
        parsed = [self._parse(raw, control.kinds) for raw in texts]
        tasks = [
            task
            for number, line in enumerate(parsed, start=first_line)
            for task in self._tasks(number, line, strategy, control)
        ]
        outcomes = self._office.outcomes(self._joint, tasks, seed, self._aligned)
        found = self._together(parsed, tasks, outcomes, int(align))
        return [one if align else one._replace(alignment=None) for one in found]

    def outcomes(
        self, raw: str, strategy: Strategy
    ) -> tuple[Translation, list[tuple[Task, Outcome]]]:
        """A translation, and what was asked for and found for each part of the text."""
        line = self._parse(raw)
        tasks = list(self._tasks(0, line, strategy, Control()))
        found = self._office.outcomes(self._joint, tasks, 0, self._aligned)
        (translation,) = self._together([line], tasks, found, 0)
        return translation, list(zip(tasks, found, strict=True))

    def rooms(self, texts: Iterable[str]) -> set[int]:
        """The source shapes that translating `texts` needs, each compiled once."""
        return {seating.room(len(ids)) for t in texts for ids in self.parts(t)}

    def search(
        self,
        sources: Sequence[Sequence[int]],
        *,
        beam: int = 4,
        strategy: Strategy | None = None,
        fewest: int = 0,
        ratio: float = RATIO,
        seed: int = 0,
    ) -> list[list[Found]]:
        """Translations of token ids that end with EOS, best first; nothing is checked.

        Args:
            fewest, ratio: as in `Control`.
        """
        strategy = strategy or Beam(width=beam)
        tasks = [
            Task("", tuple(ids), (n, 0), strategy, fewest=fewest, ratio=ratio)
            for n, ids in enumerate(sources)
        ]
        return self._office.searched(self._joint, tasks, seed)

    def parts(self, raw: str) -> list[list[int]]:
        """Token ids of the parts that a text is translated in, EOS at their ends."""
        encode = self.tokenizers.source.encode
        return [[*encode(part), EOS] for part in self._parse(raw).parts]

    def score(self, pairs: Sequence[Pair]) -> list[Score | None]:
        """How likely each target is, given its source; None where one is too long."""
        ids = [scoring.encode(self.tokenizers, pair) for pair in pairs]
        return scoring.score(self.model, self.params, ids, self.longest)

    def _parse(self, raw: str, kinds: Kinds = KINDS) -> Line:
        encode = self.tokenizers.source.encode
        limit = self.longest - 1  # and EOS
        return lines.parse(raw, limit, lambda part: len(encode(part)), kinds)

    def _tasks(
        self, number: int, line: Line, strategy: Strategy, control: Control
    ) -> Iterator[Task]:
        source, target = self.tokenizers
        prefix = tuple(target.encode(control.prefix))
        for place, part in enumerate(line.parts):
            required, banned = control.wish(part)
            yield Task(
                text=part,
                ids=(*source.encode(part), EOS),
                place=(number, place),
                strategy=strategy,
                rules=control.rules,
                fewest=control.fewest,
                ratio=control.ratio,
                prefix=() if place else prefix,
                required=required,
                banned=banned,
                kinds=control.kinds,
            )

    def _together(
        self, parsed: list[Line], tasks: list[Task], outcomes: list[Outcome], count: int
    ) -> list[Translation]:
        """Of each line, from its parts, of which so many are aligned; all for tags."""
        wanted = [None if line.tagged else count for line in parsed for _ in line.parts]
        parts = iter(self._linked(tasks, outcomes, wanted))
        return [
            lines.translation(line, list(islice(parts, len(line.parts))))
            for line in parsed
        ]

    def _linked(
        self, tasks: list[Task], outcomes: list[Outcome], wanted: list[int | None]
    ) -> Iterator[Part]:
        """Aligns so many of the translations of each part, or all, for their tags."""
        chosen = [o.best[:n] for o, n in zip(outcomes, wanted, strict=True)]
        texts = [
            (task.text, one.text)
            for task, best in zip(tasks, chosen, strict=True)
            for one in best
        ]
        found = iter(self._aligned(texts))
        for outcome, best in zip(outcomes, chosen, strict=True):
            yield Part(outcome, list(islice(found, len(best))))

    def _aligned(self, texts: Sequence[Pair]) -> list[Alignment | None]:
        longest = most(self.longest)
        return alignments.align(
            self.model, self.params, self.tokenizers, texts, longest
        )
