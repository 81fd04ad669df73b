"""Turn places and figures into the geometry of SVG drawings."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from .airports import Airport

Place = tuple[float, float]

WORLD_WIDTH, WORLD_HEIGHT = 400, 195
GLOBE_RADIUS = 150
RADAR_RADIUS = 100
COUNTRY_SIDE = 300
LEVELS = (250, 500, 1000, 2000)  # metres of elevation where the world map changes colour

# Equal Earth, an equal-area projection (Šavrič, Patterson and Jenny, 2018).
_EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)


def dots(places: Iterable[Place]) -> str:
    """Write places as one path of dots, one to each whole unit of the drawing."""
    rows: dict[int, set[int]] = {}
    for x, y in places:
        rows.setdefault(round(y), set()).add(round(x))
    parts = []
    for y, row in sorted(rows.items()):
        columns = sorted(row)
        parts.append(f"M{columns[0]} {y}h0")
        parts += [f"m{after - before} 0h0" for before, after in pairwise(columns)]
    return "".join(parts)


def equal_earth(lat: float, lon: float) -> Place:
    a1, a2, a3, a4 = _EQUAL_EARTH
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(lat)))
    square = theta * theta
    cube = square**3
    x = 2 * math.sqrt(3) / 3 * math.radians(lon) * math.cos(theta)
    x /= a1 + 3 * a2 * square + cube * (7 * a3 + 9 * a4 * square)
    y = theta * (a1 + a2 * square + cube * (a3 + a4 * square))
    return (x / 5.412 + 0.5) * WORLD_WIDTH, (0.5 - y / 2.635) * WORLD_HEIGHT


def world_map(airports: Iterable[Airport]) -> str:
    return dots(equal_earth(airport.lat, airport.lon) for airport in airports)


def world_map_by_elevation(airports: Collection[Airport]) -> list[str]:
    """Draw one path for each level of elevation, lowest first, of the airports whose elevation is known."""
    known = [(airport.metres, airport) for airport in airports if airport.metres is not None]
    return [
        world_map(airport for metres, airport in known if low <= metres < high)
        for low, high in pairwise((-math.inf, *LEVELS, math.inf))
    ]


def azimuthal(origin: Airport, other: Airport) -> Place:
    """Place an airport by its true direction and distance from another, in Earth radii; north is up."""
    phi, theta = math.radians(origin.lat), math.radians(origin.lon)
    x, y, z = other.point
    toward = x * math.cos(theta) + y * math.sin(theta)
    east = y * math.cos(theta) - x * math.sin(theta)
    north = z * math.cos(phi) - toward * math.sin(phi)
    up = toward * math.cos(phi) + z * math.sin(phi)
    flat = math.hypot(east, north)
    angle = math.atan2(flat, up)
    return (angle * east / flat, -angle * north / flat) if flat else (0.0, 0.0)


def globe(origin: Airport, airports: Iterable[Airport]) -> str:
    """Draw all airports as seen from one; the rim is its antipode."""
    scale = GLOBE_RADIUS / math.pi
    places = (azimuthal(origin, other) for other in airports)
    return dots((GLOBE_RADIUS + x * scale, GLOBE_RADIUS + y * scale) for x, y in places)


def radar(origin: Airport, airports: Sequence[Airport]) -> list[Place]:
    """Place the airports around one, which is at 0, 0; the farthest of them is on the rim."""
    places = [azimuthal(origin, other) for other in airports]
    scale = RADAR_RADIUS / (max(math.hypot(*place) for place in places) or 1.0)
    return [(round(x * scale, 1), round(y * scale, 1)) for x, y in places]


def country_map(airports: Sequence[Airport]) -> dict[str, str | int]:
    """Draw the airports of a country, cut open where the gap between its longitudes is widest."""
    longitudes = sorted({airport.lon for airport in airports})
    gaps = pairwise([longitudes[-1] - 360, *longitudes])
    west = max(gaps, key=lambda gap: gap[1] - gap[0])[1]
    middle = math.radians(sum(airport.lat for airport in airports) / len(airports))
    places = [((airport.lon - west) % 360 * math.cos(middle), -airport.lat) for airport in airports]
    left, top = (min(place[axis] for place in places) for axis in (0, 1))
    width, height = (max(place[axis] for place in places) - low for axis, low in ((0, left), (1, top)))
    scale = COUNTRY_SIDE / (max(width, height) or 1.0)
    return {
        "path": dots(((x - left) * scale, (y - top) * scale) for x, y in places),
        "width": round(width * scale),
        "height": round(height * scale),
    }


def log_percent(value: float, low: float, high: float) -> float:
    """Say how far up a logarithmic scale a value is."""
    share = math.log(max(value, low) / low) / math.log(high / low)
    return round(100 * min(share, 1.0), 1)
