"""The three ways from a page to the records of the cache; a visitor chooses which one the own pages take.

All three lead to one database: the workers open it in-process, and the server beside the site (`door.py`) lets others
in, through a unix socket or a TCP port.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse

from .drawing import log_percent

COOKIE: Final = "way"
FASTEST, SLOWEST = 1, 1000  # microseconds, the ends of the scale

_ROUNDS = 9  # in each of which every way is measured, so that all get the same of what else the machine does
_CALLS = 20
_MANY = 25


@dataclass(frozen=True)
class Way:
    """A way to the cache, which is called as its alias in CACHES."""

    alias: str
    name: str
    path: str

    @property
    def location(self) -> str:
        """What a settings file says to go this way."""
        return str(settings.CACHES[self.alias]["LOCATION"])


WAYS: Final = {
    way.alias: way
    for way in (
        Way("in-process", "In-process", "every worker opens the database itself"),
        Way("unix-socket", "Unix socket", "over the protocol of Kyoto Tycoon, on this machine"),
        Way("tcp", "TCP", "the same, as from another machine"),
    )
}

_chosen: ContextVar[str] = ContextVar("_chosen", default="in-process")


def open_ways() -> list[Way]:
    """Return the ways that this site has: only the first one where no server runs beside it."""
    return [way for way in WAYS.values() if way.alias in settings.CACHES]


def chosen() -> str:
    """Return the alias of the way that the present request takes."""
    return _chosen.get()


class ChosenCache:
    """The default cache of the site: the one at the end of the visitor's way."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(caches[_chosen.get()], name)

    def __contains__(self, key: str) -> bool:
        return key in caches[_chosen.get()]


class WayMiddleware:
    """Lets a request take the way that its cookie names."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        wanted = request.COOKIES.get(COOKIE, "")
        token = _chosen.set(wanted if wanted in settings.CACHES and wanted in WAYS else "in-process")
        try:
            return self.get_response(request)
        finally:
            _chosen.reset(token)


def measure() -> list[dict[str, Any]]:
    """Call a cache at the end of each way, by turns, and return the median microseconds of a call."""
    many = {f"measured:{number}": "x" * 200 for number in range(_MANY)}
    one = "measured:0"
    calls: dict[str, Callable[[Any], object]] = {
        "get": lambda cache: cache.get(one),
        "set": lambda cache: cache.set(one, "x" * 200, 60),
        "incr": lambda cache: cache.incr("counted"),
        "get_many": lambda cache: cache.get_many(many),
    }
    ends = {way.alias: caches[f"{way.alias}-measured"] for way in open_ways()}
    times: dict[str, dict[str, list[float]]] = {alias: {name: [] for name in calls} for alias in ends}
    for cache in ends.values():
        cache.set_many(many | {"counted": 0}, 60)
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            for alias, cache in ends.items():
                started = perf_counter()
                for _ in range(_CALLS):
                    call(cache)
                times[alias][name].append((perf_counter() - started) / _CALLS * 1e6)
    return [
        {"alias": alias, "calls": [_figure(name, statistics.median(times[alias][name])) for name in calls]}
        for alias in ends
    ]


def _figure(name: str, us: float) -> dict[str, Any]:
    return {"name": name, "us": us, "percent": log_percent(us, FASTEST, SLOWEST)}
