"""Every pair once an epoch, in few shapes, in an order anyone can recompute."""

from itertools import islice

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transformer import batches, packing, store
from transformer.batches import Plan, Shape
from transformer.errors import InputError
from transformer.symbols import BOS, EOS, PAD

TOKENS = 1024
LENGTHS = st.lists(
    st.tuples(st.integers(0, 60), st.floats(0.5, 1.5)), min_size=1, max_size=80
).map(lambda drawn: [(n, round(n * ratio)) for n, ratio in drawn])
PLANS = settings(deadline=None, max_examples=40)


def stored(lengths):
    """A store of sentences of these lengths, no two alike."""
    ids = iter(range(4, 1 << 30))
    return store.collect(
        (list(islice(ids, source)), list(islice(ids, target)))
        for source, target in lengths
    )


def planned(tokens, *, accumulate=1, seed=0, budget=TOKENS):
    lengths = batches.lengths(tokens)
    everything = np.ones(tokens.size, bool)
    shapes = batches.shapes(lengths, budget)
    return Plan(lengths, everything, shapes, accumulate, seed)


def corpus(size, seed=0):
    """Lengths like those of real sentences: lognormal, with a mean of 15."""
    random = np.random.default_rng(seed)
    source = random.lognormal(np.log(15) - 0.18, 0.6, size)
    target = source * random.lognormal(0, 0.2, size)
    return np.clip(np.stack([source, target], axis=1), 1, 127).astype(int)


def order(plan, epoch=0):
    """The pairs of each batch of an epoch, row by row."""
    numbers = range(epoch * plan.per_epoch, (epoch + 1) * plan.per_epoch)
    return [
        [[row.tolist() for row in part] for part in plan.batch(number)[1]]
        for number in numbers
    ]


def flat(epoch):
    return [pair for batch in epoch for part in batch for row in part for pair in row]


def sentences(packed):
    """Each row's tokens by segment; fails if segments, positions or padding are odd."""
    for tokens, segments, positions in zip(
        *(field.reshape(-1, field.shape[-1]) for field in packed), strict=True
    ):
        filled = segments > 0
        for field in (tokens, segments, positions):
            assert not field[~filled].any()
        assert not filled[filled.sum() :].any()  # padding stands at the end
        assert (np.diff(segments[filled]) >= 0).all()
        found = []
        for number in range(1, segments.max() + 1):
            inside = segments == number
            assert positions[inside].tolist() == list(range(inside.sum()))
            found.append(tokens[inside].tolist())
        yield found


def pairs(batch):
    """Sentence pairs of a batch without special tokens; fails if it is inconsistent."""
    labels = batch.target._replace(tokens=batch.labels)
    rows = map(sentences, (batch.source, batch.target, labels))
    for row in zip(*rows, strict=True):
        for source, target, label in zip(*row, strict=True):
            assert source[-1] == label[-1] == EOS
            assert target[0] == BOS
            assert target[1:] == label[:-1]
            yield source[:-1], label[:-1]


def equal(one, other):
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


@given(lengths=LENGTHS, accumulate=st.integers(1, 3), seed=st.integers(0, 9))
@PLANS
def test_every_pair_stands_in_exactly_one_batch_of_each_epoch(
    lengths, accumulate, seed
):
    plan = planned(stored(lengths), accumulate=accumulate, seed=seed)
    for epoch in (0, 1, 5):
        assert sorted(flat(order(plan, epoch))) == list(range(len(lengths)))


@given(lengths=LENGTHS, data=st.data())
@PLANS
def test_pairs_that_do_not_fit_take_no_part(lengths, data):
    tokens = stored(lengths)
    size = len(lengths)
    chosen = data.draw(st.sets(st.integers(0, size - 1), min_size=1))
    fitting = np.isin(np.arange(size), list(chosen))
    positions = batches.lengths(tokens)
    shapes = batches.shapes(positions[fitting], TOKENS)
    plan = Plan(positions, fitting, shapes, 1, 0)
    assert sorted(flat(order(plan))) == sorted(chosen)


@given(lengths=LENGTHS, accumulate=st.integers(1, 3))
@PLANS
def test_sentences_and_labels_come_through_whole(lengths, accumulate):
    tokens = stored(lengths)
    plan = planned(tokens, accumulate=accumulate)
    found = [pair for batch in batches.once(tokens, plan) for pair in pairs(batch)]
    expected = [
        (tokens.source[i].tolist(), tokens.target[i].tolist())
        for i in flat(order(plan))
    ]
    assert found == expected


@given(lengths=LENGTHS)
@PLANS
def test_no_row_has_more_than_its_room(lengths):
    positions = batches.lengths(stored(lengths))
    plan = planned(stored(lengths))
    for number in range(plan.per_epoch):
        shape, parts = plan.batch(number)
        for row in (row for part in parts for row in part):
            assert (positions[row].sum(axis=0) <= shape[1:]).all()


@pytest.mark.parametrize("size", [1, 100, 3 * packing.LANE + 1])
def test_packing_fills_no_row_beyond_its_room(size):
    lengths, room = corpus(size), np.array([128, 144])
    lengths = np.minimum(lengths, room)
    rows = packing.pack(lengths, room)
    used = np.stack([np.bincount(rows, side) for side in lengths.T], axis=1)
    assert len(rows) == size
    assert (used <= room).all()


@given(lengths=LENGTHS, accumulate=st.integers(1, 3))
@PLANS
def test_a_batch_has_its_shape_and_no_more_tokens_than_the_budget(lengths, accumulate):
    tokens = stored(lengths)
    plan = planned(tokens, accumulate=accumulate)
    for number, batch in enumerate(batches.once(tokens, plan)):
        shape, _ = plan.batch(number)
        assert shape in plan.shapes
        assert shape.rows * max(shape.source, shape.target) <= TOKENS
        assert batch.source.tokens.shape == (accumulate, shape.rows, shape.source)
        assert batch.target.tokens.shape == (accumulate, shape.rows, shape.target)
        assert batch.labels.shape == batch.target.tokens.shape


@given(lengths=LENGTHS)
@PLANS
def test_shapes_fall_in_length_and_the_largest_holds_every_pair(lengths):
    positions = batches.lengths(stored(lengths))
    found = batches.shapes(positions, TOKENS)
    assert (positions.max(axis=0) <= found[0][1:]).all()
    for larger, smaller in zip(found, found[1:], strict=False):
        assert larger.source > smaller.source
        assert larger.target > smaller.target
        assert larger.rows < smaller.rows


@given(lengths=LENGTHS, seed=st.integers(0, 9), accumulate=st.integers(1, 3))
@PLANS
def test_the_very_first_batch_has_the_largest_shape(lengths, seed, accumulate):
    plan = planned(stored(lengths), seed=seed, accumulate=accumulate)
    assert plan.batch(0)[0] == max(plan.shapes, key=lambda shape: shape[1:])


def test_the_largest_shape_comes_first_though_it_is_rare():
    tokens = stored([*corpus(400), (127, 127)])
    for seed in range(10):
        plan = planned(tokens, seed=seed, budget=512)
        assert len(plan.shapes) > 1
        assert plan.batch(0)[0] == plan.shapes[0]


def test_later_epochs_begin_with_any_shape():
    plan = planned(stored(corpus(400)))
    assert len(plan.shapes) > 1
    firsts = {plan.batch(epoch * plan.per_epoch)[0] for epoch in range(1, 20)}
    assert len(firsts) > 1


def test_hardly_any_shape_needs_compiling():
    lengths = batches.lengths(stored(corpus(2000)))
    assert len(batches.shapes(lengths, TOKENS)) <= 2


def test_padding_is_under_ten_percent_on_sentences_of_natural_length():
    lengths = corpus(20_000) + 1
    everything = np.ones(len(lengths), bool)
    for budget in (2048, 4096):
        plan = Plan(lengths, everything, batches.shapes(lengths, budget), 1, 0)
        assert plan.padding() < 0.1


@given(lengths=LENGTHS, accumulate=st.integers(1, 3))
@PLANS
def test_the_padding_told_is_the_padding_there(lengths, accumulate):
    tokens = stored(lengths)
    plan = planned(tokens, accumulate=accumulate)
    segments = [
        side.segments
        for batch in batches.once(tokens, plan)
        for side in (batch.source, batch.target)
    ]
    empty = sum(int((ids == 0).sum()) for ids in segments)
    assert plan.padding() == pytest.approx(empty / sum(ids.size for ids in segments))


def test_two_plans_of_one_seed_agree_on_every_batch():
    tokens = stored(corpus(300))
    one, other = planned(tokens, seed=3), planned(tokens, seed=3)
    late = order(other, 2)  # asked in another order
    assert [order(one, epoch) for epoch in (0, 1)] == [
        order(other, epoch) for epoch in (0, 1)
    ]
    assert order(one, 2) == late


def test_a_batch_does_not_depend_on_those_asked_before():
    plan = planned(stored(corpus(300)))
    far = 7 * plan.per_epoch + 1
    expected = plan.batch(far)
    for epoch in (0, 3, 5):
        plan.batch(epoch * plan.per_epoch)
    assert equal(expected, plan.batch(far))


def test_another_seed_gives_another_order():
    tokens = stored(corpus(300))
    assert order(planned(tokens, seed=1)) != order(planned(tokens, seed=2))


def test_epochs_have_different_orders():
    plan = planned(stored(corpus(300)))
    orders = [flat(order(plan, epoch)) for epoch in range(4)]
    assert all(
        one != other for i, one in enumerate(orders) for other in orders[i + 1 :]
    )


def test_the_seed_decides_which_sentences_share_a_row():
    def rows(seed):
        plan = planned(tokens, seed=seed)
        return {
            frozenset(row) for batch in order(plan) for part in batch for row in part
        }

    tokens = stored(corpus(300))
    assert rows(1) != rows(2)


def test_the_order_is_not_that_of_the_corpus():
    found = flat(order(planned(stored([(10, 10)] * 300))))
    assert found != sorted(found)


def test_a_stream_has_the_planned_batches_and_then_ends():
    tokens = stored(corpus(200))
    plan = planned(tokens, accumulate=2)
    count = 2 * plan.per_epoch + 1
    found = list(batches.stream(tokens, plan, count))
    expected = [batches.assemble(tokens, *plan.batch(i)) for i in range(count)]
    assert len(found) == count
    assert all(map(equal, found, expected))


@pytest.mark.parametrize("done", [0, 1, 5])
def test_a_stream_continues_exactly_where_its_state_was_taken(done):
    tokens = stored(corpus(200))
    plan = planned(tokens)
    count = plan.per_epoch + 3
    stream = batches.stream(tokens, plan, count)
    for _ in range(done):
        next(stream)
    state = stream.get_state()
    expected = list(stream)
    resumed = batches.stream(tokens, planned(tokens), count)
    resumed.set_state(state)
    found = list(resumed)
    assert len(found) == len(expected) == count - done
    assert all(map(equal, found, expected))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_an_example_is_like_a_batch_of_that_shape_but_empty(accumulate):
    tokens = stored([(5, 6), (7, 8)])
    plan = planned(tokens, accumulate=accumulate)
    shape, parts = plan.batch(0)
    real = batches.assemble(tokens, shape, parts)
    empty = batches.example(shape, accumulate)

    def kinds(batch):
        return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), batch)

    assert kinds(real) == kinds(empty)
    assert not any(leaf.any() for leaf in jax.tree.leaves(empty))


def test_lengths_count_the_mark_at_the_end():
    assert batches.lengths(stored([(0, 3), (2, 0)])).tolist() == [[1, 4], [3, 1]]


def test_a_row_is_laid_out_as_drawn():
    """The one picture: two sentence pairs in a row, an empty row below."""
    tokens = store.collect([([11, 12], [21]), ([13], [22, 23])])
    rows = [[np.array([0, 1]), np.array([], int)]]
    batch = batches.assemble(tokens, Shape(2, 6, 6), rows)
    none = [PAD] * 6
    assert batch.source.tokens.tolist() == [[[11, 12, EOS, 13, EOS, PAD], none]]
    assert batch.source.segments.tolist() == [[[1, 1, 1, 2, 2, 0], none]]
    assert batch.source.positions.tolist() == [[[0, 1, 2, 0, 1, 0], none]]
    assert batch.target.tokens.tolist() == [[[BOS, 21, BOS, 22, 23, PAD], none]]
    assert batch.labels.tolist() == [[[21, EOS, 22, 23, EOS, PAD], none]]


def rated(rates, accumulate=1):
    tokens = stored(corpus(len(rates)))
    lengths = batches.lengths(tokens)
    shapes = batches.shapes(lengths, TOKENS)
    return Plan(lengths, np.array(rates), shapes, accumulate, 0)


def test_pairs_come_as_often_as_their_rates_say():
    plan = rated([0.5] * 400 + [2.0] * 100 + [0.0] * 50)
    counts = np.zeros(550)
    for epoch in range(4):
        counts += np.bincount(flat(order(plan, epoch)), minlength=550)
    # Whole rows are taken, so that an epoch holds a row more or less of a rate.
    np.testing.assert_allclose(counts[:400].mean(), 4 * 0.5, rtol=0.1)
    np.testing.assert_allclose(counts[400:500].mean(), 4 * 2, rtol=0.1)
    assert counts[:500].min() > 0
    assert not counts[500:].any()


def test_a_rate_of_one_is_no_rate():
    assert order(rated([1.0] * 90)) == order(rated([True] * 90))


def test_rows_that_devices_fill_up_are_padding():
    plan = planned(stored([(4, 4)] * 300))
    share = 1 - plan.padding()
    assert plan.padding(lambda rows: 2 * rows) == pytest.approx(1 - share / 2)


def test_more_pairs_than_can_be_numbered_are_refused():
    many = 2**31
    lengths, rates = np.broadcast_to(3, (many, 2)), np.broadcast_to(1.0, many)
    with pytest.raises(InputError, match="more than the 2,147,483,647"):
        Plan(lengths, rates, [Shape(1, 8, 8)], accumulate=1, seed=0)


def test_the_padding_told_of_rates_is_nearly_the_padding_there():
    plan = rated([0.5] * 400 + [3.0] * 100)
    room = filled = 0
    for number in range(plan.per_epoch):
        shape, parts = plan.batch(number)
        room += shape.rows * (shape.source + shape.target)
        pairs = np.concatenate([row for part in parts for row in part])
        filled += batches.lengths(stored(corpus(500)))[pairs].sum()
    assert plan.padding() == pytest.approx(1 - filled / room, abs=0.03)


def test_a_stream_of_rates_continues_exactly_where_its_state_was_taken():
    tokens, rates = stored(corpus(200)), np.array([0.3] * 150 + [2.5] * 50)
    lengths = batches.lengths(tokens)
    plans = [
        Plan(lengths, rates, batches.shapes(lengths, TOKENS), 1, 0) for _ in range(2)
    ]
    count = 3 * plans[0].per_epoch
    whole = batches.stream(tokens, plans[0], count)
    for _ in range(count // 2):
        next(whole)
    continued = batches.stream(tokens, plans[1], count)
    continued.set_state(whole.get_state())
    for one, other in zip(whole, continued, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)
