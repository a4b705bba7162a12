"""The tree of a search is the search: it ends in the translation."""

from collections import Counter
from itertools import pairwise

import pytest
import tiny

from transformer import trees
from transformer.seating import Request, most
from transformer.strategies import Beam, DiverseBeam
from transformer.symbols import EOS

TEXTS = ["a dog runs", "the cat sees a bird", "it"]
STRATEGIES = [
    Beam(width=1),
    Beam(width=3, best=2, alpha=0.0),
    DiverseBeam(width=4, groups=2, best=1),
    Beam(width=2, coverage=0.5),
]


@pytest.fixture(scope="module")
def translator():
    return tiny.translator()


@pytest.fixture(scope="module", params=STRATEGIES, ids=str)
def strategy(request):
    return request.param


@pytest.fixture(scope="module", params=TEXTS)
def ids(request, translator):
    return (*translator.tokenizers.source.encode(request.param), EOS)


@pytest.fixture(scope="module")
def tree(translator, ids, strategy):
    request = Request(ids, strategy, most(len(ids)))
    return trees.grown(translator.model, translator.params, request)


def test_it_ends_in_what_the_search_finds(translator, ids, strategy, tree):
    ((best, *_),) = translator.search([ids], strategy=strategy)
    path = [tree.nodes[number] for number in tree.best]
    assert tuple(node.id for node in path) == best.ids
    assert path[-1].score == pytest.approx(best.score, rel=1e-4)
    assert [n.log_prob for n in path] == pytest.approx(best.log_probs, 1e-3, 1e-5)
    assert all(tree.nodes[n].parent == before for before, n in pairwise(tree.best))


def test_every_node_goes_on_from_one_that_was_kept(tree):
    for number, node in enumerate(tree.nodes):
        assert node.parent < number
        before = tree.nodes[node.parent] if node.parent >= 0 else None
        assert before is None or (before.fate, before.step) == ("kept", node.step - 1)
        total = node.log_prob + (before.total if before else 0)
        assert node.total == pytest.approx(total, abs=1e-4)


def test_no_more_are_kept_than_the_beam_has_room_for_and_they_are_the_best(
    tree, ids, strategy
):
    steps = range(tree.nodes[-1].step + 1)
    assert len(steps) <= most(len(ids))
    ended = 0
    for step in steps:
        nodes = [node for node in tree.nodes if node.step == step]
        fates = Counter(node.fate for node in nodes)
        assert fates["kept"] + fates["ended"] <= strategy.width - ended
        ended += fates["ended"]
        totals = [node.total for node in nodes]
        assert totals == sorted(totals, reverse=True)
        assert all(node.id == EOS for node in nodes if node.fate == "ended")
        assert all((node.score is None) == (node.fate != "ended") for node in nodes)
