"""How much of each of several corpora an epoch holds."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32


def shares(
    weights: Sequence[float], sizes: Sequence[int], temperature: float
) -> Float[np.ndarray, " corpora"]:
    """Of each corpus: weight · size^(1/temperature), divided so that all make 1.

    Arivazhagan et al. 2019, "Massively Multilingual Neural Machine Translation in the
    Wild", section 4.2.
    """
    relative = np.array(sizes) / max(sizes)  # so that no power overflows
    parts = np.array(weights) * relative ** (1 / temperature)
    return parts / parts.sum()


def rates(
    shares: Float[np.ndarray, " corpora"], sizes: Sequence[int]
) -> Float32[np.ndarray, " corpora"]:
    """How often a pair of each corpus comes in an epoch as long as all of them."""
    found = shares * sum(sizes) / np.array(sizes)
    # Those that differ in rounding only shall be packed together.
    return found.round(6).astype(np.float32)
