"""The statistics over all airports at once: a few hundred milliseconds of plain Python."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Any

from .airports import AIRPORTS, COUNTRIES, Airport, distance, kilometres

Neighbour = tuple[float, Airport]  # the chord, in Earth radii, and the airport at its other end

FINEST_GRID = 0.005  # side of a cell in Earth radii: 32 km, most airports have a neighbour within
BAND = 250  # metres of elevation
TOP_BAND = 3000
TOP_COUNTRIES = 15


def neighbours(airports: Iterable[Airport]) -> dict[Airport, Neighbour]:
    """Find the nearest other airport of each, in ever coarser grids.

    A neighbour no farther than the side of a cell is surely in the 27 cells around; an airport that has none
    waits for larger cells. Airports at the very same spot are taken for one.
    """
    pending = everyone = list({airport.point: airport for airport in airports}.values())
    found: dict[Airport, Neighbour] = {}
    side = FINEST_GRID
    while pending and len(everyone) > 1:
        grid: defaultdict[tuple[float, ...], list[Airport]] = defaultdict(list)
        for airport in everyone:
            grid[tuple(part // side for part in airport.point)].append(airport)
        for airport in pending:
            around = product(*((part // side - 1, part // side, part // side + 1) for part in airport.point))
            close = (
                (math.dist(airport.point, other.point), other)
                for cell in around
                for other in grid.get(cell, ())
                if other is not airport
            )
            nearest = min(close, key=lambda pair: pair[0], default=None)
            if nearest and nearest[0] <= side:
                found[airport] = nearest
        pending = [airport for airport in pending if airport not in found]
        side *= 2
    return found


def _bars(counts: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    rows = [{"label": label, "count": count} for label, count in counts]
    most = max(row["count"] for row in rows)
    return [row | {"percent": 100 * row["count"] / most} for row in rows]


def _bands(heights: Iterable[float]) -> list[tuple[str, int]]:
    counts = Counter(max(-BAND, min(TOP_BAND, math.floor(height / BAND) * BAND)) for height in heights)
    middle = ((f"{low:,} to {low + BAND:,} m", counts[low]) for low in range(0, TOP_BAND, BAND))
    return [("below the sea", counts[-BAND]), *middle, (f"{TOP_BAND:,} m and more", counts[TOP_BAND])]


def _pair(airport: Airport, neighbour: Neighbour) -> dict[str, Any]:
    return {"airport": airport, "other": neighbour[1], "distance": distance(kilometres(neighbour[0]))}


def _region(name: str, airports: list[Airport], nearest: dict[Airport, Neighbour]) -> dict[str, Any]:
    by_chord = sorted((one for one in airports if one in nearest), key=lambda one: nearest[one][0])
    return {
        "name": name,
        "count": len(airports),
        "closest": _pair(by_chord[0], nearest[by_chord[0]]),
        "loneliest": _pair(by_chord[-1], nearest[by_chord[-1]]),
    }


def statistics_of_all() -> dict[str, Any]:
    airports = list(AIRPORTS.values())
    nearest = neighbours(airports)
    regions: defaultdict[str, list[Airport]] = defaultdict(list)
    for airport in airports:
        regions[airport.region].append(airport)
    by_height = sorted((one for one in airports if one.metres is not None), key=lambda one: one.feet)
    heights = [one.metres for one in by_height]
    by_latitude = sorted(airports, key=lambda one: one.lat)
    by_count = sorted(COUNTRIES.values(), key=lambda country: -len(country.airports))
    return _region("World", airports, nearest) | {
        "median_metres": statistics.median(heights),
        "median_neighbour": distance(kilometres(statistics.median(chord for chord, _ in nearest.values()))),
        "extremes": [
            ("Highest", f"{heights[-1]:,.0f} m", by_height[-1]),
            ("Lowest", f"{heights[0]:,.0f} m", by_height[0]),
            ("Northernmost", by_latitude[-1].coordinates, by_latitude[-1]),
            ("Southernmost", by_latitude[0].coordinates, by_latitude[0]),
        ],
        "bands": _bars([*_bands(heights), ("not known", len(airports) - len(heights))]),
        "most": _bars((country.name, len(country.airports)) for country in by_count[:TOP_COUNTRIES]),
        "regions": sorted(
            (_region(name, members, nearest) for name, members in regions.items()),
            key=lambda region: -region["count"],
        ),
    }
