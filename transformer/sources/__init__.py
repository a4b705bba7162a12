"""Corpora by name: brought to this machine once, as files that `corpora` reads.

    https://HOST/FILE.tsv.gz        one file, TSV or JSON lines, plain or compressed
    https://HOST/train.{}.gz        two, with a language in place of {}
    hf:wmt/wmt14/de-en              a set of the Hugging Face Hub and its configuration:
                                    the split train, or another: hf:…/de-en#validation
    sacrebleu:wmt14/full            a test set that sacreBLEU knows; its first reference
    mtdata:Statmt-europarl-7-deu-eng    a corpus that MTData knows

A checksum follows an address: `#sha256=DIGITS`, or `#sha256=en:DIGITS,de:DIGITS` for
two files. A file with another one is refused.
"""

from pathlib import Path

from transformer.sources import hub, mtdata, test_sets, web

KINDS = {
    "https://": web.files,
    "http://": web.files,
    "hf:": hub.files,
    "sacrebleu:": test_sets.files,
    "mtdata:": mtdata.files,
}
"""How names begin, and what brings the files of each kind."""


def known(name: str) -> bool:
    """Whether that is the name of a corpus elsewhere."""
    return name.startswith(tuple(KINDS))


def files(name: str, languages: tuple[str, str]) -> list[Path]:
    """The one or two files of a corpus, in the order of its languages.

    Raises:
        InputError: if the name cannot be, a library for it is not installed, or a file
            cannot be had: the message says what to fetch and where to put it.
    """
    kind = next(kind for kind in KINDS if name.startswith(kind))
    return KINDS[kind](name, languages)
