"""SIGINT and SIGTERM as a question the loop can ask, so that it stops between steps."""

import signal
from types import FrameType


class Interrupts:
    """While entered, the first signal is noted; a second one acts as it always does."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> "Interrupts":
        self._before = {number: signal.getsignal(number) for number in self.SIGNALS}
        for number in self.SIGNALS:
            signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.received = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
