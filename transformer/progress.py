"""How far a run has come, by its evaluations."""

from typing import NamedTuple


class Progress(NamedTuple):
    """What a run remembers besides its state; kept in each checkpoint as JSON."""

    best: float | None = None
    """Merit of the best evaluation so far."""
    best_step: int = 0
    since_best: int = 0
    """Evaluations since."""

    def improved(self, merit: float) -> bool:
        """Whether this is better than the best so far."""
        return self.best is None or merit > self.best

    def after(self, step: int, merit: float) -> "Progress":
        if self.improved(merit):
            return Progress(merit, step, 0)
        return self._replace(since_best=self.since_best + 1)
