"""Plots as inline SVG.  Positions are in percent, so a plot is as wide as its place, and its text as large as elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import attrs

from auth0_meta.markup.page import text

_TOP, _PLOT, _BELOW = 40, 200, 26
_ROW = 15
_TALLEST_LABELS = 5
_BYTES = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "KB"))

STYLE = """
.plot { width: calc(100% - 2.75rem); margin-left: 2.75rem } .plot .bar { stroke: var(--paper); stroke-width: 1 }
.plot .label { fill: var(--ink); font-weight: 600; paint-order: stroke; stroke: var(--paper); stroke-width: 4px }
.plot .limit { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 3 } .plot .base { stroke: var(--soft) }
.across { width: 100%; height: .5rem; margin-top: .2rem } .across .rail { fill: var(--line); opacity: .6 }
"""


@attrs.frozen
class Limit:
    """A line across a histogram at `value`, with a label."""

    value: int
    label: str


def size_text(size: float) -> str:
    """Return a number of bytes in at most three digits and a unit; 1 KB is 1,000 bytes.

    >>> size_text(812), size_text(10_240), size_text(9_996_000), size_text(1_500_000)
    ('812 B', '10.2 KB', '10 MB', '1.5 MB')
    """
    for factor, unit in _BYTES:
        if float(f"{size:.3g}") >= factor:
            return f"{float(f'{size / factor:.3g}'):g} {unit}"
    return f"{size:.0f} B"


def across(part: float, css: str = "") -> str:
    """Return a bar from left to right for a number that stands beside it; `part`: from 0 to 1."""
    wide = round(100 * min(1.0, max(0.0, part)), 2)
    return (
        '<svg class="across" aria-hidden="true"><rect class="rail" width="100%" height="100%" rx="2"/>'
        f'<rect class="bar {css}" width="{wide}%" height="100%" rx="2"/></svg>'
    )


def histogram(
    edges: Sequence[int],
    counts: Sequence[int],
    *,
    limits: Sequence[Limit],
    style: Callable[[int], str],
    label: str,
    noun: str,
) -> str:
    """Return a histogram of sizes in bytes, both axes logarithmic, so that one large profile among a million can be seen.

    `counts[i]` of what `noun` names lie between `edges[i]` and `edges[i + 1]`.  `style`: the class of a bar that begins
    at a size.  `label`: what the picture shows, for those who can't see it.
    """
    filled = [n for n, number in enumerate(counts) if number]
    if not filled:
        return ""
    low = max(1, min(edges[filled[0]], limits[0].value // 10))
    high = max(edges[filled[-1] + 1], limits[0].value * 2)
    most = max(counts)

    def x(value: float) -> float:
        return round(100 * math.log(max(value, low) / low) / math.log(high / low), 3)

    def y(number: float) -> float:
        return round(_TOP + _PLOT * (1 - math.log1p(number) / math.log1p(most)), 1)

    bars = "".join(
        f'<rect class="bar {style(edges[n])}" x="{x(edges[n])}%" y="{y(counts[n])}" width="{round(x(edges[n + 1]) - x(edges[n]), 3)}%"'
        f' height="{round(_TOP + _PLOT - y(counts[n]), 1)}"><title>{edges[n]:,} to {edges[n + 1]:,} B: {counts[n]:,} {text(noun)}</title></rect>'
        for n in filled
    )
    grid = "".join(
        f'<line class="axis" x1="0" x2="100%" y1="{y(number)}" y2="{y(number)}"/>'
        f'<text x="-8" y="{y(number) + 4}" text-anchor="end">{_short(number)}</text>'
        for number in _decades(most)
    )
    ticks = "".join(
        f'<text x="{x(value)}%" y="{_TOP + _PLOT + 18}" text-anchor="{"start" if x(value) < 4 else "end" if x(value) > 96 else "middle"}">'
        f"{size_text(value)}</text>"
        for value in _ticks(low, high)
    )
    lines = "".join(
        f'<line class="limit" x1="{x(limit.value)}%" x2="{x(limit.value)}%" y1="{_ROW * row + 4}" y2="{_TOP + _PLOT}"/>'
        f'<text class="label" x="{x(limit.value)}%" dx="{-6 if x(limit.value) > 55 else 6}" y="{_ROW * row + 13}"'
        f' text-anchor="{"end" if x(limit.value) > 55 else "start"}">{text(limit.label)}</text>'
        for row, limit in enumerate(limits)
        if limit.value < high
    )
    base = f'<line class="base" x1="0" x2="100%" y1="{_TOP + _PLOT}" y2="{_TOP + _PLOT}"/>'
    return (
        f'<svg class="plot" height="{_TOP + _PLOT + _BELOW}" role="img" aria-label="{text(label)}">'
        f"<title>{text(label)}</title>{grid}{bars}{base}{ticks}{lines}</svg>"
    )


def _decades(most: int) -> list[int]:
    """Return the powers of ten up to `most`, every second one if there are many."""
    powers = [10**n for n in range(len(str(most)))]
    return powers if len(powers) <= _TALLEST_LABELS else powers[::2]


def _ticks(low: int, high: int) -> Iterator[int]:
    """Yield the powers of ten between two sizes."""
    for power in range(12):
        if low <= 10**power <= high:
            yield 10**power


def _short(number: int) -> str:
    """Return a power of ten in a few characters."""
    return (
        f"{number // 1_000_000}M"
        if number >= 1_000_000
        else f"{number // 1000}k"
        if number >= 1000
        else str(number)
    )
