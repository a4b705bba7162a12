"""A model becomes a function from text to text."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int, Key

from transformer import devices, folder, parallel, text, tokenizer, weights
from transformer.axes import Params
from transformer.model import Transformer
from transformer.search import Hypotheses
from transformer.strategies import Beam, Strategy
from transformer.symbols import EOS, PAD
from transformer.tokenizer import Tokenizers

SHORTEST = 16
"""Positions of the smallest source shape; each further one has twice as many."""

RATIO, EXTRA = 2, 10
"""A translation has at most RATIO × the source's tokens + EXTRA, EOS included."""


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
        self._rows = devices.decoding_rows() * parallel.groups(self._mesh)
        self._search = jax.jit(
            partial(_search, model),
            static_argnames=("strategy", "length"),
            out_shardings=parallel.whole(self._mesh),
        )

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
        order = sorted(range(len(parts)), key=lambda i: len(parts[i].ids))
        key = jax.random.key(seed)
        started = [
            (chunk, self._start([parts[i] for i in chunk], strategy, key, first_line))
            for chunk in _chunks(order, parts, self._rows)
        ]
        found: dict[int, list[Translation]] = {}
        for chunk, hypotheses in started:
            found |= zip(chunk, self._read(hypotheses), strict=False)
        by_line: list[list[int]] = [[] for _ in texts]
        for number, part in enumerate(parts):
            by_line[part.line].append(number)
        return [
            _joined([parts[i].text for i in numbers], [found[i] for i in numbers])
            for numbers in by_line
        ]

    def rooms(self, texts: Iterable[str]) -> set[int]:
        """The source shapes that translating `texts` needs, each compiled once."""
        return {_room(part) for t in texts for part in self._parts(0, t)}

    def _parts(self, line: int, raw: str) -> Iterator[Part]:
        encode = self.tokenizers.source.encode
        limit = self._longest - 1  # and EOS
        parts = text.split(text.normalize(raw), limit, lambda t: len(encode(t)))
        for number, part in enumerate(parts):
            if ids := encode(part):
                yield Part(line, number, part, [*ids, EOS])

    def _start(
        self, parts: list[Part], strategy: Strategy, key: Key[Array, ""], first: int
    ) -> Hypotheses:
        """Begins the search for the translations of up to `rows` parts."""
        width = _room(parts[-1])
        source = np.full((self._rows, width), PAD, np.int32)
        limits = np.ones(self._rows, np.int32)
        places = np.zeros((self._rows, 2), np.int32)
        for row, part in enumerate(parts):
            source[row, : len(part.ids)] = part.ids
            limits[row] = RATIO * len(part.ids) + EXTRA
            places[row] = first + part.line, part.number
        rows = parallel.held(self._mesh, self._rows)
        mine = source[rows], limits[rows], places[rows]
        source, limits, places = parallel.place(self._mesh, mine)
        length = RATIO * width + EXTRA
        return self._search(
            self._params, source, limits, key, places, strategy=strategy, length=length
        )

    def _read(self, hypotheses: Hypotheses) -> Iterator[list[Translation]]:
        """The translations of each row, best first."""
        for row in zip(*jax.device_get(hypotheses), strict=True):
            yield [self._translation(*best) for best in zip(*row, strict=True)]

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


def _search(
    model: Transformer,
    params: Params,
    source: Int[Array, "B S"],
    limits: Int[Array, " B"],
    key: Key[Array, ""],
    places: Int[Array, "B 2"],
    *,
    strategy: Strategy,
    length: int,
) -> Hypotheses:
    memory = model.apply(params, source, train=False, method="encode")

    def step(tokens, position, cache):
        return model.apply(
            params, tokens, position, cache, memory, method="decode_step"
        )

    of_line = jax.vmap(partial(jax.random.fold_in, key))(places[:, 0])
    keys = jax.vmap(jax.random.fold_in)(of_line, places[:, 1])
    cache = model.empty_cache(source.shape[0], length)
    return strategy(step, cache, limits, keys, length)


def _room(part: Part) -> int:
    """The smallest source shape that holds a part."""
    return max(SHORTEST, 1 << (len(part.ids) - 1).bit_length())


def _chunks(order: list[int], parts: list[Part], rows: int) -> Iterator[list[int]]:
    """Up to `rows` parts of one shape each; `order` is by length."""
    for _, same in groupby(order, key=lambda number: _room(parts[number])):
        numbers = list(same)
        yield from (numbers[i : i + rows] for i in range(0, len(numbers), rows))


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
