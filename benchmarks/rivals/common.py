"""The work of benchmarks/work.py for PyTorch models; needs nothing of this project.

A rival is a module that takes source ids, target ids and labels (sentences by
positions, PAD 0) and returns the summed loss with label smoothing 0.1. It trains with
fused Adam and gradient clipping; products are float32 or, by autocast, bfloat16: of
--dtype auto, float32 on a CPU and bfloat16 on a GPU. Sentences of the real regime come
from a file of benchmarks/pairs.py, sorted by length into batches of at most so many
target positions, in random order. Rates count target tokens (EOS included) without
padding. Nothing waits for the device but the end of a window.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

PAD, BOS, EOS = 0, 1, 2
SPECIAL = 4
SMOOTHING = 0.1
DROPOUT = 0.1
DISTINCT = 8
WARM_UP = 3
LONGEST = 256
"""Positions that a model must have room for."""


class Size(NamedTuple):
    layers: int
    dim: int
    hidden_dim: int
    num_heads: int


SIZES = {
    "tiny": Size(4, 128, 256, 4),
    "base": Size(6, 512, 2048, 8),
    "big": Size(6, 1024, 4096, 16),
}


class Batch(NamedTuple):
    """By positions. Source and labels end in EOS; the target begins in BOS."""

    source: Tensor
    target: Tensor
    labels: Tensor
    tokens: int
    """Labels that are not PAD."""
    padded: bool
    """Whether the source holds PAD."""


Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The sum over labels, from states and the table; see `loss_sum`."""

Build = Callable[[Size, int, Loss], nn.Module]
"""From sizes, pieces of the vocabulary and the loss."""


def loss_sum(states: Tensor, table: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy against smoothed labels, PAD left out, logits as a whole."""
    logits = F.linear(states.flatten(0, 1), table)
    return F.cross_entropy(
        logits,
        labels.flatten(),
        ignore_index=PAD,
        label_smoothing=SMOOTHING,
        reduction="sum",
    )


def chunked_loss_sum(states: Tensor, table: Tensor, labels: Tensor) -> Tensor:
    """The same by PyTorch's own fusion of projection and loss, chunk by chunk.

    That one knows no smoothing, which is added: a smoothed loss exceeds the plain one
    by ε (score of the label - mean score), and the mean score is that of the mean row.
    """
    states, labels = states.flatten(0, 1), labels.flatten()
    options = nn.LinearCrossEntropyOptions()
    plain = F.linear_cross_entropy(
        states, table, labels, ignore_index=PAD, reduction="sum", options=options
    )
    rows = F.embedding(labels, table) - table.mean(0)
    excess = (states * rows).sum(-1) * (labels != PAD)
    return plain + SMOOTHING * excess.sum()


LOSSES = {"whole": loss_sum, "chunked": chunked_loss_sum}


def arguments(name: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Training steps of {name}.")
    parser.add_argument("--model", choices=SIZES, default="tiny")
    parser.add_argument("--regime", choices=("dense", "real"), default="dense")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--layers", type=int)
    dtypes = ("auto", "float32", "bfloat16")
    parser.add_argument("--dtype", choices=dtypes, default="auto")
    parser.add_argument("--pairs", help="the file of benchmarks/pairs.py, for real")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--windows", type=int, default=7)
    parser.add_argument("--steps", type=int, help="of each window")
    parser.add_argument("--loss", choices=LOSSES, default="whole")
    parser.add_argument(
        "--compile", choices=("default", "reduce-overhead", "max-autotune")
    )
    parser.add_argument("--json", help="also writes the figures there")
    chosen = parser.parse_args()
    if chosen.regime == "real" and not chosen.pairs:
        parser.error("--regime real needs --pairs FILE")
    return chosen


def batches(args: argparse.Namespace) -> tuple[Iterator[Batch], int]:
    """An endless stream, and the size of the vocabulary."""
    if args.regime == "dense":
        return itertools.cycle(_dense(args)), args.vocabulary
    with np.load(args.pairs) as arrays:
        assert (arrays["pad"], arrays["bos"], arrays["eos"]) == (PAD, BOS, EOS)
        sides = [_sentences(arrays, side) for side in ("source", "target")]
        return _real(*sides, budget=args.tokens), int(arrays["vocabulary"])


def _dense(args: argparse.Namespace) -> list[Batch]:
    random = np.random.default_rng(0)
    shape = (2, args.tokens // args.length, args.length - 1)
    words = (random.integers(SPECIAL, args.vocabulary, shape) for _ in range(DISTINCT))
    return [_batch(list(source), list(target)) for source, target in words]


def _sentences(arrays: np.lib.npyio.NpzFile, side: str) -> list[np.ndarray]:
    ids = arrays[f"{side}_ids"].astype(np.int64)
    return np.split(ids, arrays[f"{side}_offsets"][1:-1])


def _real(
    source: list[np.ndarray], target: list[np.ndarray], budget: int
) -> Iterator[Batch]:
    """Epoch after epoch: sorted by length, cut by budget, batches shuffled."""
    random = np.random.default_rng(0)
    longest = np.array(
        [[len(side[i]) + 1 for side in (target, source)] for i in range(len(source))]
    )
    while True:
        order = random.permutation(len(source))
        order = order[np.lexsort(longest[order].T[::-1])]
        groups = _cut(order, longest[:, 0], budget)
        for group in random.permutation(len(groups)):
            chosen = groups[group]
            yield _batch([source[i] for i in chosen], [target[i] for i in chosen])


def _cut(order: np.ndarray, lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Neighbours whose rows × longest row stay within the budget."""
    groups, start = [], 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > budget:
            groups.append(order[start:end])
            start = end
    return groups


def _batch(source: list[np.ndarray], target: list[np.ndarray]) -> Batch:
    sources, labels = _pad(source), _pad(target)
    targets = np.roll(labels, 1, axis=1)
    targets[:, 0] = BOS
    targets[targets == EOS] = PAD
    return Batch(
        *map(_tensor, (sources, targets, labels)),
        tokens=int((labels != PAD).sum()),
        padded=bool((sources == PAD).any()),
    )


def _tensor(array: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if torch.cuda.is_available() else tensor


def _pad(sentences: list[np.ndarray]) -> np.ndarray:
    rows = np.full((len(sentences), max(map(len, sentences)) + 1), PAD)
    for row, sentence in zip(rows, sentences, strict=True):
        row[: len(sentence)] = sentence
        row[len(sentence)] = EOS
    return rows


class Trainer:
    """Takes steps, window by window."""

    def __init__(self, model: nn.Module, args: argparse.Namespace) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device).train()
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True
        )
        on_gpu = self.device.type == "cuda"
        self._narrow = on_gpu if args.dtype == "auto" else args.dtype == "bfloat16"
        self._loss = self.model
        if args.compile:
            dynamic = args.regime == "real"
            self._loss = torch.compile(model, mode=args.compile, dynamic=dynamic)

    def step(self, batch: Batch) -> None:
        source, target, labels = (
            tensor.to(self.device, non_blocking=True) for tensor in batch[:3]
        )
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._narrow):
            loss = self._loss(source, target, labels, padded=batch.padded)
        (loss / batch.tokens).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def window(self, stream: Iterator[Batch], steps: int) -> tuple[int, float]:
        """Target tokens and seconds of some steps."""
        tokens, start = 0, time.perf_counter()
        for batch in itertools.islice(stream, steps):
            self.step(batch)
            tokens += batch.tokens
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return tokens, time.perf_counter() - start


def run(name: str, build: Build) -> None:
    """The whole script of a rival."""
    args = arguments(name)
    torch.manual_seed(0)
    torch.set_num_threads(_cores())
    torch.set_float32_matmul_precision("high")
    size = SIZES[args.model]
    stream, vocabulary = batches(args)
    size = size._replace(layers=args.layers or size.layers)
    model = build(size, vocabulary, LOSSES[args.loss])
    trainer = Trainer(model, args)
    start = time.perf_counter()
    trainer.window(stream, WARM_UP)
    warm_up = time.perf_counter() - start
    tokens, seconds = trainer.window(stream, WARM_UP)
    steps = args.steps or max(1, round(args.seconds / args.windows * WARM_UP / seconds))
    windows = [trainer.window(stream, steps) for _ in range(args.windows)]
    result = _result(windows) | {
        "name": name,
        "torch": torch.__version__,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "warm_up_seconds": warm_up,
        "steps": steps * args.windows,
    }
    print(json.dumps(result, indent=2))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file)


def _cores() -> int:
    """Those that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _result(windows: list[tuple[int, float]]) -> dict[str, float | int | None]:
    rates = [tokens / seconds for tokens, seconds in windows]
    unit = 1 if sys.platform == "darwin" else 1024
    on_gpu = torch.cuda.is_available()
    return {
        "tokens_per_second": statistics.median(rates),
        "slowest_window": min(rates),
        "fastest_window": max(rates),
        "peak_rss": unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "peak_device_memory": torch.cuda.max_memory_allocated() if on_gpu else None,
    }
