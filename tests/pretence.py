"""Functions that pretend to translate, changed for what a test wants to see."""


def recorded(translate, seen):
    """`translate`, which notes what it is asked for."""

    def noting(texts, *, first_line):
        seen.extend(texts)
        return translate(texts, first_line=first_line)

    return noting


def interrupted_at(translate, line):
    """`translate`, which is interrupted when it comes to a line."""

    def stopping(texts, *, first_line):
        if first_line <= line < first_line + len(texts):
            raise KeyboardInterrupt
        return translate(texts, first_line=first_line)

    return stopping
