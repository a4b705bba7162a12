"""The utility is sacreBLEU's chrF, and what is chosen is most like the others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF

from transformer import mbr

texts = st.text(st.one_of(st.sampled_from("ab c"), st.characters(codec="utf-8")))
candidates = st.lists(texts, min_size=1, max_size=6)


@settings(deadline=None)
@given(candidates)
def test_the_utility_is_chrf_as_sacrebleu_scores_a_sentence(texts):
    score = CHRF().sentence_score
    expected = [[score(own, [other]).score for other in texts] for own in texts]
    np.testing.assert_allclose(mbr.utilities(texts), expected, rtol=0, atol=1e-9)


@given(candidates)
def test_all_are_ranked_by_what_they_share_with_the_others(texts):
    order = mbr.choose(texts)
    assert sorted(order) == list(range(len(texts)))
    utility = mbr.utilities(texts)
    np.fill_diagonal(utility, 0)
    gain = utility.sum(axis=1)[order]
    assert (np.diff(gain) <= 1e-9).all()


@given(st.lists(st.sampled_from(["ab", "abc", "x", ""]), min_size=1, max_size=6))
def test_equal_texts_stay_in_their_order(texts):
    order = mbr.choose(texts)
    for text in set(texts):
        places = [place for place in order if texts[place] == text]
        assert places == sorted(places)


def test_what_was_drawn_twice_counts_twice():
    rest = ["a dog runs", "the cat"]
    assert mbr.choose([*rest, "the cat sat", "the cats"])[0] != 0
    assert mbr.choose([*rest, *rest[:1] * 3])[0] == 0


def test_the_common_one_is_best_and_the_odd_one_last():
    order = mbr.choose(["xyz", "red dog sits", "red dog runs", "big dog runs"])
    assert (order[0], order[-1]) == (2, 0)
