"""Whatever the scores say, phrases occur; on all translations of a small vocabulary."""

from functools import partial
from itertools import chain, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tables
from hypothesis import example, given, settings
from hypothesis import strategies as st

from transformer import constraints
from transformer.constraints import Banked, Phrases, Required
from transformer.rules import Prefix
from transformer.search import IMPOSSIBLE, Likeliest
from transformer.symbols import BOS, EOS, PAD, UNK

VOCABULARY, LENGTH, WIDTH = 7, 7, 4
WORDS = range(UNK + 1, VOCABULARY)
A, B, C = WORDS
SHORT = 1 + 3 + 9 + 27 + 81
"""Of the beginnings, those of up to four words."""
BEGINNINGS = [w for size in range(LENGTH) for w in product(WORDS, repeat=size)]
PLACE = {words: place for place, words in enumerate(BEGINNINGS)}
KEY = jax.random.key(0)

property_test = partial(settings, deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
words = st.sampled_from(WORDS)
lists = st.lists(st.lists(words, min_size=1, max_size=4), max_size=3)


@st.composite
def wishes(draw):
    """Phrases, which of them are whole, and which tokens begin words."""
    phrases = draw(lists)
    whole = draw(st.tuples(*[st.booleans()] * len(phrases)))
    begins = draw(st.lists(words)) + [phrase[0] for phrase in phrases]
    return phrases, whole, set(begins)


def required(wish):
    phrases, whole, begins = wish
    return Phrases.of(phrases, whole, np.isin(range(VOCABULARY), list(begins)))


def occurs(phrase, whole, begins, tokens):
    """By definition, in tokens that PAD or EOS follows."""
    begins, tokens, size = {*begins, PAD}, [*tokens, PAD], len(phrase)
    return any(
        tokens[i : i + size] == phrase and (not whole or tokens[i + size] in begins)
        for i in range(len(tokens) - size)
    )


def unmet(wish, tokens):
    phrases, whole, begins = wish
    return [
        phrase
        for phrase, ends in zip(phrases, whole, strict=True)
        if not occurs(phrase, ends, begins, tokens)
    ]


def size(phrases):
    return sum(map(len, phrases))


def rows(beginnings):
    tokens = np.full((len(beginnings), LENGTH), PAD, np.int32)
    for row, beginning in zip(tokens, beginnings, strict=True):
        row[: len(beginning)] = beginning
    return jnp.array(tokens)


TOKENS = rows(BEGINNINGS)
POSITIONS = jnp.array([len(beginning) for beginning in BEGINNINGS], jnp.int32)


@jax.jit
def masks(several):
    def together(tokens, position):
        log_probs = jnp.zeros(VOCABULARY)
        for rule in several:
            log_probs = rule(log_probs, tokens, position)
        return log_probs > IMPOSSIBLE

    never = jnp.isin(jnp.arange(VOCABULARY), jnp.array([PAD, BOS, UNK]))
    return jax.vmap(together)(TOKENS, POSITIONS) & ~never[None]


def left(*several, limit):
    """All translations that rules leave, after checking that none leads nowhere."""
    possible = np.asarray(masks(several))
    found: set[tuple[int, ...]] = set()
    reached: list[tuple[int, ...]] = [()]
    for beginning in reached:
        ways = np.flatnonzero(possible[PLACE[beginning]])
        if len(beginning) == limit - 1:
            ways = ways[ways == EOS]
        assert ways.size, beginning
        for token in ways.tolist():
            if token == EOS:
                found.add(beginning)
            else:
                reached.append((*beginning, token))
    return found


TRICKY = [
    ([[A, A, B]], (False,), {A}),
    ([[A, A, B], [A, B]], (True, False), {A, B}),
    ([[A, B], [B, A], [A, B]], (True, True, True), {A, B}),
    ([[A], [A, B], [A, C]], (True, True, False), {A}),
    ([[A, B], [A]], (True, True), {A}),
    ([], (), set()),
    ([[A, A, B], [C]], (False, False), {A, C}),
    ([[A, B], [B, C]], (True, False), {A, B}),
]


@property_test()
@given(wish=wishes(), slack=st.integers(0, 2))
@example(wish=TRICKY[0], slack=0)
@example(wish=TRICKY[1], slack=1)
@example(wish=TRICKY[2], slack=0)
@example(wish=TRICKY[3], slack=1)
@example(wish=TRICKY[4], slack=2)
@example(wish=TRICKY[5], slack=0)
@example(wish=TRICKY[6], slack=0)
@example(wish=TRICKY[7], slack=0)
def test_all_that_can_be_written_ends_and_contains_the_phrases(wish, slack):
    limit = size(wish[0]) + 1 + slack
    if limit <= LENGTH:
        found = left(Required.of(required(wish), limit), limit=limit)
        assert found
        assert not any(unmet(wish, tokens) for tokens in found)


@property_test()
@given(wish=wishes())
@example(wish=TRICKY[3])
@example(wish=TRICKY[4])
def test_with_room_enough_all_that_contains_the_phrases_can_be_written(wish):
    roomy = Required.of(required(wish), LENGTH + size(wish[0]) + 1)
    possible = np.asarray(masks((roomy,)))
    for beginning, ways in zip(BEGINNINGS, possible, strict=True):
        assert ways[EOS] == (not unmet(wish, beginning))
        assert ways[WORDS].all()


@property_test()
@given(wish=wishes(), prefix=st.lists(words, max_size=4))
@example(wish=([[A, B]], (True,), {A}), prefix=[A, B, C])
@example(wish=([[A, B], [B, C]], (False, False), {A, B}), prefix=[A, B])
def test_a_forced_prefix_can_meet_phrases_and_cannot_hinder_them(wish, prefix):
    limit = len(prefix) + size(wish[0]) + 1
    if limit <= LENGTH:
        rules = Required.of(required(wish), limit), Prefix.of(prefix)
        found = left(*rules, limit=limit)
        assert found
        assert not any(unmet(wish, tokens) for tokens in found)
        assert all(tokens[: len(prefix)] == tuple(prefix) for tokens in found)
        if not unmet(wish, prefix):
            assert tuple(prefix) in found


def test_without_room_nothing_is_found_rather_than_something_else():
    phrases = required(([[A, A, A]], (False,), {A}))
    with pytest.raises(AssertionError):
        left(Required.of(phrases, 3), limit=3)


@jax.jit
def banks(phrases):
    """Of every hypothesis after every word."""

    def of(tokens, position):
        now = constraints.progress(phrases, tokens, position)
        return jax.vmap(partial(constraints.bank, phrases, now))(jnp.array(WORDS))

    return jax.vmap(of)(TOKENS[:SHORT], POSITIONS[:SHORT])


def reached(phrase, tokens):
    """The most of its first tokens that are the last."""
    end = len(tokens)
    return max(n for n in range(len(phrase) + 1) if tokens[end - n :] == phrase[:n])


@property_test()
@given(wishes())
@example(TRICKY[1])
@example(TRICKY[3])
def test_a_bank_counts_the_tokens_of_phrases_that_are_there(wish):
    found = np.asarray(banks(required(wish)))
    for beginning, row in zip(BEGINNINGS[:SHORT], found, strict=True):
        for token, number in zip(WORDS, row, strict=True):
            tokens = [*beginning, token]
            missing = unmet(wish, tokens)
            begun = max((reached(phrase, tokens) for phrase in missing), default=0)
            assert number == size(wish[0]) - size(missing) + begun


@jax.jit
def chosen(select, sums, tokens, position):
    return select(sums, sums, tokens, position, KEY)


def narrow(seed, empty):
    """Scores after some hypotheses of a beam, of which the last are empty."""
    rng = np.random.default_rng(seed)
    position = int(rng.integers(0, LENGTH))
    tokens = np.full((WIDTH, LENGTH), PAD, np.int32)
    tokens[:, :position] = rng.choice(WORDS, size=(WIDTH, position))
    sums = rng.integers(-9, 0, size=(WIDTH, VOCABULARY)).astype(np.float32)  # ties
    sums[WIDTH - empty :] = IMPOSSIBLE
    sums[:, [PAD, BOS, UNK]] = IMPOSSIBLE
    return jnp.array(sums), jnp.array(tokens), jnp.int32(position)


@property_test()
@given(seeds, st.integers(0, WIDTH))
def test_without_phrases_the_likeliest_are_taken_as_ever(seed, empty):
    sums, tokens, position = narrow(seed, empty)
    found = chosen(Banked(required(([], (), set()))), sums, tokens, position)
    scores, places = jax.lax.top_k(sums.reshape(-1), WIDTH)
    np.testing.assert_array_equal(found[0], scores)
    real = scores > IMPOSSIBLE
    np.testing.assert_array_equal(found[1][real], (places // VOCABULARY)[real])
    np.testing.assert_array_equal(found[2][real], (places % VOCABULARY)[real])


@property_test()
@given(seeds, st.integers(0, WIDTH - 1), wishes())
def test_places_go_to_different_continuations_the_likeliest_of_all_first(
    seed, empty, wish
):
    sums, tokens, position = narrow(seed, empty)
    found = chosen(Banked(required(wish)), sums, tokens, position)
    scores, parents, new = map(np.asarray, found)
    np.testing.assert_array_equal(scores, np.asarray(sums)[parents, new])
    assert len(set(zip(parents.tolist(), new.tolist(), strict=True))) == WIDTH
    assert scores[0] == sums.max()
    assert (scores > IMPOSSIBLE).sum() >= min(WIDTH, (sums > IMPOSSIBLE).sum())


def test_a_step_towards_a_phrase_has_a_place_however_unlikely():
    sums = np.zeros((WIDTH, VOCABULARY), np.float32)
    sums[:, B] = -1e6
    tokens = np.full((WIDTH, LENGTH), PAD, np.int32)
    tokens[:, 0] = A
    select = Banked(required(([[A, B]], (False,), set())))
    _, _, new = chosen(select, jnp.array(sums), jnp.array(tokens), jnp.int32(1))
    assert B in np.asarray(new)


@property_test(max_examples=10)
@given(seeds, wishes())
def test_a_beam_as_wide_as_the_space_finds_the_best_that_contains_the_phrases(
    seed, wish
):
    limit = 5
    if size(wish[0]) < limit:
        table, phrases = tables.random(seed, VOCABULARY), required(wish)
        rule = Required.of(phrases, limit)
        best = tables.beam(
            Banked(phrases), table, width=3**4, limit=limit, rules=(rule,)
        )[0]
        ways = [(*tokens, EOS) for tokens in left(rule, limit=limit)]
        expected = max(tables.score(table, tokens) for tokens in ways)
        assert best.tokens in ways
        np.testing.assert_allclose(best.score, expected, rtol=1e-4)


@property_test()
@given(seeds, wishes(), st.sampled_from([-20, 0, 20]), st.sampled_from([1, WIDTH]))
def test_all_that_a_narrow_beam_finds_contains_the_phrases(seed, wish, eos, width):
    if size(wish[0]) < LENGTH:
        table, phrases = tables.random(seed, VOCABULARY), required(wish)
        table[:, [token for phrase in wish[0] for token in phrase]] -= 20
        table[:, EOS] += eos
        rule = Required.of(phrases, LENGTH)
        found = tables.beam(
            Banked(phrases), table, width=width, limit=LENGTH, rules=(rule,)
        )
        # One hypothesis alone can begin a phrase in the middle of another, for good.
        tangled = len({*chain(*wish[0])}) < size(wish[0])
        assert found or (width == 1 and tangled)
        assert not any(unmet(wish, one.tokens[:-1]) for one in found)


@property_test(max_examples=10)
@given(seeds)
def test_without_phrases_a_search_finds_what_it_ever_does(seed):
    table, phrases = tables.random(seed, VOCABULARY), required(([], (), set()))
    sizes = {"width": WIDTH, "limit": LENGTH}
    found = tables.beam(
        Banked(phrases), table, rules=(Required.of(phrases, LENGTH),), **sizes
    )
    assert found == tables.beam(Likeliest(), table, **sizes)


def test_of_more_banks_than_places_those_with_more_tokens_come_first():
    """And the likeliest of all, which may have none."""
    phrase = [A, A, A, A, A, B]
    tokens = np.full((WIDTH, LENGTH), PAD, np.int32)
    for row, reached in enumerate((5, 4, 2, 0)):
        tokens[row, :6] = [C] * (6 - reached) + [A] * reached
    sums = np.full((WIDTH, VOCABULARY), -50, np.float32)
    sums[3, C] = 0
    found = chosen(
        Banked(required(([phrase], (False,), set()))),
        jnp.array(sums),
        jnp.array(tokens),
        jnp.int32(6),
    )
    pairs = [(int(row), int(token)) for _, row, token in zip(*found, strict=True)]
    assert pairs == [(3, C), (0, B), (1, A), (2, A)]
