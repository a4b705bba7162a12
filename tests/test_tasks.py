"""What is asked of the search for a part of a text."""

import numpy as np
import pytest

from transformer import phrases, tokenizer
from transformer.constraints import Banked, Required
from transformer.errors import InputError
from transformer.rules import Banned, Fewest, NoRepeat, Prefix, Vocabulary
from transformer.selects import Branch
from transformer.strategies import (
    Alternatives,
    Beam,
    DiverseBeam,
    Greedy,
    MinimumRisk,
    Sample,
)
from transformer.symbols import EOS
from transformer.tasks import ATTEMPTS, Desk, Found, Task
from transformer.tokenizer import Tokenizers


@pytest.fixture(scope="module")
def target():
    words = ["a dog runs", "the cat sees a bird", "the dog and the bird see it"]
    return tokenizer.train(words * 5, vocab_size=300, kind="bpe")


@pytest.fixture(scope="module")
def desk(target):
    return Desk(Tokenizers(target, target))


@pytest.fixture
def asked(target, desk):
    def request(text="a dog", **options):
        return desk.request(task(target, text, **options))

    return request


def task(target, text="a dog", **options):
    ids = (*target.encode(text), EOS)
    return Task(text, ids, (3, 1), Beam())._replace(**options)


def found(target, text):
    ids = (*target.encode(text), EOS)
    pieces = tuple(map(target.piece, ids))
    return Found(text, -1.0, ids, (-1.0,) * len(ids), pieces)


def kinds(request):
    return [type(rule) for rule in request.rules]


def test_what_nothing_is_asked_of_has_no_rules(asked):
    request = asked()
    assert (request.rules, request.select) == ((), None)
    assert request.place == (3, 1)


def test_each_wish_is_a_rule(asked, target):
    request = asked(
        rules=(NoRepeat(2),),
        fewest=3,
        prefix=tuple(target.encode("the")),
        required=("dog",),
        banned=("cat",),
        spared=("bird",),
    )
    assert kinds(request) == [NoRepeat, Fewest, Prefix, Required, Banned, Vocabulary]
    assert isinstance(request.select, Banked)


def test_the_fewest_tokens_are_not_more_than_the_most(asked):
    request = asked(fewest=1000, ratio=0.5)
    (fewest,) = request.rules
    assert fewest.length == request.limit < 1000


def test_what_is_asked_for_has_room_however_short_the_source_is(asked, target):
    usual, long = asked("a dog"), "the dog and the bird see it " * 4
    for wish in {"required": (long,)}, {"prefix": tuple(target.encode(long))}:
        request = asked("a dog", **wish)
        assert request.limit > max(usual.limit, len(target.encode(long)))
        few, most = request.lengths
        assert few <= request.limit <= most
    assert asked("a dog", required=("bird",)).limit == usual.limit


def test_alternatives_begin_behind_the_prefix(asked, target):
    prefix = tuple(target.encode("the dog"))
    assert asked(strategy=Alternatives(count=2)).select == Branch.of(0)
    later = asked(strategy=Alternatives(count=2), prefix=prefix).select
    assert later == Branch.of(len(prefix))


@pytest.mark.parametrize(
    "strategy, instead",
    [
        (Greedy(), Beam(width=8)),
        (Beam(width=12, best=3, alpha=1.0), Beam(width=12, best=3, alpha=1.0)),
        (DiverseBeam(width=4, best=2), Beam(width=8, best=2)),
        (Beam(width=9, coverage=0.2), Beam(width=9, coverage=0.2)),
        (Sample(count=2), Beam(width=8, best=2)),
        (Sample(count=20), Beam(width=20, best=20)),
        (MinimumRisk(count=64, keep=2), Beam(width=8, best=2)),
        (Alternatives(count=3), Beam(width=8, best=3)),
    ],
    ids=str,
)
def test_required_phrases_are_searched_for_with_a_beam(asked, strategy, instead):
    request = asked(strategy=strategy, required=("dog",))
    assert request.strategy == instead
    assert isinstance(request.select, Banked)


@pytest.mark.parametrize("wish", ["required", "banned"])
def test_an_empty_phrase_is_refused(asked, wish):
    with pytest.raises(InputError, match="empty phrase"):
        asked(**{wish: (" ",)})


def test_phrases_of_characters_that_have_no_piece_are_written_as_bytes(asked, target):
    (rule,) = asked(required=("नमस्ते",)).rules
    tokens = [int(id) for id in rule.phrases.tokens[0] if id]
    assert target.decode(tokens) == "नमस्ते"


def test_without_anything_wrong_there_is_no_remedy(desk, target):
    good = [found(target, "the cat {0}")]
    assert desk.remedy(task(target, "a dog {0}", banned=("dog",)), good) is None


def test_a_remedy_is_one_more_attempt(desk, target):
    loop = [found(target, "dog dog dog dog dog dog")]
    other = desk.remedy(task(target), loop)
    assert (other.attempt, kinds(desk.request(other))) == (2, [NoRepeat])
    assert desk.remedy(task(target, attempt=ATTEMPTS), loop) is None
    assert desk.remedy(other, loop) is None


def test_the_tokens_of_a_banned_phrase_are_avoided_then_spared(desk, target):
    banned = task(target, banned=("cat",))
    written = [found(target, "the cat")]
    avoiding = desk.remedy(banned, written)
    assert avoiding.avoided
    assert not avoiding.spared
    sparing = desk.remedy(avoiding, written)  # which it writes in spite of that
    assert sparing.spared == ("cat",)
    (banning, vocabulary) = desk.request(sparing).rules
    assert isinstance(banning, Banned)
    np.testing.assert_array_equal(vocabulary.allowed, phrases.spared(target, "cat"))
    assert desk.remedy(sparing, written) is None


def test_known_is_what_needs_no_bytes(desk):
    assert desk.known("d")
    assert not desk.known("द")
