"""Whatever a model writes, a part of a text comes out with all that must be in it."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import checks, phrases, seating, spans, tokenizer
from transformer.engine import Engine
from transformer.parts import Office
from transformer.rules import NoRepeat, Vocabulary
from transformer.search import IMPOSSIBLE, Hypotheses
from transformer.strategies import Beam, MinimumRisk
from transformer.symbols import EOS, PAD
from transformer.tasks import ATTEMPTS, Task
from transformer.tokenizer import Tokenizers

SPANS = ["{name}", "{0}", "http://a.b/c?d=e", "www.a.org", "x@y.de", "%s", "%1$d"]
WORDS = ["a dog", "runs", "the cat,", "(bird)", "bird!", "3"]
NONSENSE = ["", "a cat", "bird { % http www", "{NAME} {1} x@y", "cat cat cat cat cat"]

texts = st.lists(st.sampled_from(SPANS + WORDS), min_size=1, max_size=7).map(" ".join)

property_test = partial(settings, deadline=None)


@pytest.fixture(scope="module")
def tokenizers():
    words = ["a dog runs", "the cat sees a bird", "{name} http://www.a.org %s"]
    joint = tokenizer.train(words * 5, vocab_size=320, kind="bpe")
    return Tokenizers(joint, joint)


class Scripted(Engine):
    """A model as far as an office knows it: writes what it is told to.

    Args:
        write: from a request to texts, best first; None is no way to write anything.
    """

    def __init__(self, tokenizers, write):
        self.tokenizers, self.write = tokenizers, write
        self.asked = []

    def run(self, params, requests, seed=0):
        del params, seed
        self.asked += requests
        for number in reversed(range(len(requests))):  # in no special order
            yield number, self._hypotheses(self.write(requests[number]))

    def _hypotheses(self, written):
        encode = self.tokenizers.target.encode
        rows = [[] if one is None else [*encode(one), EOS] for one in written]
        tokens = np.full((len(rows), max(map(len, rows)) + 3), PAD)
        log_probs = np.zeros(tokens.shape)
        for row, ids in enumerate(rows):
            tokens[row, : len(ids)], log_probs[row, : len(ids)] = ids, -1.0
        scores = [-1.0 - row if ids else IMPOSSIBLE for row, ids in enumerate(rows)]
        return Hypotheses(tokens, np.array(scores), log_probs)  # type: ignore[arg-type]


def has(request, rule):
    return any(isinstance(one, rule) for one in request.rules)


@pytest.fixture
def task(tokenizers):
    def made(text, **asked):
        ids = (*tokenizers.source.encode(text), EOS)
        return Task(text, ids, (0, 0), Beam(width=3))._replace(**asked)

    return made


def one_by_one(texts):
    """Every word belongs to the one with its number."""
    return [[(n, n) for n in range(len(source.split()))] for source, _ in texts]


def outcomes(office, tasks):
    return office.outcomes({}, tasks, 0, one_by_one)


def outcome(tokenizers, write, task):
    """What becomes of a task, and what was searched for."""
    model = Scripted(tokenizers, write)
    (found,) = outcomes(Office(model, tokenizers), [task])
    return found, model.asked


@pytest.fixture
def office(tokenizers):
    return partial(outcome, tokenizers)


@property_test(max_examples=60)
@given(texts, st.sampled_from(NONSENSE))
def test_spans_come_over_whatever_is_written(tokenizers, text, nonsense):
    ids = (*tokenizers.source.encode(text), EOS)
    asked = Task(text=text, ids=ids, place=(0, 0), strategy=Beam())
    found, _ = outcome(tokenizers, lambda request: [nonsense], asked)
    for one in found.best:
        assert not spans.missing(text, one.text)
    wrong = spans.missing(text, spans.repaired(text, nonsense))
    copied = found.best[0].text == text and not found.best[0].ids
    assert (checks.PLACEHOLDER in found.warnings) == bool(wrong and not copied)


def test_a_sentence_that_lost_a_span_is_translated_without_it(task, office, tokenizers):
    found, asked = office(lambda request: ["cat runs."], task("dog {name} sees."))
    assert [one.text for one in found.best] == ["cat {name} runs."]
    assert found.warnings == (checks.PLACEHOLDER,)
    texts = [tokenizers.source.decode(request.ids) for request in asked]
    assert texts == ["dog {name} sees.", "dog sees."]


def test_numbers_are_left_in_the_sentence_as_long_as_they_come_over(
    task, office, tokenizers
):
    asked_for = task("3 dogs see {name}", kinds=spans.WITH_NUMBERS)
    found, asked = office(lambda request: ["3 cats run"], asked_for)
    assert found.best[0].text == "3 cats run {name}"
    assert tokenizers.source.decode(asked[-1].ids) == "3 dogs see"
    found, asked = office(lambda request: ["cats run"], asked_for)
    assert found.best[0].text == "3 cats run {name}"
    assert tokenizers.source.decode(asked[-1].ids) == "dogs see"


@pytest.mark.parametrize("text", ["http://a.b/c", "{0}: {1}", "%s - 3", "…?!", "🙂"])
def test_a_part_without_words_is_copied_and_not_searched_for(task, office, text):
    found, asked = office(lambda request: ["cat"], task(text))
    assert [one.text for one in found.best] == [text]
    assert found.warnings == ()
    assert not asked
    assert found.best[0].tokens == ()


def test_what_is_copied_has_no_blanks_at_its_ends(task, office):
    found, _ = office(lambda request: ["cat"], task("http://a.b/c "))
    assert found.best[0].text == "http://a.b/c"


@pytest.mark.parametrize(
    "asked, right", [({}, "see {0}"), ({"required": ("{1}",)}, "see {1} {0}")]
)
def test_no_span_is_put_right_where_that_would_spoil_what_is_asked_for(
    task, office, asked, right
):
    found, _ = office(lambda request: ["see {1}"], task("sees {0}", **asked))
    assert found.best[0].text == right


def test_where_something_is_to_be_added_no_mere_signs_are_copied(task, office):
    found, asked = office(lambda request: ["cat!"], task("?!", required=("cat",)))
    assert [one.text for one in found.best] == ["cat!"]
    assert len(asked) == 1


def test_what_is_to_be_added_to_mere_spans_stands_before_them(task, office, tokenizers):
    prefix = tuple(tokenizers.target.encode("the"))
    longest = "http://a.b/" + 5000 * "c"  # no network would be asked to translate that
    for required, whole in (
        (("a dog", "a.b"), f"the a dog {longest}"),
        (("dog", "a dog", "the"), f"the a dog {longest}"),
    ):
        asked_for = task(longest, required=required, prefix=prefix)
        found, asked = office(lambda request: ["cat"], asked_for)
        assert [one.text for one in found.best] == [whole]
        assert not asked
    begun = task(
        "{the} {a}", required=("dog",), prefix=tokenizers.target.encode("{the")
    )
    assert office(lambda request: [], begun)[0].best[0].text == "{the} {a} dog"


def test_without_its_spans_all_else_is_asked_as_before(task, office, tokenizers):
    prefix = tuple(tokenizers.target.encode("the"))
    asked_for = task("dog {0} the bird", required=("a dog",), prefix=prefix)
    found, (first, second) = office(lambda request: ["the a dog"], asked_for)
    assert [type(rule) for rule in first.rules] == [type(r) for r in second.rules]
    assert first.strategy == second.strategy
    assert phrases.contains(found.best[0].text, "a dog")


def test_no_span_comes_into_a_phrase_that_must_occur(task, office):
    found, _ = office(lambda request: ["a dog"], task("a {0} dog", required=("a dog",)))
    assert found.best[0].text == "a dog {0}"


def test_it_is_told_what_went_wrong_without_the_spans(task, office):
    loop = "dog dog dog dog dog dog"
    found, asked = office(lambda request: [loop], task("dog {0} the bird"))
    assert set(found.warnings) == {checks.LOOP, checks.PLACEHOLDER}
    assert [has(request, NoRepeat) for request in asked] == [False, False, True]


def test_if_one_alternative_lost_a_span_all_are_searched_without(task, office):
    asked_for = task("dog {0}")

    def write(request):
        return ["{0} a", "b"] if request.ids == asked_for.ids else ["cat", "bird"]

    found, asked = office(write, asked_for)
    assert [one.text for one in found.best] == ["cat {0}", "bird {0}"]
    assert len(asked) == 2


def test_what_loops_is_searched_again_and_flagged(task, office):
    loop = "dog dog dog dog dog dog"
    found, asked = office(
        lambda request: ["a bird" if has(request, NoRepeat) else loop], task("a cat")
    )
    assert found.best[0].text == "a bird"
    assert found.warnings == (checks.LOOP,)
    assert len(asked) == 2


def test_what_loops_again_is_given_and_flagged_once(task, office):
    loop = "dog dog dog dog dog dog"
    found, asked = office(lambda request: [loop], task("a cat"))
    assert found.best[0].text == loop
    assert found.warnings == (checks.LOOP,)
    assert len(asked) == 2


def test_a_source_that_repeats_itself_may_be_translated_so(task, office):
    found, asked = office(lambda r: ["dog dog dog dog"], task("cat cat cat cat cat"))
    assert found.warnings == ()
    assert len(asked) == 1


@pytest.mark.parametrize("patience", range(ATTEMPTS + 1))
def test_what_is_banned_does_not_come_in_the_end(task, office, patience):
    """However many searches another remedy has used before."""
    sayings = ["the cat", "dog dog dog dog dog", "a cat {0}", "the cat {0}"]

    def stubborn(request):
        if has(request, Vocabulary):
            return ["dog {0}"]
        turns.append(request)
        return [sayings[(len(turns) + patience) % len(sayings)]]

    turns = []
    found, asked = office(stubborn, task("a bird {0}", banned=("cat",)))
    assert not phrases.contains(found.best[0].text, "cat")
    assert not spans.missing("a bird {0}", found.best[0].text)
    assert len(asked) <= 2 * (ATTEMPTS + 1)


def test_each_banned_phrase_has_a_last_search_of_its_own(task, office):
    def stubborn(request):
        for rule in request.rules:
            if isinstance(rule, Vocabulary):
                allowed.append(rule.allowed)
                return ["the" if len(allowed) > 1 else "a dog"]
        return ["a cat"]

    allowed = []
    found, _ = office(stubborn, task("a bird", banned=("cat", "dog")))
    assert found.best[0].text == "the"
    assert len(allowed) == 2


def test_a_remedy_that_finds_nothing_leaves_what_there_was(task, office):
    loop = "dog dog dog dog dog dog"
    found, _ = office(
        lambda request: [None if has(request, NoRepeat) else loop], task("a cat")
    )
    assert found.best[0].text == loop
    assert found.warnings == (checks.LOOP,)


def test_where_there_is_no_way_the_text_is_empty_and_says_so(task, office):
    found, _ = office(lambda request: [None, None], task("a cat"))
    assert [one.text for one in found.best] == [""]
    assert found.warnings == (checks.IMPOSSIBLE,)
    assert np.isfinite(found.best[0].score)


def test_a_translation_that_ends_because_it_must_is_flagged(task, office):
    long = "a the dog cat " * (seating.most(20) // 4)
    found, _ = office(
        lambda request: [long], task("the cat sees a bird", rules=(NoRepeat(3),))
    )
    assert checks.TRUNCATED in found.warnings


def test_a_script_that_the_source_does_not_know_is_flagged(task, office):
    found, _ = office(lambda request: ["a cat"], task("नमस्ते दुनिया"))
    assert found.warnings == (checks.UNKNOWN_SCRIPT,)


def test_minimum_risk_ranks_what_was_drawn_but_not_what_was_searched_for(task, office):
    drawn = ["the dog", "a bird runs", "a cat", "a cat"]
    risk = MinimumRisk(count=4, keep=2)
    found, _ = office(lambda request: drawn, task("a cat", strategy=risk))
    assert [one.text for one in found.best] == ["a cat", "a cat"]
    wanting = task("a cat", strategy=risk, required=("cat",))
    found, (asked,) = office(lambda request: drawn[:2], wanting)
    assert [one.text for one in found.best] == drawn[:2]
    assert asked.strategy == Beam(width=8, best=2)


@property_test(max_examples=20)
@given(st.lists(texts, max_size=6), st.randoms())
def test_a_part_gets_the_same_in_any_company(tokenizers, sources, random):
    def write(request):  # a nonsense that depends on what is asked
        kind = len(request.ids) + 2 * len(request.rules)
        return [NONSENSE[kind % len(NONSENSE)], "a dog {0}"]

    tasks = [
        Task(
            text=text,
            ids=(*tokenizers.source.encode(text), EOS),
            place=(number, 0),
            strategy=Beam(),
            banned=("cat",),
        )
        for number, text in enumerate(sources)
    ]
    model = Scripted(tokenizers, write)
    office = Office(model, tokenizers)
    together = outcomes(office, tasks)
    assert [outcomes(office, [task])[0] for task in tasks] == together
    order = random.sample(range(len(tasks)), len(tasks))
    shuffled = outcomes(office, [tasks[number] for number in order])
    assert shuffled == [together[number] for number in order]


def test_thousands_of_spans_in_one_part_all_come_over(task, office):
    text = " ".join(f"dog {{{number}}}" for number in range(2000))
    found, asked = office(lambda request: ["cat " * 2000], task(text))
    assert found.best[0].text == text.replace("dog", "cat")
    assert len(asked) == 2
