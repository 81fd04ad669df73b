"""The airports of the world, and what is computed about one of them.

Pure functions in plain Python over the data of the package `airportsdata`, without an index, so that they
cost what honest work costs. Nothing here knows of a cache: that is what the views are for. Results are plain
dicts and lists, which every cache can hold. Distances are great-circle kilometres on a sphere.
"""

from __future__ import annotations

import heapq
import math
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import airportsdata

EARTH_RADIUS = 6371.0088
METRES_PER_FOOT = 0.3048
NEAREST = 12
REGIONS = {
    "America": "Americas",
    "Arctic": "Svalbard and Jan Mayen",
    "Atlantic": "Atlantic islands",
    "Indian": "Indian Ocean",
}  # by the first part of the timezone, where that is not yet a good name

Point = tuple[float, float, float]  # a unit vector from the Earth's centre


@dataclass(frozen=True, slots=True, eq=False)
class Country:
    code: str
    name: str
    airports: list[Airport] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Airport:
    code: str
    iata: str
    name: str
    city: str
    subdivision: str
    country: Country
    feet: float
    lat: float
    lon: float
    timezone: str
    point: Point

    @property
    def metres(self) -> float | None:
        """The elevation, or None where it is not known, for which the data has 0."""
        return self.feet * METRES_PER_FOOT if self.feet else None

    @property
    def place(self) -> str:
        return ", ".join(dict.fromkeys(part for part in (self.city, self.subdivision) if part))

    @property
    def region(self) -> str:
        area = self.timezone.partition("/")[0]
        return REGIONS.get(area, area)

    @property
    def coordinates(self) -> str:
        return coordinates(self.lat, self.lon)


def point(lat: float, lon: float) -> Point:
    phi, theta = math.radians(lat), math.radians(lon)
    return math.cos(phi) * math.cos(theta), math.cos(phi) * math.sin(theta), math.sin(phi)


def kilometres(chord: float) -> float:
    """Turn the straight line between two points, in Earth radii, into the way along the surface."""
    return 2 * EARTH_RADIUS * math.asin(min(chord / 2, 1.0))


def distance(km: float) -> str:
    """Write a distance for reading."""
    if km < 1:
        return f"{km * 1000:.0f} m"
    return f"{km:.1f} km" if km < 100 else f"{km:,.0f} km"


def coordinates(lat: float, lon: float) -> str:
    return f"{abs(lat):.2f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.2f}° {'E' if lon >= 0 else 'W'}"


def _folded(text: str) -> str:
    """Take case and accents away."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()


def _load() -> tuple[dict[str, Airport], dict[str, Country]]:
    lines = Path(__file__).with_name("countries.tsv").read_text(encoding="utf-8").splitlines()
    names = dict(line.split("\t") for line in lines)
    airports: dict[str, Airport] = {}
    countries: dict[str, Country] = {}
    for code, row in airportsdata.load().items():
        country = countries.setdefault(
            row["country"], Country(row["country"], names.get(row["country"], row["country"]), [])
        )
        airports[code] = Airport(
            code=code,
            iata=row["iata"],
            name=row["name"],
            city=row["city"],
            subdivision=row["subd"],
            country=country,
            feet=row["elevation"],
            lat=row["lat"],
            lon=row["lon"],
            timezone=row["tz"],
            point=point(row["lat"], row["lon"]),
        )
        country.airports.append(airports[code])
    for country in countries.values():
        country.airports.sort(key=lambda airport: (not airport.iata, airport.name))
    return airports, dict(sorted(countries.items(), key=lambda item: _folded(item[1].name)))


AIRPORTS, COUNTRIES = _load()


def nearest(origin: Airport, count: int) -> list[tuple[float, Airport]]:
    """Find the airports around this one, nearest first, each with its chord."""
    others = (other for other in AIRPORTS.values() if other is not origin)
    chords = ((math.dist(origin.point, other.point), other) for other in others)
    return heapq.nsmallest(count, chords, key=lambda pair: pair[0])


def card(code: str) -> dict[str, Any]:
    """Sum up an airport for a list; finding its one neighbour is what takes the time."""
    airport = AIRPORTS[code]
    chord, neighbour = nearest(airport, 1)[0]
    return {
        "code": code,
        "iata": airport.iata,
        "name": airport.name,
        "place": airport.place,
        "country": airport.country.name,
        "metres": airport.metres,
        "neighbour": neighbour.name,
        "distance": distance(kilometres(chord)),
    }


def surroundings(code: str) -> dict[str, Any]:
    """Compute the nearest airports, the farthest one and the antipode, by comparing with every airport."""
    origin = AIRPORTS[code]
    far = max(AIRPORTS.values(), key=lambda other: math.dist(origin.point, other.point))
    opposite = point(-origin.lat, origin.lon + 180)
    around = nearest(origin, NEAREST)
    return {
        "nearest": [
            {"code": other.code, "name": other.name, "distance": distance(kilometres(chord))} for chord, other in around
        ],
        "reach": distance(kilometres(around[-1][0])),
        "farthest": {"code": far.code, "name": far.name, "place": far.country.name},
        "farthest_distance": distance(kilometres(math.dist(origin.point, far.point))),
        "antipode": coordinates(-origin.lat, origin.lon - 180 if origin.lon > 0 else origin.lon + 180),
        "antipode_distance": distance(kilometres(math.dist(opposite, far.point))),
    }


def search(text: str, limit: int) -> list[str]:
    """Return the codes of the airports that best match a code, a name or a town."""
    wanted = _folded(text)

    def rank(airport: Airport) -> int | None:
        if wanted in (airport.code.casefold(), airport.iata.casefold()):
            return 0
        name, city = _folded(airport.name), _folded(airport.city)
        if name.startswith(wanted) or city.startswith(wanted):
            return 1 if airport.iata else 2
        return 3 if wanted in name or wanted in city else None

    ranked = ((rank(airport), airport.code) for airport in AIRPORTS.values())
    return [code for _, code in heapq.nsmallest(limit, ((r, code) for r, code in ranked if r is not None))]


def countries_named(text: str) -> list[Country]:
    wanted = _folded(text)
    return [country for country in COUNTRIES.values() if wanted in _folded(country.name)]
