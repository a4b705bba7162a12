"""What the user can cause and mend, apart from our own bugs."""


class InputError(ValueError):
    """Bad input. The scripts print its one message and exit with code 2."""
