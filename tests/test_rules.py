"""Rules leave possible what obeys them and nothing else, of all there is to write."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import rules
from transformer.errors import InputError
from transformer.rules import Banned, Fewest, NoRepeat, Prefix, Vocabulary
from transformer.search import IMPOSSIBLE
from transformer.symbols import EOS, PAD, UNK

VOCABULARY, LENGTH = 7, 6
WORDS = range(UNK + 1, VOCABULARY)
BEGINNINGS = [w for size in range(LENGTH) for w in product(WORDS, repeat=size)]
PLACE = {words: place for place, words in enumerate(BEGINNINGS)}

property_test = partial(settings, deadline=None, max_examples=30)
words = st.sampled_from(WORDS)
phrases = st.lists(st.lists(words, min_size=1, max_size=4), max_size=4)


def rows():
    """Every hypothesis there is, as the arguments of a rule."""
    tokens = np.full((len(BEGINNINGS), LENGTH), PAD, np.int32)
    for row, beginning in zip(tokens, BEGINNINGS, strict=True):
        row[: len(beginning)] = beginning
    return tokens, np.array([len(beginning) for beginning in BEGINNINGS], np.int32)


LOG_PROBS = np.random.default_rng(0).normal(size=(len(BEGINNINGS), VOCABULARY))
LOG_PROBS = np.where(np.arange(VOCABULARY) == PAD, IMPOSSIBLE, LOG_PROBS)
LOG_PROBS = LOG_PROBS.astype(np.float32)


@jax.jit
def everywhere(several):
    """What rules, one after the other, make of every hypothesis."""

    def together(log_probs, tokens, position):
        for rule in several:
            log_probs = rule(log_probs, tokens, position)
        return log_probs

    return jax.vmap(together)(jnp.array(LOG_PROBS), *map(jnp.array, rows()))


def left(rule):
    """All translations that can still be written, after checking what is replaced."""
    found = np.asarray(everywhere([rule]))
    possible = found > IMPOSSIBLE
    np.testing.assert_array_equal(found[possible], LOG_PROBS[possible])
    assert not np.isnan(found).any()
    return {
        (*beginning, EOS)
        for beginning in BEGINNINGS
        if all(
            possible[PLACE[beginning[:position]], token]
            for position, token in enumerate((*beginning, EOS))
        )
    }


def those(obeys):
    """All translations of which `obeys` holds."""
    return {(*beginning, EOS) for beginning in BEGINNINGS if obeys(beginning)}


def grams(tokens, n):
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


@property_test()
@given(st.lists(words, max_size=LENGTH - 1))
def test_a_prefix_begins_every_translation(prefix):
    expected = those(lambda found: found[: len(prefix)] == tuple(prefix))
    assert left(Prefix.of(prefix)) == expected


@property_test(max_examples=10)
@given(st.integers(-1, LENGTH))
def test_no_translation_has_fewer_tokens_than_the_fewest(count):
    assert left(Fewest.of(count)) == those(lambda found: len(found) + 1 >= count)


@pytest.mark.parametrize("n", range(1, LENGTH + 2))
def test_no_gram_occurs_twice(n):
    expected = those(lambda found: len(set(grams(found, n))) == len(grams(found, n)))
    assert left(NoRepeat(n)) == expected


@property_test()
@given(phrases)
def test_no_banned_phrase_occurs(phrases):
    expected = those(
        lambda found: not any(tuple(p) in grams(found, len(p)) for p in phrases)
    )
    assert left(Banned.of(phrases)) == expected


@property_test()
@given(st.sets(words))
def test_a_vocabulary_is_all_that_is_used(allowed):
    assert left(Vocabulary.of(allowed, VOCABULARY)) == those(allowed.issuperset)


@property_test()
@given(st.sets(words), st.lists(words, max_size=3), phrases, st.integers(0, 4))
def test_rules_together_leave_what_obeys_all_of_them_however_they_contradict(
    allowed, prefix, phrases, count
):
    parts = (
        Vocabulary.of(allowed, VOCABULARY),
        Prefix.of(prefix),
        Banned.of(phrases),
        Fewest.of(count),
    )

    found = [np.asarray(everywhere(list(order))) for order in (parts, parts[::-1])]
    np.testing.assert_array_equal(found[0], found[1])
    separately = [np.asarray(everywhere([rule])) > IMPOSSIBLE for rule in parts]
    np.testing.assert_array_equal(found[0] > IMPOSSIBLE, np.all(separately, axis=0))


@property_test()
@given(phrases)
def test_phrases_are_padded_to_powers_of_two_and_lose_nothing(phrases):
    found = rules.padded(phrases)
    assert (np.array(found.shape) >= (rules.FEWEST, rules.SHORTEST)).all()
    assert all(size.bit_count() == 1 for size in found.shape)
    read = [row[row != PAD].tolist() for row in found]
    assert read == phrases + [[]] * (len(found) - len(phrases))


def test_phrases_of_similar_size_share_a_shape():
    shapes = {
        rules.padded([[5] * length] * count).shape
        for length in range(17)
        for count in range(17)
    }
    assert shapes == set(product((4, 8, 16), (8, 16)))


def test_rules_of_several_sentences_stack():
    """As a search does: one tree, every array with one more axis."""
    several = [Prefix.of([4]), Prefix.of([5, 6]), Prefix.of([])]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *several)
    of_sentences = jax.vmap(lambda rule: jax.vmap(rule)(LOG_PROBS[:1], *first))
    first = tuple(jnp.array(part[:1]) for part in rows())
    for found, rule in zip(of_sentences(stacked), several, strict=True):
        np.testing.assert_array_equal(found, everywhere([rule])[:1])


def test_runs_of_zero_tokens_are_no_rule():
    with pytest.raises(InputError, match="of 0 tokens cannot"):
        NoRepeat(0)
