"""Which pairs of the training corpora are kept; worked out once and remembered."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from transformer import cleaning, corpora, faults, store, workers
from transformer.cleaning import Cleaner, Report
from transformer.corpora import Corpus
from transformer.errors import InputError
from transformer.marks import Marks

FORMAT = 1
"""Raised when a rule changes, so that selections by the old one are not used."""


class Selection(NamedTuple):
    """What cleaning came to for one corpus."""

    kept: Bool[np.ndarray, " n"]
    """Whether each of its pairs is."""
    report: Report


def select(
    several: Sequence[Corpus],
    fingerprint: dict[str, str],
    held_out: Marks,
    dropping: Collection[str],
) -> list[Selection]:
    """Cleans the corpora in their order, as what comes later may repeat the earlier.

    Args:
        fingerprint: of all of them.
        held_out: marks of the sentences that training should not see, sorted.
        dropping: the rules that drop.

    Raises:
        InputError: if a corpus cannot be read, or nothing of it is left.
    """
    languages = [(corpus.source, corpus.target) for corpus in several]
    seen = hashlib.sha256(held_out.tobytes()).hexdigest()
    follows = [FORMAT, languages, list(fingerprint.values()), seen, sorted(dropping)]
    path = store.cache() / "selections" / key(follows)
    if not path.exists():
        cleaner = Cleaner(dropping, held_out)
        found = [_clean(corpus, cleaner) for corpus in several]
        store.make(path, partial(_write, selections=found))
    return [_read(path / str(number)) for number in range(len(several))]


def key(follows: object) -> str:
    """A name for what follows from these plain values."""
    return hashlib.sha256(json.dumps(follows).encode()).hexdigest()[:32]


def _clean(corpus: Corpus, cleaner: Cleaner) -> Selection:
    inspect = partial(faults.inspect, languages=(corpus.source, corpus.target))
    found = workers.ordered(inspect, cleaning.chunks(corpora.pairs(corpus)))
    report = Report()
    kept = [np.zeros(0, bool), *(cleaner.keep(*one, report) for one in found)]
    selection = Selection(np.concatenate(kept), report)
    if not selection.kept.any():
        raise InputError(
            f"No pair is left of the corpus {corpus}: {report.read} read, "
            f"dropped as {dict(report.dropped)}."
        )
    return selection


def _write(folder: Path, selections: Sequence[Selection]) -> None:
    for number, (kept, report) in enumerate(selections):
        np.save(folder / f"{number}.npy", kept)
        text = json.dumps(vars(report))
        (folder / f"{number}.json").write_text(text, "utf-8")


def _read(path: Path) -> Selection:
    values = json.loads(path.with_suffix(".json").read_text("utf-8"))
    counts = Counter(values["dropped"]), Counter(values["noted"])
    examples = {rule: (pair[0], pair[1]) for rule, pair in values["examples"].items()}
    report = Report(values["read"], *counts, examples)
    return Selection(np.load(path.with_suffix(".npy")), report)
