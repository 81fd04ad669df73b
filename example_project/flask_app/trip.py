"""The visitor's trip: the codes of its airports, kept in the session."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from flask import session

from .. import airports, drawing
from ..airports import AIRPORTS, Airport
from .computing import leg

LONGEST = 20


def stops() -> list[Airport]:
    """Return the airports of the trip."""
    return [AIRPORTS[code] for code in session.get("trip", []) if code in AIRPORTS]


def add(code: str) -> None:
    """Make an airport the end of the trip, unless that is too long."""
    codes = session.get("trip", [])
    if len(codes) < LONGEST:
        session["trip"] = [*codes, code]


def remove(number: int) -> None:
    """Leave out a stop, counted from 0, if there is one."""
    session["trip"] = [code for place, code in enumerate(session.get("trip", [])) if place != number]


def described(trip: Sequence[Airport]) -> dict[str, Any]:
    """Return what a page shows of a trip: its legs, its length, and the way on the map of the world."""
    legs = [leg(one.code, other.code) for one, other in pairwise(trip)]
    places = [drawing.equal_earth(airport.lat, airport.lon) for airport in trip]
    return {
        "stops": list(zip(trip, ["", *map(airports.distance, legs)], strict=False)),
        "length": airports.distance(sum(legs)),
        "places": [(round(x, 1), round(y, 1)) for x, y in places],
    }
