import itertools
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from transformer import phrasebook
from transformer.phrasebook import grammar

DEVANAGARI = re.compile("[\u0901-\u0963 ,।?!-]+")
PATTERNS = {pattern.name: pattern for pattern in grammar.patterns()}
SMALL = 6_000


def elsewhere(**arguments):
    """The split as a new process computes it, without the type checks of a test run."""
    code = (
        "import json, sys; from transformer import phrasebook;"
        "json.dump(phrasebook.split(**json.loads(sys.argv[1])), sys.stdout)"
    )
    command = [sys.executable, "-c", code, json.dumps(arguments)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    parts = json.loads(done.stdout)
    return phrasebook.Splits(*([tuple(pair) for pair in part] for part in parts))


@pytest.fixture(scope="module")
def splits():
    return elsewhere(seed=0)


@pytest.fixture(scope="module")
def small():
    return phrasebook.split(seed=0, size=SMALL)


def drawn(name, quota=300):
    """Some sentences of one pattern."""
    return [s.forms[0] for s in phrasebook.sample(PATTERNS[name], 0, quota)]


def translations(name, english):
    """The Hindi of the sentences of a pattern whose English matches."""
    return [hindi for source, hindi in drawn(name) if re.match(english, source, re.I)]


def every_sort_of_filler():
    """Patterns with, for one slot after the other, every sort of word that fits it."""
    for pattern in grammar.patterns():
        groups = [list(itertools.chain(*kinds)) for kinds in grammar.choices(pattern)]
        assert all(groups), f"{pattern.name} has a slot that nothing fills"
        first = {slot: entry for ways in groups for slot, entry in ways[0].items()}
        sorts = {sort(parts): parts for ways in groups for parts in ways}
        for parts in sorts.values():
            yield pattern, first | dict(parts)


def sort(parts):
    """The same for fillers that have the same forms and the same agreement."""
    forms = [entry.forms for entry in parts.values()]
    agreement = [(f.get("en.agrees"), f.get("hi.agrees")) for f in forms]
    return tuple(parts), *(frozenset(f) for f in forms), *agreement


def test_the_book_is_large_enough(splits):
    assert len(grammar.lexicon()) >= 400
    assert len(phrasebook.sentences()) >= 1_500
    assert len(set(splits.train + splits.valid + splits.test)) >= 60_000
    assert 100 <= len(splits.valid) <= 700
    assert 800 <= len(splits.test) <= 1_500


def test_the_split_depends_on_the_seed_alone(small):
    assert elsewhere(seed=0, size=SMALL) == small
    assert elsewhere(seed=1, size=SMALL) != small


def test_no_text_is_in_two_parts_of_the_split(splits):
    train, valid, test = map(phrasebook.texts, splits)
    assert train.isdisjoint(valid | test)
    assert valid.isdisjoint(test)


def test_no_combination_of_words_is_in_two_parts_of_the_split(small):
    words = {s.forms[0]: s.key for s in phrasebook.drawn(seed=0, size=SMALL)}
    for pair in phrasebook.sentences():  # these go where they go themselves
        words.pop(pair, None)
    train, valid, test = ({words[p] for p in part if p in words} for part in small)
    assert train and valid and test
    assert train.isdisjoint(valid | test)
    assert valid.isdisjoint(test)


def test_one_english_text_has_one_hindi_text(splits):
    hindi = {}
    for source, target in itertools.chain(*splits):
        source, target = phrasebook.bare(source).casefold(), phrasebook.bare(target)
        assert hindi.setdefault(source, target) == target


def test_exemplars_are_trained_on_as_they_say(splits):
    exemplars = phrasebook.exemplars()
    train, texts = set(splits.train), phrasebook.texts(splits.train)
    for exemplar in exemplars:
        pair = exemplar.source, exemplar.target
        assert (pair in train) is exemplar.training
        assert exemplar.training or phrasebook.texts([pair]).isdisjoint(texts)
    points = [exemplar.point.split(":")[0] for exemplar in exemplars]
    assert sum(points.count(point) >= 2 for point in set(points)) >= 11


def test_words_of_held_out_exemplars_never_meet():
    for sentence in phrasebook.drawn(seed=0, size=SMALL):
        words = set(sentence.key.split(", "))
        assert not any(words >= w for w in phrasebook.combinations("held out"))


def test_every_reference_resolves_for_every_sort_of_filler():
    for pattern, parts in every_sort_of_filler():
        assert grammar.fill(pattern.english, parts, "en")
        assert grammar.fill(pattern.hindi, parts, "hi")


def test_only_known_characters_occur(splits):
    for source, target in itertools.chain(*splits):
        assert source.isascii()
        assert DEVANAGARI.fullmatch(target), target
        assert unicodedata.is_normalized("NFC", target)
        assert "  " not in source + target


def test_both_styles_occur_and_both_sides_have_the_same(splits):
    marks = {".": "।", "?": "?", "!": "!"}
    written = [pair for pair in splits.train if pair[0][-1] in marks]
    assert 0.3 < len(written) / len(splits.train) < 0.6
    for source, target in splits.train:
        assert (source[-1] in marks) == (target[-1] in marks.values())
    for source, target in written:
        assert source[0].isupper() and marks[source[-1]] == target[-1]


def test_names_keep_their_capital_in_plain_style():
    assert phrasebook.plain("Ravi's brother is here.") == "Ravi's brother is here"
    assert phrasebook.plain("I'm here.") == "I'm here"
    assert phrasebook.plain("Where are you?") == "where are you"


def test_a_vowel_sign_after_a_vowel_becomes_a_letter():
    assert grammar.spelled("खाेंगे") == "खाएँगे"
    assert grammar.spelled("करूँगा") == "करूँगा"


def test_the_verb_agrees_with_the_subject():
    habits = [h.rstrip("।") for h in translations("does", "Sita ")]
    assert habits and all(h.endswith("ती है") for h in habits)
    elders = [h.rstrip("।") for h in translations("is doing", "(my|his) mother ")]
    assert elders and all(h.endswith("रही हैं") for h in elders)
    past = [h.rstrip("।") for h in translations("did", "she ")]
    assert past and all(h.endswith(("ई", "ी")) for h in past)


def test_with_ne_the_verb_agrees_with_the_object():
    pairs = drawn("did yesterday, with ने", quota=4_000)
    assert all("ने " in hindi for _, hindi in pairs)
    for english, ending in [("a book", "ी"), ("books", "ीं"), ("a novel", "ा")]:
        found = [
            hindi.rstrip("।")
            for source, hindi in pairs
            if re.search(f"(bought|read) {english} ", source)
        ]
        assert found and all(hindi.endswith(ending) for hindi in found)


def test_the_listener_is_respected():
    for source, target in drawn("please do"):
        assert source.casefold().startswith("please")
        assert target.rstrip("।").endswith(("इए", "िए"))
