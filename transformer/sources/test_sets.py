"""Test sets that sacreBLEU fetches, checks, and keeps in its own folder."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from transformer.errors import InputError
from transformer.sources import copies


def files(name: str, languages: tuple[str, str]) -> list[Path]:
    """The source and the first reference of `sacrebleu:SET`."""
    import sacrebleu

    test, pair = name.removeprefix("sacrebleu:"), "-".join(languages)
    if test not in sacrebleu.DATASETS:
        near = difflib.get_close_matches(test, sacrebleu.DATASETS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise InputError(f"sacreBLEU knows no test set {test!r}" + hint)
    pairs = sacrebleu.DATASETS[test].langpairs
    if pair not in pairs:
        raise InputError(f"{name} is not in {pair}, but in {', '.join(sorted(pairs))}.")

    def read() -> Iterator[str]:
        yield sacrebleu.get_source_file(test, pair)
        yield sacrebleu.get_reference_files(test, pair)[0]

    folder = Path(sacrebleu.utils.SACREBLEU_DIR) / test
    form = (
        f", as `sacrebleu -t {test} -l {pair} --echo src` makes that folder; remove "
        "what is damaged of it"
    )
    return [Path(path) for path in copies.told(read, name, folder, form)]
