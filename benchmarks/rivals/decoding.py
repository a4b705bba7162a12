"""What the rivals of benchmarks/decode.py share; needs nothing of this project.

A folder holds the network: model.json with its sizes and kinds, weights.npz with its
parameters by path (matrices map rows to columns), tokenizer.model where there is one.
A rival searches and scores. It serves: each line of standard input is a request in
JSON, each line of standard output the answer. Ids of sources end in EOS, those of
targets do not; a translation forced to n tokens takes n steps of the decoder.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

PAD, BOS, EOS, UNK = 0, 1, 2, 3
ALPHA = 0.6
"""Exponent of the length penalty; each toolkit has a formula of its own."""
EPSILON = 1e-6
"""Of layer norms."""
WIDTH = 4
"""Hypotheses when a text is translated."""

Ids = list[int]


class Decoder(Protocol):
    def search(
        self, sources: list[Ids], width: int, forced: int | None
    ) -> list[Ids]: ...

    def score(self, sources: list[Ids], targets: list[Ids]) -> list[list[float]]:
        """Log-probabilities of each target's tokens and of EOS behind them."""
        ...


class Network(NamedTuple):
    """What is in the folder."""

    cfg: dict[str, Any]
    weights: dict[str, np.ndarray]

    def matrix(self, name: str) -> np.ndarray:
        """The kernel as outputs by inputs, heads joined."""
        kernel = self.weights[f"{name}/kernel"]
        if kernel.ndim == 2:
            return kernel.T
        if name.endswith("/output"):  # heads in
            return kernel.reshape(-1, kernel.shape[-1]).T
        return kernel.reshape(kernel.shape[0], -1).T


def network(folder: Path) -> Network:
    """Reads it. Raises `ValueError` if it is none that a rival can be given."""
    cfg = json.loads((folder / "model.json").read_text("utf-8"))
    if (
        cfg["activation"] != "relu"
        or cfg["positions"] == "rotary"
        or cfg["source_vocab_size"] is not None
        or cfg["distinct_layers"] is not None
    ):
        raise ValueError(
            "converted are networks with ReLU, added positions, a joint vocabulary and "
            "layers that share nothing"
        )
    with np.load(folder / "weights.npz") as arrays:
        return Network(cfg, dict(arrays))


def limit(source: Ids) -> int:
    """Most tokens of a translation that is not forced, EOS included."""
    return 2 * len(source) + 10


def by_length(
    sources: list[Ids], rows: int, search: Callable[[list[Ids]], list[Ids]]
) -> list[Ids]:
    """Searches for sentences of similar length together, and restores the order."""
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    found: dict[int, Ids] = {}
    for start in range(0, len(order), rows):
        chunk = order[start : start + rows]
        found |= zip(chunk, search([sources[i] for i in chunk]), strict=True)
    return [found[i] for i in range(len(sources))]


def cores() -> int:
    """Those that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def serve(name: str, decoder: Decoder) -> None:
    """Answers requests until there are no more; first says who answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    say({"name": name})
    for line in sys.stdin:
        request = json.loads(line)
        if "targets" in request:
            say({"log_probs": decoder.score(request["sources"], request["targets"])})
        else:
            say(_timed(decoder, **request))


def _timed(
    decoder: Decoder,
    sources: list[Ids],
    batch: int | None,
    width: int,
    forced: int | None,
) -> dict[str, Any]:
    """Translates `batch` sentences at a time, or all at once."""
    rows, targets = batch or len(sources), []
    start = time.perf_counter()
    for first in range(0, len(sources), rows):
        targets += decoder.search(sources[first : first + rows], width, forced)
    return {"seconds": time.perf_counter() - start, "targets": targets}


def run(name: str, build: Callable[[Path, str], Decoder]) -> None:
    """The whole script of a rival: serves, or translates one text and prints it."""
    parser = argparse.ArgumentParser(description=f"Translates with {name}.")
    parser.add_argument("folder", type=Path, help="of the network")
    parser.add_argument("--compute", default="float32", help="type of the products")
    parser.add_argument("--text", help="to be translated; without, requests are read")
    args = parser.parse_args()
    decoder = build(args.folder, args.compute)
    if args.text is None:
        serve(f"{name} {args.compute}", decoder)
    else:
        print(_translated(decoder, args.folder, args.text))


def _translated(decoder: Decoder, folder: Path, text: str) -> str:
    import sentencepiece

    tokenizer = sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))
    [ids] = decoder.search([[*tokenizer.encode(text), EOS]], WIDTH, None)
    return tokenizer.decode(ids)
