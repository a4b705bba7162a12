"""Which pairs of the training corpora are kept; worked out once and remembered."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from transformer import cleaning, corpora, faults, store, workers
from transformer.cleaning import Cleaner, Report
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.marks import Marks

FORMAT = 2
"""Raised when a rule changes, so that selections by the old one are not used."""


Kept = Bool[np.ndarray, " _"]
"""Whether each pair of a corpus is."""


def select(
    train: Sequence[Corpus],
    fingerprints: Sequence[dict[str, str]],
    held_out: Marks,
    dropping: Collection[str],
) -> tuple[list[Kept], list[Report]]:
    """Cleans the corpora in their order, as what comes later may repeat the earlier.

    Args:
        held_out: marks of the sentences that training should not see, sorted.
        dropping: the rules that drop.

    Raises:
        InputError: if a corpus cannot be read, or nothing of it is left.
    """
    read = [
        (corpus.source, corpus.target, list(files.values()))
        for corpus, files in zip(train, fingerprints, strict=True)
    ]
    name = key([FORMAT, read, _digest(held_out), sorted(dropping)])
    path = store.cache() / "selections" / name

    def write() -> None:
        cleaner = Cleaner(dropping, held_out)
        found = [_clean(corpus, cleaner) for corpus in train]
        store.make(path, partial(_write, found=found))

    found = store.kept(
        path, write, lambda: [_read(path / str(n)) for n in range(len(train))]
    )
    return [kept for kept, _ in found], [report for _, report in found]


def marks(fingerprints: Sequence[dict[str, str]], kept: Sequence[Kept]) -> list[str]:
    """What stands for the text that is kept of each corpus."""
    return [
        key([list(files.values()), _digest(np.packbits(clean))])
        for files, clean in zip(fingerprints, kept, strict=True)
    ]


def key(follows: object) -> str:
    """A name for what follows from these plain values."""
    return hashlib.sha256(json.dumps(follows).encode()).hexdigest()[:32]


def _digest(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _clean(corpus: Corpus, cleaner: Cleaner) -> tuple[Kept, Report]:
    inspect = partial(faults.inspect, languages=(corpus.source, corpus.target))
    found = workers.ordered(inspect, cleaning.chunks(corpora.pairs(corpus)))
    report = Report()
    parts = [np.zeros(0, bool), *(cleaner.keep(*one, report) for one in found)]
    kept = np.concatenate(parts)
    if not kept.any():
        raise InputError(
            f"No pair is left of the corpus {corpus}: {report.read} read, "
            f"dropped as {dict(report.dropped)}. Give other text, or name rules that "
            "shall only report with data.keep."
        )
    return kept, report


def _write(folder: Path, found: Sequence[tuple[Kept, Report]]) -> None:
    for number, (kept, report) in enumerate(found):
        np.save(folder / f"{number}.npy", kept)
        text = json.dumps(vars(report))
        (folder / f"{number}.json").write_text(text, "utf-8")


def _read(path: Path) -> tuple[Kept, Report]:
    values = json.loads(path.with_suffix(".json").read_text("utf-8"))
    counts = Counter(values["dropped"]), Counter(values["noted"])
    examples = {rule: (pair[0], pair[1]) for rule, pair in values["examples"].items()}
    report = Report(values["read"], *counts, examples)
    return np.load(path.with_suffix(".npy")), report
