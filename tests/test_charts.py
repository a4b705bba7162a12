"""Line charts: every point has its place, and what is left out changes no shape."""

from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.pages import charts
from transformer.pages.charts import HEIGHT, MOST, Curve

VALUES = st.floats(0, 1e9) | st.sampled_from([inf, -inf, nan, 1e-12])


@st.composite
def curves(draw):
    updates = draw(st.lists(st.integers(1, 10**7), min_size=1, unique=True))
    return Curve("x", [(at, draw(VALUES)) for at in sorted(updates)])


@given(st.lists(curves(), max_size=2))
def test_a_chart_holds_all_that_is_finite_inside_its_frame(given_curves):
    drawn = charts.chart("key", given_curves)
    finite = [
        [at for at, value in curve.points if -inf < value < inf]
        for curve in given_curves
    ]
    assert (drawn is None) == (not any(finite))
    if drawn is None:
        return
    assert [[at for at, _ in one.points] for one in drawn.curves] == [
        updates for updates in finite if updates
    ]
    assert drawn.end == max(map(max, filter(None, finite)))
    for one in drawn.curves:
        places = [tuple(map(float, p.split())) for p in one.path[1:].split("L")]
        assert all(0 <= x <= 1000 and 0 <= y <= HEIGHT for x, y in places)
    for ticks, size in ((drawn.across, 100), (drawn.up, HEIGHT)):
        assert 1 <= len(ticks) <= 7
        assert all(-1e-3 <= tick.place <= size + 1e-3 for tick in ticks)
        assert len({tick.label for tick in ticks}) == len(ticks)


@pytest.mark.parametrize("number", [1, 999, 1000, 1001, 54_321])
def test_a_thinned_curve_keeps_its_order_its_ends_and_its_peaks(number):
    points = [(n, float(n * 7919 % 1009)) for n in range(number)]
    kept = charts.thinned(points)
    assert min(number, MOST // 2) <= len(kept) <= MOST
    assert set(kept) <= set(points)
    assert all(one[0] < other[0] for one, other in pairwise(kept))
    for choose in (min, max):
        value = choose(value for _, value in points)
        assert value == choose(value for _, value in kept)
    assert (kept[0], kept[-1]) == (points[0], points[-1])


def test_the_table_has_every_curve_and_few_rows():
    many = Curve("training", [(n, 1.0) for n in range(10, 50_010, 10)])
    few = Curve("validation", [(n, 2.0) for n in range(5000, 50_001, 5000)])
    drawn = charts.chart("loss", [many, few])
    assert drawn is not None
    assert len(drawn.rows) <= charts.ROWS + len(few.points)
    assert drawn.rows[-1] == (50_000, ["1", "2"])
    assert [at for at, (_, value) in drawn.rows if value] == [
        at for at, _ in few.points
    ]


def test_labels_are_short():
    values = [0.0, 0.0002, 5e-5, 200.0, 12_500.0, 3e6]
    found = [charts.label(value) for value in values]
    assert found == ["0", "0.0002", "5e-5", "200", "12.5k", "3M"]
