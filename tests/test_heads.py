"""Heads are named by what most of their looks are."""

import numpy as np
import pytest

from transformer import heads

LENGTH = 6


def shifted(by):
    """Looks at the position `by` further, or at itself where there is none."""
    weights = np.zeros((LENGTH, LENGTH))
    there = np.arange(LENGTH) + by
    there = np.where((there < 0) | (there >= LENGTH), np.arange(LENGTH), there)
    weights[np.arange(LENGTH), there] = 1
    return weights


def at(place):
    return np.tile(np.eye(LENGTH)[place], (LENGTH, 1))


NAMED = {
    heads.PREVIOUS: shifted(-1),
    heads.SAME: shifted(0),
    heads.NEXT: shifted(1),
    heads.END: at(-1),
    heads.BROAD: np.full((LENGTH, LENGTH), 1 / LENGTH),
    heads.CONTENT: at(2),
}


@pytest.mark.parametrize("role", NAMED)
def test_a_head_that_does_one_thing_only_is_named_after_it(role):
    mostly = 0.8 * NAMED[role] + 0.2 / LENGTH
    assert heads.of_encoder(np.stack([[NAMED[role], mostly]])) == ((role, role),)


def test_the_beginning_is_what_the_decoder_has_for_an_end():
    weights = np.tril(at(0))
    assert heads.of_decoder(weights[None, None]) == ((heads.BEGIN,),)
    assert heads.of_encoder(weights[None, None]) == ((heads.CONTENT,),)
