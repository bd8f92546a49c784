"""Plots: where bars, ticks and lines are, and that nothing in them is left unescaped."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta.markup.charts import Limit, across, histogram, size_text

LIMIT = Limit(10_000, "10 KB")


def plot(edges: list[int], counts: list[int], *limits: Limit) -> str:
    """Return a plot of users."""
    return histogram(
        edges,
        counts,
        limits=limits or (LIMIT,),
        style=lambda size: f"from{size}",
        label="<Users>",
        noun="users",
    )


def numbers(name: str, drawn: str) -> list[float]:
    """Return the values of an attribute of the bars."""
    return [float(one) for one in re.findall(rf'<rect class="bar[^>]* {name}="([\d.]+)%?"', drawn)]


def test_bars_stand_beside_each_other_from_the_floor() -> None:
    """Each begins where the one before it ends, and none is wider than the plot; the highest is at the top."""
    drawn = plot([100, 1_000, 10_000, 100_000], [5, 900, 1])
    x, wide = numbers("x", drawn), numbers("width", drawn)
    assert [round(left + width, 1) for left, width in zip(x, wide, strict=True)] == [33.3, 66.7, 100.0]
    y, high = numbers("y", drawn), numbers("height", drawn)
    assert {round(top + height) for top, height in zip(y, high, strict=True)} == {240}
    assert min(y) == y[1] == 40
    assert high[2] > 10  # one user among 900 can be seen
    assert re.findall('class="bar (from[0-9]+)"', drawn) == ["from100", "from1000", "from10000"]


def test_limits_are_drawn_if_the_plot_reaches_them() -> None:
    """The first one always, because it is what the plot is about."""
    far = Limit(100_000, "100 KB & more")
    assert "&amp; more" not in plot([100, 1_000], [3], LIMIT, far)
    assert "10 KB" in plot([100, 1_000], [3], LIMIT, far)
    assert "100 KB &amp; more" in plot([100, 1_000, 200_000], [3, 1], LIMIT, far)


def test_nothing_is_drawn_of_nothing() -> None:
    """A plot without a bar would look like a mistake."""
    assert plot([0], []) == plot([0, 10], [0]) == ""


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=40), st.data())
def test_every_plot_stays_inside_its_frame(widths: list[int], data: st.DataObject) -> None:
    """Whatever the sizes are; the text for those who don't see it is escaped."""
    edges = [0]
    for width in widths:
        edges.append(edges[-1] + width)
    counts = [data.draw(st.integers(0, 10**9)) for _ in widths]
    drawn = plot(edges, counts)
    for left, width in zip(numbers("x", drawn), numbers("width", drawn), strict=True):
        assert 0 <= left <= left + width <= 100.01
    for top, height in zip(numbers("y", drawn), numbers("height", drawn), strict=True):
        assert 40 <= top <= top + height <= 240.2
    assert drawn == "" or "<title>&lt;Users&gt;</title>" in drawn


@pytest.mark.parametrize(("part", "wide"), [(0.5, "50.0%"), (7, "100.0%"), (-1, "0.0%"), (0.00004, "0.0%")])
def test_a_bar_is_as_long_as_its_part(part: float, wide: str) -> None:
    """It never leaves its place."""
    assert f'width="{wide}"' in across(part, "bad")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1_000, "1 KB"), (9_999, "10 KB"), (10_000, "10 KB"), (10_049, "10 KB"), (10_051, "10.1 KB"),
        (999_400, "999 KB"), (999_600, "1 MB"), (2_500_000, "2.5 MB"), (7e9, "7 GB"),
    ],
)  # fmt: skip
def test_sizes_in_words(size: float, text: str) -> None:
    """Three digits are enough."""
    assert size_text(size) == text
