"""Settings as plain values: written as JSON, read back, compared."""

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any, get_origin

from transformer.config import Config
from transformer.errors import InputError


def to_dict(cfg: Config) -> dict[str, Any]:
    """Plain values for JSON."""
    return dataclasses.asdict(cfg)


def from_dict(values: dict[str, Any]) -> Config:
    """The inverse of `to_dict`; a setting that is left out has its default.

    Raises:
        InputError: if a setting is unknown, missing, or cannot be.
    """
    kinds: dict[str, Any] = {
        section.name: section.type for section in dataclasses.fields(Config)
    }
    _check_names("", values, Config)
    for name, kind in kinds.items():
        _check_names(f"{name}.", values.get(name, {}), kind)
    try:
        return Config(**{name: _section(kinds[name], values[name]) for name in values})
    except TypeError as error:
        raise _other_version(f"a setting has the wrong type: {error}") from error


def _section(kind: Any, values: dict[str, Any]) -> Any:
    """One section; JSON has lists for tuples, and older folders had one corpus each."""
    several = {f.name for f in dataclasses.fields(kind) if get_origin(f.type) is tuple}
    return kind(**{k: _tuple(v) if k in several else v for k, v in values.items()})


def _tuple(value: Any) -> tuple[Any, ...]:
    match value:
        case None:
            return ()
        case str():
            return (value,)
        case _:
            return tuple(value)


def _check_names(prefix: str, values: Any, kind: Any) -> None:
    """Raises `InputError` unless `values` can be the fields of `kind`."""
    if not isinstance(values, dict):
        raise _other_version(f"{prefix.rstrip('.')!r} is {values!r}, not a section")
    known = {one.name: one for one in dataclasses.fields(kind)}
    for name in sorted(values.keys() - known.keys()):
        raise _other_version(
            f"{prefix + name!r} is unknown" + _near(name, known, prefix)
        )
    for name in sorted(known.keys() - values.keys()):
        one = known[name]
        optional = one.default is not one.default_factory  # else both are MISSING
        if not (prefix and optional):  # whole sections never are
            raise _other_version(f"{prefix + name!r} is missing")


def _near(name: str, known: Iterable[str], prefix: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {prefix + near[0]!r}?" if near else ""


def _other_version(what: str) -> InputError:
    return InputError(
        f"These settings are of another version of this program, or damaged: {what}."
    )


def differences(old: Config, new: Config) -> list[str]:
    """One line for each setting in which the two differ."""
    lines = []
    for section, before in to_dict(old).items():
        after = to_dict(new)[section]
        lines += [
            f"--{section}.{name} {_shown(after[name])} (was {_shown(value)})"
            for name, value in before.items()
            if after[name] != value
        ]
    return lines


def _shown(value: Any) -> str:
    """A value as it is given on the command line."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
