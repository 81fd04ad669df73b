"""The chart of a soak, as SVG: a row for each store, with what it did, what was done to it, and what it took."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from tests.soak.board import Figure
from tests.soak.soak import Injection, Outcome, Sample

Point = tuple[float, float]
"""A time in seconds, and how much."""

_MEBIBYTE: Final = 1 << 20
_MARGIN, _HEAD, _ROW, _HEIGHT, _STRIP = 16, 60, 144, 72, 8  # pixels
_OPERATIONS, _MEMORY, _FILES = (16, 244), (272, 90), (374, 90)
"""Where a panel begins from the left, and its width; wide enough for a desk, and legible on a telephone."""
_WIDTH: Final = 480
_POINTS: Final = 100
"""The most points of a line: of a long soak each is the mean of several samples."""

_INK, _FAINT, _LINE, _AREA, _BAD, _GOOD = "#0f172a", "#64748b", "#0369a1", "#bae6fd", "#be123c", "#15803d"
_FAULTS: Final = {"worker": "#94a3b8", "disk": "#7e22ce", "server": _BAD, "node": _BAD, "connection": "#d97706"}
"""The color of a fault, by what it is done to; whatever is not named is done to a connection."""


def chart(outcomes: Sequence[Outcome]) -> str:
    """Return the chart."""
    height = _HEAD + len(outcomes) * _ROW
    rows = [_row(outcome, _HEAD + number * _ROW) for number, outcome in enumerate(outcomes)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="100%" '
        f'style="max-width: {_WIDTH * 2}px" font-family="sans-serif" font-size="13" fill="{_INK}">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{_legend()}\n' + "\n".join(rows) + "\n</svg>\n"
    )


def _legend() -> str:
    dots = "".join(
        f'<tspan fill="{color}" dx="12">■</tspan> {name}' for name, color in _FAULTS.items() if name != "node"
    )
    return (
        f'<text x="{_MARGIN}" y="22"><tspan fill="{_LINE}">■</tspan> operations '
        f'<tspan fill="{_BAD}" dx="8">■</tspan> without an answer</text>'
        f'<text x="{_MARGIN}" y="42">faults of a{dots}</text>'
    )


def _row(outcome: Outcome, top: int) -> str:
    figures, samples = outcome.figures, outcome.samples
    wrong, lost = figures.get(Figure.WRONG, 0), figures.get(Figure.LOST, 0)
    longest = max((sample.at for sample in samples), default=0) or 1
    done = _rates(samples, lambda sample: sample.operations)
    unanswered = _rates(samples, lambda sample: sample.unanswered)
    most, panel = _largest(done), top + 36
    memory, files = (
        [(sample.at, figure(sample) / _MEBIBYTE) for sample in _thinned(samples)]
        for figure in (lambda sample: sample.memory, lambda sample: sample.files)
    )
    color = _BAD if outcome.faults else _GOOD
    return "\n".join(
        [
            f'<text x="{_MARGIN}" y="{top + 12}"><tspan font-weight="bold">{escape(outcome.name)}</tspan>'
            f'<tspan dx="10">{figures.get(Figure.OPERATIONS, 0):,} operations</tspan>'
            f'<tspan dx="10">{len(outcome.injections):,} faults</tspan>'
            f'<tspan dx="10" fill="{color}" font-weight="bold">{wrong} wrong, {lost} lost</tspan></text>',
            _panel(f"up to {most:,.0f} a second, {longest:,.0f} s", _OPERATIONS, panel, done, longest),
            _area(unanswered, _OPERATIONS, panel, longest, most, _BAD),
            _strip(outcome.injections, panel + _HEIGHT, longest),
            _panel(f"memory, {_largest(memory):,.0f} MiB", _MEMORY, panel, memory, longest),
            _panel(f"files, {_largest(files):,.0f} MiB", _FILES, panel, files, longest),
        ]
    )


def _thinned(samples: Sequence[Sample]) -> Sequence[Sample]:
    return samples[:: -(-len(samples) // _POINTS) or 1]


def _rates(samples: Sequence[Sample], figure: Callable[[Sample], int]) -> list[Point]:
    """Return how much of a figure there was in each second."""
    return [
        (after.at, (figure(after) - figure(before)) / (after.at - before.at))
        for before, after in pairwise(_thinned(samples))
        if after.at > before.at
    ]


def _largest(points: Sequence[Point]) -> float:
    return max((size for _, size in points), default=0)


def _panel(title: str, place: tuple[int, int], top: int, points: Sequence[Point], longest: float) -> str:
    left, width = place
    return (
        f'<rect x="{left}" y="{top}" width="{width}" height="{_HEIGHT}" fill="#f8fafc"/>\n'
        f"{_area(points, place, top, longest, _largest(points), _LINE)}\n"
        f'<text x="{left + width}" y="{top - 4}" fill="{_FAINT}" text-anchor="end" font-size="11">{title}</text>'
    )


def _area(points: Sequence[Point], place: tuple[int, int], top: int, longest: float, most: float, color: str) -> str:
    """Return a line with the area below it, from 0 to `most`."""
    left, width = place
    bottom = top + _HEIGHT
    line = " ".join(
        f"{left + at / longest * width:.1f},{bottom - size / (most or 1) * (_HEIGHT - 4):.1f}" for at, size in points
    )
    if not points:
        return ""
    first, last = (left + at / longest * width for at in (points[0][0], points[-1][0]))
    return (
        f'<polygon points="{first:.1f},{bottom} {line} {last:.1f},{bottom}" fill="{color}" fill-opacity="0.2"/>'
        f'<polyline points="{line}" fill="none" stroke="{color}"/>'
    )


def _strip(injections: Sequence[Injection], top: int, longest: float) -> str:
    """Return the faults below their panel, each as long as it lasted."""
    left, width = _OPERATIONS
    scale = width / longest
    return "\n".join(
        f'<rect x="{left + began * scale:.1f}" y="{top + 2}" width="{max(1.0, (ended - began) * scale):.1f}" '
        f'height="{_STRIP}" fill="{_FAULTS.get(name.split()[0], _FAULTS["connection"])}"/>'
        for name, began, ended in injections
    )
