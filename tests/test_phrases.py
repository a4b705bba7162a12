"""Phrases in text and in tokens agree with each other."""

import random

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from transformer import phrases, tokenizer
from transformer.errors import InputError
from transformer.symbols import BOS, EOS, UNK
from transformer.text import normalize

SENTENCES = [
    f"{article} {adjective}{noun}{end} ({number}) {foreign}"
    for article in ("der", "ein", "kein")
    for adjective in ("", "rote ", "kleine ", "Wind-", "Wind")
    for noun in ("Hund", "Hunde", "Hundehütte", "hund", "unwichtige Rede")
    for end in (".", "!", "-Leine", " und so weiter", "’s")
    for number in ("1", "15")
    for foreign in ("我喜欢猫。", "हिन्दी", "naïve", "")
]
SMALL = tokenizer.train(SENTENCES, vocab_size=420, kind="bpe")
BEGINS = phrases.begins(SMALL)
PHRASES = [
    "Hund", "ein", "rote Hunde", "(15)", "15", "猫", "हिन्दी", "naïve", "Ærø", "z.B.",
    "🐶", "e",
]  # fmt: skip

usual = st.sampled_from([i for i in range(UNK + 1, SMALL.size) if not SMALL.is_byte(i)])
ids = st.lists(st.one_of(usual, st.integers(UNK + 1, SMALL.size - 1)), max_size=6)
property_test = settings(deadline=None, max_examples=150)


@pytest.mark.parametrize(
    "text, phrase, expected",
    [
        ("der Hund.", "Hund", True),
        ("der Hund", "der  Hund", True),
        ("(Hund)", "Hund", True),
        ("Hund-Leine", "Hund", True),
        ("Hund’s", "Hund", True),
        ("ein Hunde Hund", "Hund", True),
        ("Hunde", "Hund", False),
        ("Windhund", "hund", False),
        ("der Hund", "hund", False),
        ("der kleine Hund", "der Hund", False),
        ("15 Euro", "5", False),
        ("हिन्दी", "हिन्द", False),
        ("हिन्दी में", "हिन्दी", True),
        ("नहिन्दी", "हिन्दी", False),
        ("我喜欢猫。", "欢猫", True),
        ("แมวดำ", "แมว", True),
        ("Hund猫", "Hund", True),
        ("na\u00efve", "nai\u0308ve", True),
        ("z.B. so", "z.B.", True),
        ("aaa aa", "aa", True),
        ("", "Hund", False),
    ],
)
def test_a_phrase_stands_in_a_text_as_whole_words(text, phrase, expected):
    assert phrases.contains(text, phrase) == expected


@property_test
@given(before=ids, after=ids, phrase=st.sampled_from(PHRASES))
@example(before=[], after=[], phrase="Hund")
def test_required_tokens_bring_the_phrase_into_the_text_if_a_word_begins_next(
    before, after, phrase
):
    if after and phrases.whole(phrase):
        assume(BEGINS[after[0]])
    text = SMALL.decode([*before, *phrases.required(SMALL, phrase), *after])
    assert phrases.contains(text, phrase)


def test_a_token_that_goes_on_with_the_word_takes_the_phrase_back():
    run = phrases.required(SMALL, "Hund")
    with_letter = [id for id in range(SMALL.size) if SMALL.piece(id)[0] in "dehnu"]
    assert with_letter
    assert not BEGINS[with_letter].any()
    for id in with_letter:
        assert not phrases.contains(SMALL.decode([*run, id]), "Hund")


def test_phrases_of_scripts_without_blanks_need_none():
    assert SMALL.decode(phrases.required(SMALL, "Hund")) == "Hund"
    for phrase, between in (("Hund", " "), ("猫", ""), ("(15)", " ")):
        run = phrases.required(SMALL, phrase)
        assert SMALL.decode([*run, *run]) == phrase + between + phrase


@property_test
@given(st.sampled_from(PHRASES))
def test_the_likely_tokens_of_a_phrase_write_it(phrase):
    with_blank, without = phrases.segmentations(SMALL, phrase)
    assert SMALL.decode(with_blank) == SMALL.decode(without) == phrase
    both = SMALL.decode([*SMALL.encode("x"), *with_blank, *without])
    assert both == f"x {phrase}{phrase}"


@property_test
@given(
    before=ids,
    after=ids,
    phrase=st.sampled_from(PHRASES),
    rng=st.randoms(use_true_random=False),
)
def test_however_a_phrase_was_written_its_tokens_are_found(before, after, phrase, rng):
    written = [*before, *spelt(phrase, rng), *after, EOS]
    runs = phrases.found(SMALL, written, phrase)
    padded = [BOS, *written]
    for run in runs:
        assert list(run) in [padded[i : i + len(run)] for i in range(len(padded))]
        assert phrases.contains(SMALL.decode(run), phrase)
        assert BEGINS[run[0]] or run[0] in padded
    if normalize(SMALL.decode(written)) == surface(written):
        assert bool(runs) == phrases.contains(SMALL.decode(written), phrase)


def spelt(phrase, rng: random.Random):
    """Some tokens that write a phrase after a blank."""
    byte = {SMALL.piece(id): id for id in range(SMALL.size)}
    written = [byte["▁"]]
    for character in phrase:
        usual = byte.get(character.replace(" ", "▁"))
        if usual is not None and rng.random() < 0.7:
            written.append(usual)
        else:
            written += [byte[f"<0x{value:02X}>"] for value in character.encode()]
    return written


def surface(written):
    """What tokens write if nothing of it needs to be normalised, else None."""
    text = b""
    for id in written[:-1]:
        piece = SMALL.piece(id)
        byte = SMALL.is_byte(id)
        text += bytes.fromhex(piece[3:5]) if byte else piece.replace("▁", " ").encode()
    try:
        return text.decode().strip(" ")
    except UnicodeDecodeError:
        return None


def test_a_ban_on_what_was_found_spares_words_that_go_on_with_it():
    """`in` after a hyphen is banned with the hyphen; `in` within a word is not."""
    written = SMALL.encode("Wind-hund")
    (run,) = phrases.found(SMALL, written, "hund")
    assert SMALL.decode(run) == "-hund"
    assert phrases.found(SMALL, SMALL.encode("Windhund"), "hund") == []


@pytest.mark.parametrize("phrase", PHRASES)
def test_what_is_spared_cannot_write_the_phrase(phrase):
    allowed = np.flatnonzero(phrases.spared(SMALL, phrase))
    rng = random.Random(0)
    for _ in range(50):
        text = SMALL.decode(rng.choices(allowed.tolist(), k=300))
        assert not phrases.contains(text, phrase)
    assert len(allowed) > SMALL.size / 4


def test_other_words_can_be_written_with_what_is_spared():
    allowed = phrases.spared(SMALL, "Hund")
    assert allowed[SMALL.encode("kleine Rede")].all()


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_phrase_is_an_error(empty):
    for wanted in (phrases.required, phrases.spared):
        with pytest.raises(InputError, match="empty"):
            wanted(SMALL, empty)
