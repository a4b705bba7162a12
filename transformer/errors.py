"""What the user can cause and mend, apart from our own bugs."""

from pathlib import Path


class InputError(ValueError):
    """Bad input. The scripts print its one message and exit with code 2."""


def unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} cannot be read: {error.strerror}.")
