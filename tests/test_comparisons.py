"""A word is one vector in every sentence, until attention brings in the others."""

import pytest
import tiny

from transformer.comparisons import compare
from transformer.errors import InputError


@pytest.fixture(scope="module")
def translator():
    return tiny.translator()


def test_a_word_is_the_same_at_the_embedding_and_another_later(translator):
    found = compare(translator, "a dog runs", "the  dog sees")
    (dog,) = found.words
    assert found.texts == ("a dog runs", "the dog sees")
    assert found.order is None
    assert (dog.word, dog.places) == ("dog", (1, 1))
    assert len(dog.cosines) == len(dog.unordered) == len(found.stages) == 5
    assert dog.cosines[:2] == pytest.approx((1, 1))  # at the same place, too
    assert max(dog.cosines[2:]) < 0.999


def test_a_text_is_like_itself_at_every_stage(translator):
    found = compare(translator, "a dog sees a bird", "a dog sees a bird")
    assert [shared.word for shared in found.words] == "a dog sees a bird".split()
    for shared in found.words:
        assert shared.cosines == pytest.approx([1] * 5)
    assert found.order is None


def test_the_order_of_words_is_seen_through_positions_alone(translator):
    found = compare(translator, "dog sees cat the bird", "cat sees the bird dog")
    assert found.order is not None
    assert found.order.unordered < 1e-5 < 1e-2 < found.order.ordered
    for shared in found.words:
        assert shared.unordered == pytest.approx([1] * 5)
    assert min(found.words[0].cosines) < 0.999


def test_what_cannot_be_compared_is_refused(translator):
    with pytest.raises(InputError, match="no word in common"):
        compare(translator, "a dog", "the cat")
    with pytest.raises(InputError, match=f"{tiny.LONGEST}"):
        compare(translator, "a dog " * 30, "a dog")
