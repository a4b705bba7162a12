"""Files at an address, one or two, with their checksums."""

import hashlib
import re
import string
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from transformer import downloads, store
from transformer.downloads import Remote
from transformer.errors import InputError

LANGUAGE = "{}"
"""Stands in an address for the language of a side."""

LONGEST = 200
"""Letters of the name of a file or folder; signed addresses can have more."""

FORMATS = re.compile(r".+\.(tsv|jsonl)(\.(gz|xz|zst|bz2))?")


def files(name: str, languages: tuple[str, str]) -> list[Path]:
    """The files of `ADDRESS` or `ADDRESS#sha256=DIGITS`."""
    address, _, rest = name.partition("#")
    if LANGUAGE not in address and not FORMATS.fullmatch(_parts(address).path):
        raise InputError(
            f"{name} names no .tsv or .jsonl file, plain or as .gz, .xz, .zst or .bz2. "
            f"Of two files, write {LANGUAGE} where their addresses have the language."
        )
    sides = languages if LANGUAGE in address else ("",)
    return [
        downloads.fetch(Remote(quote(url, safe=string.punctuation), digits), place(url))
        for side, digits in zip(sides, _checksums(name, rest, sides), strict=True)
        for url in [address.replace(LANGUAGE, side)]
    ]


def place(url: str) -> Path:
    """Where the file of an address is kept, or may be put by hand."""
    parts = _parts(url)
    names = filter(None, [parts.netloc, parts.query, *parts.path.split("/")])
    kept = (_short(quote(each, safe="")) for each in names if each not in (".", ".."))
    return store.cache().joinpath("downloads", *kept)


def _short(name: str) -> str:
    """As it is, or what stands for it where it is too long for a file's name."""
    return name if len(name) <= LONGEST else hashlib.sha256(name.encode()).hexdigest()


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0 and "@" not in parts.netloc:
            return parts
    except ValueError:  # of brackets and ports
        pass
    raise InputError(f"{url} is no address; https://HOST/FILE is one.")


def _checksums(name: str, rest: str, sides: Sequence[str]) -> list[str | None]:
    """The checksum of each side, from what stands behind the `#` of an address."""
    if not rest:
        return [None for _ in sides]
    given = [each.rpartition(":") for each in rest.removeprefix("sha256=").split(",")]
    sums = {side: digits.lower() for side, _, digits in given}
    digits = all(re.fullmatch("[0-9a-f]{64}", each) for each in sums.values())
    if not (rest.startswith("sha256=") and digits and sums.keys() == set(sides)):
        form = ",".join(f"{side}:DIGITS" if side else "DIGITS" for side in sides)
        raise InputError(
            f"{name}: what follows # must be sha256={form}, each of 64 hexadecimal "
            "digits, as sha256sum prints them."
        )
    return [sums[side] for side in sides]
