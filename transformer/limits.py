"""Checks of settings: each raises `InputError` with the flag as the user writes it."""

import dataclasses
import re
from math import inf
from typing import Any, Literal, get_args, get_origin

from transformer.errors import InputError


def flag(cfg: Any, name: str) -> str:
    """A setting as the user writes it, and its value."""
    section = type(cfg).__name__.removesuffix("Config").lower()
    return f"{section}.{name}={getattr(cfg, name)}"


def positive(cfg: Any, *names: str) -> None:
    for name in names:
        if not 0 < getattr(cfg, name) < inf:  # NaN is refused as well
            raise InputError(f"{flag(cfg, name)} must be above zero, and finite.")


def nonnegative(cfg: Any, name: str) -> None:
    if not 0 <= getattr(cfg, name) < inf:
        raise InputError(f"{flag(cfg, name)} must be 0 or above, and finite.")


def share(cfg: Any, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(cfg, name) < 1:
            raise InputError(f"{flag(cfg, name)} must be in [0, 1).")


def patterns(cfg: Any, name: str) -> None:
    for pattern in getattr(cfg, name):
        try:
            re.compile(pattern)
        except (re.error, OverflowError) as error:  # the latter of a{99999999999}
            raise InputError(
                f"{flag(cfg, name)} has {pattern!r}, which is no regular expression: "
                f"{error}."
            ) from error


def choices(cfg: Any) -> None:
    """Of what the type of a setting enumerates."""
    for setting in dataclasses.fields(cfg):
        allowed = get_args(setting.type)
        literal = get_origin(setting.type) is Literal
        if literal and getattr(cfg, setting.name) not in allowed:
            raise InputError(
                f"{flag(cfg, setting.name)} must be one of {', '.join(allowed)}."
            )
