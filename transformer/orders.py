"""What shall be translated with, and how: a function that other processes can have."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from transformer import backend, budget, loading, scripts, workers
from transformer.errors import InputError
from transformer.lines import Translation
from transformer.options import Demands, Search
from transformer.translator import Translator


@dataclass(frozen=True, kw_only=True)
class Order:
    """Texts to translations. Each process that is sent it loads the models itself.

    Args:
        models: the folders of one, or of several for the mean of all.
        to, align: as in `Translator.translate`.
        precision, fast: as in `loading.load`.
    """

    models: tuple[Path, ...]
    to: str | None = None
    precision: str = "auto"
    fast: bool = False
    search: Search = Search()
    demands: Demands = Demands()
    align: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Without what was loaded."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def translator(self) -> Translator:
        scripts.prepare()
        first, *others = self.models
        how = {"precision": self.precision, "fast": self.fast}
        return loading.load(first, *others, **how).toward(self.to)

    @cached_property
    def _asked(self) -> dict[str, Any]:
        return {
            "strategy": self.search.strategy(),
            "control": self.demands.control(self.translator.tokenizers.target),
            "seed": self.search.seed,
            "align": self.align,
        }

    def check(self) -> None:
        """Raises `InputError` for what cannot be, before any text is read."""
        asked, size = self.search.alternatives, self.translator.tokenizers.target.size
        if asked is not None and asked > size:
            raise InputError(
                f"--alternatives {asked} are more than the {size} tokens there are."
            )
        _ = self._asked

    def __call__(self, texts: Sequence[str], *, first_line: int) -> list[Translation]:
        return self.translator.translate(texts, first_line=first_line, **self._asked)

    def processes(self, asked: int | None) -> int:
        """How many shall translate a long file: as asked, or by what there is.

        On a CPU one for each core. One alone uses several cores, too, but only where
        XLA computes (benchmarks/RESULTS.md).

        Raises:
            InputError: if several are asked for where there is no CPU alone.
        """
        if backend.on_cpu():
            room = budget.copies(self.translator.params)
            return asked or max(1, min(workers.cores(), room))
        if asked not in (None, 1):
            raise InputError(
                f"--processes {asked} are for a CPU. Of several accelerators let each "
                "do a --shard."
            )
        return 1
