"""A model becomes a function from text to text."""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh
from jax.typing import DTypeLike

from transformer import (
    alignments,
    devices,
    folder,
    lines,
    networks,
    parallel,
    scoring,
    seating,
    tokenizer,
    weights,
)
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


class Translator:
    """Translates with one model, or several.

    The shape a sentence is computed in depends on its length alone, so that it gets
    the same translation in whatever company it comes.

    Args:
        params: what `model.init` returns.
        longest: source tokens the model was trained for; longer text is split.
        mesh: devices that share the rows of every batch; without, there is one device.
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
        others: Sequence[tuple[Transformer, Params]] = (),
        fitting: bool = False,
    ) -> None:
        mesh = mesh or parallel.alone()
        self.model, self.params = model, params
        self.tokenizers, self.longest = tokenizers, longest
        models, every = zip((model, params), *others, strict=True)
        network, self._joint = networks.ensemble(models, every)
        rows = devices.decoding_rows() * parallel.groups(mesh)
        engine = Engine(network, mesh, rows, fitting=fitting)
        self._office = Office(engine, tokenizers)

    def with_params(self, params: Params) -> "Translator":
        """The same translator, its compiled programs included, with other weights."""
        other = copy.copy(self)
        other.params = params
        _, other._joint = networks.ensemble([self.model], [params])
        return other

    def translate(
        self,
        texts: Sequence[str],
        *,
        beam: int = 4,
        strategy: Strategy | None = None,
        control: Control | None = None,
        seed: int = 0,
        first_line: int = 0,
        align: bool = False,
    ) -> list[Translation]:
        """One translation for each text, in order; empty text gives empty text.

        Args:
            beam: hypotheses of the beam search.
            strategy: any other way to search, e.g. `Sample(top_k=10)`.
            seed: with the number of the line, counted from `first_line`, and of the
                part of it, decides what is drawn where the strategy draws.
            align: also says which words belong together.
        """
        strategy, control = strategy or Beam(width=beam), control or Control()
        parsed = [self._parse(raw) for raw in texts]
        tasks = [
            task
            for number, line in enumerate(parsed, start=first_line)
            for task in self._tasks(number, line, strategy, control)
        ]
        outcomes = self._office.outcomes(self._joint, tasks, seed)
        wanted = [
            None if line.tagged else int(align) for line in parsed for _ in line.parts
        ]
        parts = iter(self._linked(tasks, outcomes, wanted))
        found = []
        for line in parsed:
            one = lines.translation(line, list(islice(parts, len(line.parts))))
            found.append(one if align else one._replace(alignment=None))
        return found

    def outcomes(self, raw: str, strategy: Strategy) -> list[tuple[Task, Outcome]]:
        """What is asked for each part of a text, and what is found."""
        tasks = list(self._tasks(0, self._parse(raw), strategy, Control()))
        found = self._office.outcomes(self._joint, tasks, 0)
        return list(zip(tasks, found, strict=True))

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

    def _parse(self, raw: str) -> Line:
        encode = self.tokenizers.source.encode
        limit = self.longest - 1  # and EOS
        return lines.parse(raw, limit, lambda part: len(encode(part)))

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
            )

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
        longest = most(self.longest)
        found = iter(
            alignments.align(self.model, self.params, self.tokenizers, texts, longest)
        )
        for outcome, best in zip(outcomes, chosen, strict=True):
            yield Part(outcome, list(islice(found, len(best))))


def load(
    path: str | Path, *others: str | Path, precision: str = "auto", fast: bool = False
) -> Translator:
    """The translator in a model folder, or of several with the same tokenizers.

    Args:
        precision: "float32", "bfloat16", or what the device does best.
        fast: `fitting` of the `Translator`.

    Raises:
        InputError: if one is no model folder, or holds no intact weights yet, or if
            their tokenizers differ.
    """
    (tokenizers, model, params, longest), *more = (
        _load(Path(one), devices.dtype(precision)) for one in (path, *others)
    )
    for other, (theirs, *_) in zip(others, more, strict=True):
        if [t.model for t in theirs] != [t.model for t in tokenizers]:
            raise InputError(
                f"{other} and {path} have different tokenizers, and cannot translate "
                "together. Train them on the same data with the same settings of it."
            )
    return Translator(
        model,
        params,
        tokenizers,
        longest,
        others=[(model, params) for _, model, params, _ in more],
        fitting=fast,
    )


def _load(path: Path, dtype: DTypeLike) -> tuple[Tokenizers, Transformer, Params, int]:
    description = folder.describe(path)
    model = Transformer(description.model, dtype)
    tokenizers = tokenizer.load_both(path)
    params = weights.load(path, model)
    return tokenizers, model, params, description.config.data.max_length
