"""What each head of an attention mostly does, in a word.

Voita et al. 2019, "Analyzing Multi-Head Self-Attention", find heads that look at the
neighbouring word, heads that follow the grammar, and heads for rare words. Telling the
latter apart would need a parse of the sentence; the roles here need only the weights.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

PREVIOUS, SAME, NEXT = "previous token", "same token", "next token"
END = "end of sentence"
BEGIN = "beginning"
BROAD = "everything a little"
CONTENT = "certain tokens"

Roles = tuple[tuple[str, ...], ...]
"""By layer and head."""

Special = Callable[[Float[np.ndarray, "T T"]], dict[str, float]]
"""The shares of looks that only one side of the network has."""

SHARE = 0.5
"""Of all looks, from which on a head is said to do one thing."""

FLAT = 0.8
"""Of the largest possible entropy, from which on a head looks at everything."""


def of_encoder(weights: Float[np.ndarray, "L N S S"]) -> Roles:
    """A role for each head that looks at a source, EOS at its end."""
    return _roles(weights, lambda one: {END: float(one[:, -1].mean())})


def of_decoder(weights: Float[np.ndarray, "L N T T"]) -> Roles:
    """A role for each head that looks at what is written, BOS at its beginning.

    The first row is left out: it can look at nothing but itself.
    """
    return _roles(weights, lambda one: {BEGIN: float(one[1:, 0].mean())})


def _roles(weights: Float[np.ndarray, "L N T T"], special: Special) -> Roles:
    return tuple(tuple(_role(one, special(one)) for one in layer) for layer in weights)


def _role(weights: Float[np.ndarray, "T T"], special: dict[str, float]) -> str:
    """The first kind of look that is at least `SHARE` of all, the likeliest first."""
    count = len(weights)
    if count < 3:  # every look is at a neighbour, at itself, or at an end
        return CONTENT
    shares = special | {
        PREVIOUS: float(np.diagonal(weights, -1).mean()),
        SAME: float(np.diagonal(weights).mean()),
        NEXT: float(np.diagonal(weights, 1).mean()),
    }
    role = max(shares, key=lambda name: shares[name])
    if shares[role] >= SHARE:
        return role
    return BROAD if _flatness(weights) >= FLAT else CONTENT


def _flatness(weights: Float[np.ndarray, "T T"]) -> float:
    """The mean entropy of the rows, as a share of what it could be."""
    seen = np.maximum((weights > 0).sum(axis=1), 2)
    entropies = -(weights * np.log(np.maximum(weights, 1e-12))).sum(axis=1)
    return float((entropies / np.log(seen)).mean())
