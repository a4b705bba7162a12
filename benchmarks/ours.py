"""Our decoding, as benchmarks/decode.py calls it: python -m benchmarks.ours FOLDER.

`Decoder` is the one place that knows how our engine is called.
"""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro

from benchmarks import exchange
from benchmarks.exchange import Network
from benchmarks.rivals import decoding
from benchmarks.rivals.decoding import ALPHA, Ids
from benchmarks.work import Dtype
from transformer import devices, networks, parallel, scoring
from transformer.engine import Engine
from transformer.model import Transformer
from transformer.rules import Fewest
from transformer.seating import Request, most
from transformer.strategies import Beam, Greedy
from transformer.symbols import EOS


@dataclass(frozen=True, kw_only=True)
class Command:
    folder: tyro.conf.Positional[Path]
    """Of the network."""
    compute: Dtype = "auto"
    """Type of the products."""
    exact: bool = False
    """Shapes follow from each sentence alone, as without --fast of translate.py."""


class Decoder:
    """Ours as a server of requests, like the rivals."""

    def __init__(self, network: Network, *, exact: bool = True) -> None:
        self._model, self._params = network
        own, self._ready = networks.ensemble([self._model], [self._params])
        mesh = parallel.alone()
        sizes = devices.decoding(mesh)
        self._engine = Engine(own, mesh, sizes, fitting=not exact)

    def search(self, sources: list[Ids], width: int, forced: int | None) -> list[Ids]:
        """Translations without EOS. Sources end in EOS.

        Args:
            width: of the beam; 1 is greedy.
            forced: tokens that each translation has, EOS included; None ends at EOS.
        """
        requests = [_request(ids, width, forced) for ids in sources]
        found = dict(self._engine.run(self._ready, requests))
        best = (found[number].tokens[0] for number in range(len(sources)))
        return [row[row > EOS].tolist() for row in best]

    def score(self, sources: list[Ids], targets: list[Ids]) -> list[list[float]]:
        """Log-probabilities of each target's tokens and of EOS behind them."""
        pairs = [(s, [*t, EOS]) for s, t in zip(sources, targets, strict=True)]
        longest = max(len(ids) for pair in pairs for ids in pair)
        scores = scoring.score(self._model, self._params, pairs, longest)
        return [list(score.log_probs) for score in scores if score is not None]


def _request(ids: Ids, width: int, forced: int | None) -> Request:
    strategy = Greedy() if width == 1 else Beam(width=width, alpha=ALPHA)
    if forced is None:
        return Request(ids, strategy, most(len(ids)))
    return Request(ids, strategy, forced, rules=(Fewest.of(forced),))


def main(command: Command) -> None:
    devices.keep_freed_memory()
    devices.keep_compiled_programs()
    cfg, params = exchange.read(command.folder)
    model = Transformer(cfg.cfg, devices.dtype(command.compute))
    decoder = Decoder(Network(model, params), exact=command.exact)
    kind = "each alone" if command.exact else "as they come"
    decoding.serve(
        f"ours, JAX {jax.__version__} {jnp.dtype(model.dtype).name}, {kind}", decoder
    )


if __name__ == "__main__":
    main(tyro.cli(Command, description=__doc__))
