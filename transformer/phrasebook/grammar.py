"""Words, phrases and sentence patterns: the little grammar behind the phrasebook.

Everything it knows about English and Hindi stands in the data files of this folder;
the header of `patterns.toml` describes the template language it reads.
"""

import functools
import re
import tomllib
import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from typing import NamedTuple

FOLDER = resources.files("transformer.phrasebook")
REFERENCE = re.compile(r"\{(\w+)(?:\.(\w+))?(?::(\w+)(?:\.(\w+))?)?\}")
SIGN_AFTER_VOWEL = re.compile("(?<=[अ-औा-ौ])([ा-ौ]ं?)")


class Entry(NamedTuple):
    """A word or a phrase. `forms` maps e.g. "hi.plural" to the text of that form."""

    forms: dict[str, str]
    words: frozenset[str]  # the English words it was built from


class Reference(NamedTuple):
    """{name.form} or {name.form:target.target_form}; what is not written is empty."""

    name: str
    form: str
    target: str
    target_form: str


class Pattern(NamedTuple):
    """A sentence pattern: slots with the kinds that fill them, and two templates."""

    name: str
    slots: tuple[tuple[str, str], ...]
    english: str
    hindi: str
    sentence: str = "statement"  # or question, exclamation, fragment


Parts = Mapping[str, Entry]
Kinds = Mapping[str, list[Entry]]


def rows(path: str) -> list[list[str]]:
    """The cells of a tab-separated data file, without its comment lines."""
    text = unicodedata.normalize("NFC", FOLDER.joinpath(path).read_text("utf-8"))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [line.split("\t") for line in lines]


@functools.cache
def toml(name: str) -> dict:
    """A data file in TOML."""
    return tomllib.loads(FOLDER.joinpath(name).read_text("utf-8"))


def lexicon() -> list[Entry]:
    """All words, in the order of the files."""
    files = sorted(file.name for file in FOLDER.joinpath("lexicon").iterdir())
    return [entry for file in files for entry in entries(f"lexicon/{file}")]


def entries(path: str) -> list[Entry]:
    """The words of one lexicon file; empty cells are forms that are not listed."""
    header, *lines = rows(path)
    found = []
    for cells in lines:
        forms = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        words = frozenset([forms["en"], *forms.get("includes", "").split()])
        found.append(Entry(forms, words))
    return found


@functools.cache
def fillers() -> Kinds:
    """The words and phrases of each kind."""
    kinds: dict[str, list[Entry]] = defaultdict(list)
    for entry in lexicon():
        for kind in entry.forms["kinds"].split():
            kinds[kind].append(entry)
    for rule in toml("patterns.toml")["phrase"]:
        for kind, slots in rule["slots"].items():
            ways = assignments(slots, kinds)
            kinds[kind] += [phrase(rule, parts) for parts in ways]
    return dict(kinds)


def assignments(slots: Mapping[str, str], kinds: Kinds) -> list[Parts]:
    """Every way to fill the slots, no word used twice."""
    ways: list[Parts] = [{}]
    for slot, kind in slots.items():
        ways = extended(ways, slot, kind, kinds)
    return [parts for parts in ways if words(parts)]


def extended(ways: list[Parts], slot: str, kind: str, kinds: Kinds) -> list[Parts]:
    """Every way, with every filler of one more slot."""
    return [
        {**parts, slot: entry}
        for parts in ways
        for name in kind_names(kind, parts)
        for entry in kinds[name]
    ]


def kind_names(kind: str, parts: Parts) -> list[str]:
    """The kinds a slot accepts; "v.object" looks them up in the filler of slot v."""
    owner, dot, column = kind.partition(".")
    if dot:
        return parts[owner].forms.get(column, "").split()
    group = toml("patterns.toml")["group"]
    return [kind for name in kind.split() for kind in group.get(name, name).split()]


def words(parts: Parts) -> frozenset[str]:
    """The words of all fillers together; empty if a word would be used twice."""
    union = frozenset().union(*(entry.words for entry in parts.values()))
    unique = len(union) == sum(len(entry.words) for entry in parts.values())
    return union if unique else frozenset()


def phrase(rule: Mapping, parts: Parts) -> Entry:
    """A phrase is its head with some forms replaced."""
    forms = dict(parts[rule["head"]].forms)
    for column, template in rule["forms"].items():
        forms[column] = fill(template, parts, column[:2])
    if "agrees" in rule:
        slot, _, form = rule["agrees"].partition(".")
        forms["en.agrees"] = features(parts[slot], form, "en")
        forms["hi.agrees"] = features(parts[slot], form, "hi")
    return Entry(forms, words(parts))


@functools.cache
def patterns() -> list[Pattern]:
    """The sentence patterns in the order of the file."""
    tables = toml("patterns.toml")["pattern"]
    return [Pattern(**{**row, "slots": tuple(row["slots"].items())}) for row in tables]


@functools.cache
def choices(pattern: Pattern) -> list[list[list[Parts]]]:
    """For each slot with those that depend on it, the ways to fill them, by kind."""
    found: list[list[list[Parts]]] = []
    for slot, kind in pattern.slots:
        if "." in kind:
            found[-1] = [extended(ways, slot, kind, fillers()) for ways in found[-1]]
        else:
            names = kind_names(kind, {})
            found.append([extended([{}], slot, name, fillers()) for name in names])
    return found


def fill(template: str, parts: Parts, language: str) -> str:
    """The text of a template whose slots hold `parts`."""
    pieces = [
        piece if isinstance(piece, str) else resolve(piece, parts, language)
        for piece in parsed(template)
    ]
    text = " ".join("".join(pieces).split())
    return spelled(text) if language == "hi" else text


@functools.cache
def parsed(template: str) -> list[str | Reference]:
    """Literal text and references in turn."""
    pieces: list[str | Reference] = []
    end = 0
    for match in REFERENCE.finditer(template):
        pieces += [template[end : match.start()], Reference(*match.groups(""))]
        end = match.end()
    return [*pieces, template[end:]]


def spelled(text: str) -> str:
    """A vowel sign after a vowel becomes a letter: खा + ेंगे is written खाएँगे."""
    letters = toml("agreement.toml")["hi"]["letters"]
    return SIGN_AFTER_VOWEL.sub(lambda sign: letters[sign[1]], text)


def resolve(reference: Reference, parts: Parts, language: str) -> str:
    """The text that one reference stands for."""
    name, form, target, target_form = reference
    if not target:
        return shape(parts[name], form, language)
    feature = features(parts[target], target_form, language)
    like = toml("agreement.toml")[language]["like"].get(feature, feature)
    if name in parts:
        exists = f"{language}.{feature}" in parts[name].forms
        return shape(parts[name], feature if exists else like, language)
    table = toml("agreement.toml")[language][name]
    return table[feature] if feature in table else table[like]


def shape(entry: Entry, form: str, language: str) -> str:
    """A form of a word: the one it lists, else the regular one."""
    column = f"{language}.{form}" if form else language
    if column in entry.forms:
        return entry.forms[column]
    regular = toml("agreement.toml")[language]["regular"]
    if form not in regular:
        raise ValueError(f"{sorted(entry.words)} has no {column}; add it to its file.")
    return fill(regular[form], {"x": entry}, language)


def features(entry: Entry, form: str, language: str) -> str:
    """What agrees with this form of the entry takes the ending for these features."""
    if language == "en":
        return "they" if form == "plural" else entry.forms.get("en.agrees", "it")
    agrees = entry.forms["hi.agrees"]
    if not form:
        return agrees
    if agrees in ("i", "ms"):
        return "mp"  # बड़ा घर, but बड़े घर में and बड़े घर
    return "fp" if form == "plural" else agrees
