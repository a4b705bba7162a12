"""Some of many in each epoch, so that over time each comes as often as any other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int


class Portion(NamedTuple):
    """Consecutive numbers, of which every epoch takes equally many."""

    begin: int
    size: int
    taken: int
    """By each epoch; more than `size` takes all of them several times."""

    def drawn(self, seed: Sequence[int], epoch: int) -> Int[np.ndarray, " taken"]:
        """What an epoch takes: a pure function of `seed` and its number.

        Epochs cut it off an endless sequence of permutations, one behind the other.
        """
        if self.taken == self.size:  # in whatever order
            return self.begin + np.arange(self.size)
        start = epoch * self.taken
        first, last = start // self.size, (start + self.taken - 1) // self.size
        turns = [
            np.random.default_rng([*seed, self.begin, turn]).permutation(self.size)
            for turn in range(first, last + 1)
        ]
        order = np.concatenate(turns)[start - first * self.size :]
        return self.begin + order[: self.taken]
