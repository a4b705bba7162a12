"""Multi30k En-De as token ids in one file, which we and the rivals all read.

    python -m benchmarks.pairs [--vocabulary 8000]

The pairs have gone through this project's own cleaning and joint tokenizer once; the
file is kept in the cache folder. Its arrays: `source_ids` and `target_ids`, all
sentences end to end without special tokens; `source_offsets` and `target_offsets`,
where each begins; `vocabulary`, `pad`, `bos`, `eos`.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import tyro

from transformer import dataset, store, symbols
from transformer.config import (
    Config,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from transformer.dataset import Dataset
from transformer.errors import InputError
from transformer.store import Side, Store

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "data" / "multi30k"


def file(vocabulary: int) -> Path:
    """The file for a tokenizer of at most so many pieces; written where missing.

    It is named by what it holds: what was prepared by other rules, or from another
    corpus, is another file. Preparing reads again what it has worked out before.

    Raises:
        InputError: if there is no corpus.
    """
    arrays = _arrays(prepared(vocabulary))
    folder = store.cache() / "benchmarks"
    path = folder / f"multi30k-en-de-{vocabulary}-{_digest(arrays)}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f"{os.getpid()}-{path.name}"
        np.savez(draft, allow_pickle=False, **arrays)
        draft.replace(path)
    return path


def read(path: Path) -> tuple[Store, int]:
    """The pairs, and the size of the vocabulary that the tokenizer found."""
    with np.load(path) as arrays:
        sides = [
            Side(arrays[f"{side}_ids"], arrays[f"{side}_offsets"])
            for side in store.SIDES
        ]
        return Store(*sides), int(arrays["vocabulary"])


def prepared(vocabulary: int) -> Dataset:
    """The corpus, cleaned and tokenised. Raises `InputError` if there is none."""
    if not CORPUS.is_dir():
        raise InputError(
            f"The real regime needs Multi30k as {CORPUS}/train.en.xz, train.de.xz, "
            "valid.en and valid.de. Put it there, or use --regime dense."
        )
    data = dataset.prepare(_config(vocabulary))
    assert data.fitting.all(), "captions are short"
    return data


def _arrays(data: Dataset) -> dict[str, np.ndarray]:
    sides = {
        f"{name}_{part}": np.array(getattr(side, part))
        for name, side in zip(store.SIDES, data.store, strict=True)
        for part in ("ids", "offsets")
    }
    numbers = {
        "vocabulary": data.tokenizers.target.size,
        "pad": symbols.PAD,
        "bos": symbols.BOS,
        "eos": symbols.EOS,
    }
    return sides | {name: np.array(number) for name, number in numbers.items()}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    found = hashlib.sha256()
    for name, array in arrays.items():
        found.update(name.encode() + array.tobytes())
    return found.hexdigest()[:16]


def _config(vocabulary: int) -> Config:
    """Only the data and the vocabulary matter."""
    return Config(
        model=ModelConfig(vocab_size=vocabulary),
        data=DataConfig(
            train=(str(CORPUS / "train"),),
            valid=(str(CORPUS / "valid"),),
            source="en",
            target="de",
        ),
        optimizer=OptimizerConfig(peak=1e-3, warmup=1),
        training=TrainingConfig(steps=1),
    )


def main(vocabulary: int = 8000) -> None:
    """Writes the file, unless it is there, and prints where it is."""
    print(file(vocabulary))


if __name__ == "__main__":
    tyro.cli(main)
