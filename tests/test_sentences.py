"""Where sentences end: nothing is lost, and what is no end is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.sentences import sentences

MARKS = "abA1 .!?…。！।॥\"'”»)(“,:;\u00a0\n"


@given(st.text() | st.text(MARKS))
def test_sentences_end_to_end_are_the_text(text):
    parts = sentences(text)
    assert "".join(parts) == text
    assert all(parts)


@given(st.lists(st.text("xyz", min_size=1), min_size=1))
def test_plain_sentences_are_found_whatever_their_end(words):
    whole = [f"It {word}{'.!?'[i % 3]} " for i, word in enumerate(words)]
    assert sentences("".join(whole)) == whole


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Smith and Mrs. Jones met Prof. Lee.",
        "J. R. R. Tolkien wrote it.",
        "Das sind z. B. Hunde, d. h. Tiere.",
        "Tools, e.g. hammers, i.e. Things to hit with.",
        "It costs 3.50 euros, or 1.000.000 elsewhere.",
        "Am 3. Oktober ist im 19. Jahrhundert nichts passiert.",
        "See http://example.com/a.b?c=d. for more.",
        "Wait ... what?",
        "“Why?” he asked.",
        "See fig. 3 in vol. 12 on pp. 4 of No. 5.",
        "The U.S. President spoke.",
        "Note: Nothing ends here; nor here, Nor there",
        "「行く。」と言った",
        "डॉ. शर्मा आए।",
    ],
)
def test_one_sentence_stays_one(text):
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    "parts",
    [
        ["One two. ", "Three? ", "Four! ", "End…"],
        ["यह। ", "वह॥ ", "End."],
        ["यह।", "वह।"],
        ["你好。", "再见了！", "好吗？！", "好……"],
        ["你好。”", "再见！"],
        ["He said: “Go.” ", "Then he left. "],
        ["(Really.) ", "Go! ", "«Non.» ", "Oui."],
        ["« Je suis là. » ", "Il rit."],
        ["Really?! ", "Yes... ", "No."],
        ["He came at 5 p.m. ", "The others did not."],
        ["We like cats, dogs etc. ", "They like us."],
        ["That was in 1999. ", "Berlin has changed."],
        ["Is it so? ", "it is. "],
        ["¿Qué? ", "¡Nada! ", "– Bueno."],
        ["هل هذا؟ ", "نعم۔ ", "لا."],
    ],
)
def test_every_end_is_found(parts):
    assert sentences("".join(parts)) == parts


@given(st.sampled_from(["Dr", "z.B", "e.g", "Mr"]), st.sampled_from(["The", "Er"]))
def test_a_title_never_ends_a_sentence_and_a_starter_decides_the_rest(title, starter):
    assert len(sentences(f"Here {title}. {starter} is.")) == 1
    assert len(sentences(f"Here etc. {starter} is.")) == 2
    assert len(sentences("Here etc. Berlin is.")) == 1
