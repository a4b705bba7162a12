"""Multi30k En-De as token ids in one file, which we and the rivals all read.

    python -m benchmarks.pairs [--vocabulary 8000]

The pairs have gone through this project's own cleaning and joint tokenizer once; the
file is kept in the cache folder. Its arrays: `source_ids` and `target_ids`, all
sentences end to end without special tokens; `source_offsets` and `target_offsets`,
where each begins; `vocabulary`, `pad`, `bos`, `eos`.
"""

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
from transformer.errors import InputError
from transformer.store import Side, Store

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared" / "data" / "multi30k"


def file(vocabulary: int) -> Path:
    """The file for a tokenizer of at most so many pieces; written where missing.

    Raises:
        InputError: if there is neither the file nor the corpus.
    """
    folder = store.cache() / "benchmarks"
    path = folder / f"multi30k-en-de-{vocabulary}-v{dataset.FORMAT}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        arrays = _prepare(vocabulary)
        draft = folder / f"{os.getpid()}-{path.name}"
        np.savez(draft, **arrays)
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


def _prepare(vocabulary: int) -> dict[str, np.ndarray]:
    if not CORPUS.is_dir():
        raise InputError(
            f"The real regime needs Multi30k as {CORPUS}/train.en.xz, train.de.xz, "
            "valid.en and valid.de. Put it there, or use --regime dense."
        )
    data = dataset.prepare(_config(vocabulary))
    assert data.fitting.all(), "captions are short"
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
