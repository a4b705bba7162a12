"""A model becomes a function from text to text."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jax.sharding import Mesh

from transformer import devices, folder, parallel, text, tokenizer, weights
from transformer.axes import Params
from transformer.engine import Engine
from transformer.model import Transformer
from transformer.networks import Alone
from transformer.search import Hypotheses
from transformer.seating import Request
from transformer.strategies import Beam, Strategy
from transformer.symbols import EOS, PAD
from transformer.tokenizer import Tokenizers


class Translation(NamedTuple):
    """One translation of one text."""

    text: str
    score: float
    """Log-probability, divided as the search says; the mean over parts of long text."""
    tokens: tuple[str, ...]
    """As the model wrote them: each part of a text ends with EOS, `</s>`."""
    log_probs: tuple[float, ...]
    """Of each of the tokens."""
    alternatives: tuple["Translation", ...] = ()
    """The next best ones, if several were asked for."""


class Part(NamedTuple):
    """A piece of a text that fits the model."""

    line: int
    """Which text it belongs to."""
    number: int
    """Which part of the text it is."""
    text: str
    """Blanks before the next part included."""
    ids: list[int]
    """With EOS."""


class Translator:
    """Translates with one model.

    The shape a sentence is computed in depends on its length alone, so that it gets
    the same translation in whatever company it comes.

    Args:
        params: what `model.init` returns.
        longest: source tokens the model was trained for; longer text is split.
        mesh: devices that share the rows of every batch; without, there is one device.
    """

    def __init__(
        self,
        model: Transformer,
        params: Params,
        tokenizers: Tokenizers,
        longest: int,
        mesh: Mesh | None = None,
    ) -> None:
        self._mesh = mesh or parallel.alone()
        self.tokenizers = tokenizers
        self._params = params
        self._longest = longest
        rows = devices.decoding_rows() * parallel.groups(self._mesh)
        self._engine = Engine(Alone(model), self._mesh, rows)

    def with_params(self, params: Params) -> "Translator":
        """The same translator, its compiled programs included, with other weights."""
        other = copy.copy(self)
        other._params = params
        return other

    def translate(
        self,
        texts: Sequence[str],
        *,
        beam: int = 4,
        strategy: Strategy | None = None,
        seed: int = 0,
        first_line: int = 0,
    ) -> list[Translation]:
        """One translation for each text, in order; empty text gives empty text.

        Args:
            beam: hypotheses of the beam search.
            strategy: any other way to search, e.g. `Sample(top_k=10)`.
            seed: with the number of the line, counted from `first_line`, and of the
                part of it, decides what is drawn where the strategy draws.
        """
        strategy = strategy or Beam(width=beam)
        parts = [p for line, t in enumerate(texts) for p in self._parts(line, t)]
        requests = [Request(p.ids, (first_line + p.line, p.number)) for p in parts]
        found: dict[int, list[Translation]] = {}
        for number, best in self._engine.run(self._params, requests, strategy, seed):
            found[number] = list(self._read(best))
        by_line: list[list[int]] = [[] for _ in texts]
        for number, part in enumerate(parts):
            by_line[part.line].append(number)
        return [
            _joined([parts[i].text for i in numbers], [found[i] for i in numbers])
            for numbers in by_line
        ]

    def rooms(self, texts: Iterable[str]) -> set[int]:
        """The source shapes that translating `texts` needs, each compiled once."""
        return {Request(p.ids).room for t in texts for p in self._parts(0, t)}

    def _parts(self, line: int, raw: str) -> Iterator[Part]:
        encode = self.tokenizers.source.encode
        limit = self._longest - 1  # and EOS
        parts = text.split(text.normalize(raw), limit, lambda t: len(encode(t)))
        for number, part in enumerate(parts):
            if ids := encode(part):
                yield Part(line, number, part, [*ids, EOS])

    def _read(self, best: Hypotheses) -> Iterator[Translation]:
        """The translations of one part, best first."""
        for one in zip(*best, strict=True):
            yield self._translation(*one)

    def _translation(
        self, tokens: np.ndarray, score: np.floating, log_probs: np.ndarray
    ) -> Translation:
        ids = tokens[tokens != PAD].tolist()
        target = self.tokenizers.target
        gains = log_probs[: len(ids)].tolist()
        pieces = tuple(target.piece(id) for id in ids)
        return Translation(target.decode(ids), float(score), pieces, tuple(gains))


def load(path: str | Path, *, precision: str = "auto") -> Translator:
    """The translator in a model folder.

    Raises:
        InputError: if `path` is no model folder, or holds no intact weights yet.
    """
    path = Path(path)
    description = folder.describe(path)
    tokenizers = tokenizer.load_both(path)
    model = Transformer(description.model, devices.dtype(precision))
    params = weights.load(path, model)
    return Translator(model, params, tokenizers, description.config.data.max_length)


def _joined(parts: list[str], found: list[list[Translation]]) -> Translation:
    """The translation of a text from those of its parts, each best first."""
    if not parts:
        return Translation("", 0.0, (), ())
    ranked = [
        Translation(
            text=text.rejoin(parts, [part.text for part in same_rank]),
            score=sum(part.score for part in same_rank) / len(same_rank),
            tokens=sum((part.tokens for part in same_rank), ()),
            log_probs=sum((part.log_probs for part in same_rank), ()),
        )
        for same_rank in zip(*found, strict=True)
    ]
    return ranked[0]._replace(alternatives=tuple(ranked[1:]))
