"""What the pages have computed: by whoever asks first, and remembered for all others."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import g
from flask_caching import Cache

from .. import airports, drawing
from ..airports import AIRPORTS
from ..world import statistics_of_all

HOUR = 3600

P = ParamSpec("P")
T = TypeVar("T")

cache = Cache()


def noted(function: Callable[P, T]) -> Callable[P, T]:
    """Have a computation note that it was done: it made its page a cold one."""

    @wraps(function)
    def compute(*args: P.args, **kwargs: P.kwargs) -> T:
        g.cold = True
        return function(*args, **kwargs)

    return compute


card = cache.memoize(HOUR)(noted(airports.card))
surroundings = cache.memoize(HOUR)(noted(airports.surroundings))
search = noted(airports.search)
figures = noted(statistics_of_all)


@cache.memoize(HOUR)
@noted
def leg(one: str, other: str) -> float:
    """Return the kilometres from one airport to another."""
    return airports.kilometres(math.dist(AIRPORTS[one].point, AIRPORTS[other].point))


@noted
def draw_world() -> str:
    return drawing.world_map(AIRPORTS.values())


@noted
def draw_globe(code: str) -> str:
    return drawing.globe(AIRPORTS[code], AIRPORTS.values())


@noted
def draw_elevations() -> list[tuple[str, str, str]]:
    """Return the class, the caption and the path of each level of elevation, lowest first."""
    captions = [*(f"below {level:,} m" for level in drawing.LEVELS), "higher"]
    paths = drawing.world_map_by_elevation(AIRPORTS.values())
    return [(f"level-{number}", *pair) for number, pair in enumerate(zip(captions, paths, strict=True))]
