"""Which terms stand in a text, and what they ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer import terms
from transformer.errors import InputError
from transformer.terms import Wish

LINES = """\
dog\tHund
dog\tKöter\tno
hot dog\tHotdog
dog house\tHundehütte

US\tVereinigte Staaten
us\tuns
house\tHaus
house\tHundehütte\tno
猫\tKatze
"""
GLOSSARY = terms.parse(LINES.splitlines(), "glossary.tsv")


@pytest.mark.parametrize(
    "text, required",
    [
        ("A dog runs.", ["Hund"]),
        ("Dog! DOG, dog.", ["Hund"]),
        ("dogs, hotdog", []),
        ("hot dog house", ["Hundehütte"]),
        ("hot dog, house dog", ["Hotdog", "Haus", "Hund"]),
        ("a  hot\u00a0dog", ["Hotdog"]),
        ("the US and us", ["Vereinigte Staaten", "uns"]),
        ("Us", ["uns"]),
        ("我喜欢猫。", ["Katze"]),
        ("", []),
    ],
)
def test_terms_are_found_as_whole_words_and_the_longer_counts(text, required):
    assert GLOSSARY.wish(text).required == tuple(required)


def test_what_must_not_occur_is_told_unless_something_else_requires_it():
    assert GLOSSARY.wish("my house").banned == ("Hundehütte",)
    assert GLOSSARY.wish("a dog").banned == ("Köter",)
    assert GLOSSARY.wish("dog house, house") == Wish(("Hundehütte", "Haus"), ())


@pytest.mark.parametrize(
    "text, required",
    [
        ("See https://dog.com/us and {dog}!", []),
        ("dog@cat.org, a dog", ["Hund"]),
        ("%s and {0} dogs", ["{0} Hunde"]),
        ("{us} us", ["uns"]),
    ],
)
def test_what_comes_over_unchanged_has_no_terms_inside(text, required):
    lines = [*LINES.splitlines(), "s\tS", "{0} dogs\t{0} Hunde", "{0}\tnull"]
    assert terms.parse(lines, "any").wish(text).required == tuple(required)


words = st.text("ab", min_size=1, max_size=3)
glossaries = st.dictionaries(
    st.lists(words, min_size=1, max_size=2).map(" ".join), words, max_size=5
)


@given(glossaries, st.lists(words, max_size=8))
def test_terms_are_disjoint_runs_of_words_and_no_longer_one_is_left_out(asked, text):
    lines = [f"{source}\t{source}!{target}" for source, target in asked.items()]
    wish = terms.parse(lines, "any").wish(" ".join(text))
    found = [phrase.partition("!")[0] for phrase in wish.required]
    joined = f" {' '.join(text)} "
    for term in found:
        assert f" {term} " in joined
    for term in asked:
        longer = [other for other in asked if len(other) >= len(term)]
        assert f" {term} " not in joined or set(longer) & set(found)


@pytest.mark.parametrize(
    "line", ["dog", "dog\t", "\tHund", "dog\tHund\tyes", "dog\tHund\tno\tx", " \tx"]
)
def test_a_line_that_is_no_term_is_an_error_that_names_it(line):
    with pytest.raises(InputError, match="^my.tsv:3: .* is no term"):
        terms.parse(["a\tb", "", line], "my.tsv")


@pytest.mark.parametrize(
    "lines",
    [
        ["dog\tHund", "dog\tKöter"],
        ["dog\tHund", "dog\tHund\tno"],
        ["dog\tHund\tno", "dog\tder Hund"],
    ],
)
def test_terms_that_contradict_each_other_are_an_error(lines):
    with pytest.raises(InputError, match="^my.tsv:2: 'dog' shall become"):
        terms.parse(lines, "my.tsv")


def test_the_same_line_twice_is_no_contradiction():
    twice = terms.parse(["dog\tHund", "dog\tHund"], "my.tsv")
    assert twice == terms.parse(["dog\tHund"], "my.tsv")
