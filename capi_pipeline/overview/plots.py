"""Plots of the report as HTML and inline SVG: no script, no external resource, text that stays readable on a phone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from capi_pipeline.overview.collect import STATES

WIDTHS = {"wide": 1000, "narrow": 370}  # of the drawing; the page shows the one that fits
HEIGHT, LEFT, BOTTOM, TOP = 230, 52, 34, 8


def stacked(by_time: Mapping[datetime, Mapping[str, int]], since: datetime, until: datetime, step: timedelta) -> str:
    """Events by outcome over time, stacked; one drawing for each width."""
    return "".join(_stacked(name, width, by_time, since, until, step) for name, width in WIDTHS.items())


def _stacked(
    name: str,
    width: int,
    by_time: Mapping[datetime, Mapping[str, int]],
    since: datetime,
    until: datetime,
    step: timedelta,
) -> str:
    count = max(1, math.ceil((until - since) / step))
    most = nice(max((sum(found.values()) for found in by_time.values()), default=1))
    place, high = (width - LEFT - 4) / count, HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg class="plot {name}" viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="Events by hour and outcome">'
    ]
    for tick in range(5):
        y = TOP + high * (1 - tick / 4)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="axis" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(most * tick / 4)}</text>'
        )
    for start, found in sorted(by_time.items()):
        x, y = LEFT + place * ((start - since) / step), TOP + high
        for state in STATES:
            tall = high * found.get(state, 0) / most
            if tall > 0:
                y -= tall
                title = f"{start:%a %d %b, %H:%M}: {found[state]:,} {state}"
                parts.append(
                    f'<rect class="{state}" x="{x:.2f}" y="{y:.2f}" width="{max(place - 0.6, 0.8):.2f}" height="{tall:.2f}">'
                    f"<title>{escape(title)}</title></rect>"
                )
    days = max(1, round((until - since) / timedelta(days=1)))
    every = max(1, math.ceil(days / (8 if name == "wide" else 4)))
    midnight = since.replace(hour=0)
    for day in range(0, days + 1, every):
        x = LEFT + place * ((midnight + timedelta(days=day) - since) / step)
        if LEFT - 1 <= x <= width - 30:
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP + high}" y2="{TOP + high + 5}"/>')
            parts.append(
                f'<text class="axis" x="{x:.1f}" y="{HEIGHT - 14}">{midnight + timedelta(days=day):%a %d %b}</text>'
            )
    return "".join([*parts, "</svg>"])


def nice(most: float) -> float:
    """The next of 1, 2, 4, 5, 8 times a power of ten: an axis that ends on a round number."""
    if most <= 4:
        return 4
    power = 10 ** math.floor(math.log10(most))
    return float(next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= most))


def short(number: float) -> str:
    if number >= 1e6:
        return f"{number / 1e6:g}m"
    return f"{number / 1e3:g}k" if number >= 1e4 else f"{number:,.0f}"


def legend(names: Iterable[tuple[str, str]]) -> str:
    """(class, words) of each colour."""
    return '<p class="legend">' + "".join(f'<span><i class="{c}"></i>{escape(w)}</span>' for c, w in names) + "</p>"


def share_bar(parts: Sequence[tuple[str, int]]) -> str:
    """One bar, by shares of (class, number)."""
    whole = sum(number for _, number in parts) or 1
    cells = "".join(
        f'<i class="{name}" style="width:{100 * number / whole:.2f}%" title="{number:,} {name}"></i>'
        for name, number in parts
        if number
    )
    return f'<span class="bar">{cells}</span>'


@dataclass(frozen=True)
class Track:
    """One row of a plot: marks at (place 0 to 1, class, words), joined from the first to the last, and words at the end."""

    label: str
    marks: Sequence[tuple[float, str, str]]
    joined: tuple[float, float] | None
    words: str


def tracks(rows: Iterable[Track], ticks: Sequence[tuple[float, str]], caption: str) -> str:
    """Rows on one axis: where each mark lies, in per cent of the width."""
    axis = "".join(f'<span style="left:{100 * at:.2f}%">{escape(words)}</span>' for at, words in ticks)
    grid = "".join(f'<b style="left:{100 * at:.2f}%"></b>' for at, _ in ticks)
    body = []
    for row in rows:
        line = ""
        if row.joined:
            start, end = sorted(row.joined)
            line = f'<u style="left:{100 * start:.2f}%;width:{100 * (end - start):.2f}%"></u>'
        marks = "".join(
            f'<i class="{name}" style="left:{100 * min(max(at, 0), 1):.2f}%" title="{escape(words)}"></i>'
            for at, name, words in row.marks
        )
        body.append(
            f'<div class="row"><span class="label">{escape(row.label)}</span><span class="track">{grid}{line}{marks}</span>'
            f'<span class="words">{row.words}</span></div>'
        )
    return (
        f'<div class="tracks"><div class="row head"><span class="label"></span><span class="track">{axis}</span>'
        f'<span class="words">{escape(caption)}</span></div>{"".join(body)}</div>'
    )


def sparkline(points: Sequence[tuple[datetime, float]], most: float) -> str:
    """A small line of numbers from 0 to `most` over time."""
    if len(points) < 2:
        return ""
    first, last = points[0][0], points[-1][0]
    span = (last - first) / timedelta(seconds=1)
    places = [
        (96 * ((when - first) / timedelta(seconds=1)) / span + 2, 20 - 18 * value / most) for when, value in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<svg class="spark" viewBox="0 0 100 22" aria-hidden="true"><polyline points="{line}"/></svg>'


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`, `7 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * (1 if unit == "min" else 1.5):
            return f"{seconds / size:.3g} {unit}" if seconds / size < 100 else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
