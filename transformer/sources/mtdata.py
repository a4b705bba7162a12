"""Corpora that MTData has in its index and can read; the fetching is ours.

Its index takes ten seconds to import, so it is left alone until it is needed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformer import downloads, store
from transformer.downloads import Remote
from transformer.errors import InputError
from transformer.sources import copies


def files(name: str, languages: tuple[str, str]) -> list[Path]:
    """A copy of the corpus of `mtdata:ID`."""
    first, second = sorted(languages)  # the same file for both directions
    identity = name.removeprefix("mtdata:")
    path = copies.place("mtdata", f"{identity}.{first}-{second}.jsonl")
    if not path.is_file():

        def read() -> Iterator[dict[str, str]]:
            for pair in pairs(identity, first, second):
                yield dict(zip((first, second), pair, strict=True))

        form = f", JSON lines with the keys {first!r} and {second!r}"
        copies.write(path, copies.told(read, name, path, form))
    return [path]


def _download(url: str, path: Path, entry: object) -> Path:
    """MTData's own neither continues nor insists on valid certificates."""
    del entry
    return downloads.fetch(Remote(url, None), path)


def pairs(identity: str, first: str, second: str) -> Iterator[tuple[str, str]]:
    """The sentences of a corpus, in the order of those languages."""
    from mtdata.cache import Cache  # pyright: ignore[reportMissingImports]
    from mtdata.entry import DatasetId  # pyright: ignore[reportMissingImports]
    from mtdata.index import Index  # pyright: ignore[reportMissingImports]
    from mtdata.iso.bcp47 import BCP47Tag, bcp47  # pyright: ignore[reportMissingImports]
    from mtdata.parser import Parser  # pyright: ignore[reportMissingImports]

    entry = Index.get_instance().entries.get(DatasetId.parse(identity))
    asked = bcp47(first), bcp47(second)
    if entry is None:
        raise InputError(
            f"MTData knows no corpus {identity!r}. It names those that it knows: "
            f"mtdata list -id -l {asked[0]}-{asked[1]}"
        )
    has: Any = entry.did.langs
    fits, swapped = BCP47Tag.check_compat_swap(asked, has) if len(has) == 2 else (0, 0)
    if not fits:
        raise InputError(
            f"The corpus {identity!r} is in {entry.lang_str}, not in {first} and "
            f"{second}."
        )
    cache: Any = Cache(store.cache() / "downloads" / "mtdata")
    cache.download = _download
    parser = Parser(cache.get_entry(entry), ext=entry.in_ext or None, ent=entry)
    for record in parser.read_segs():
        left, right = (side or "" for side in record[:2])
        yield (right, left) if swapped else (left, right)
