"""What all benchmarks do around their work."""

from collections.abc import Callable
from typing import TypeVar

import tyro

from transformer import devices
from transformer.errors import InputError

Command = TypeVar("Command")


def run(
    main: Callable[[Command], None], command: type[Command], text: str | None
) -> None:
    """Reads the flags, and runs in memory that is kept, as train.py does."""
    devices.keep_freed_memory()
    try:
        main(tyro.cli(command, description=text))
    except InputError as error:
        raise SystemExit(f"Error: {error}") from None
