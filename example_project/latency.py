"""Measure every request, in all worker processes, and keep the last ones in the cache itself."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.http import HttpRequest, HttpResponse

from .counting import Ring
from .drawing import log_percent
from .ways import WAYS, chosen

PAGES = {"home": "Home", "search": "Search", "country": "Country", "airport": "Airport", "world": "World"}
FASTEST, SLOWEST = 0.1, 3000  # milliseconds, the ends of the chart's scale
SLOTS = 80

_requests = Ring("latency", SLOTS)


class LatencyMiddleware:
    """Time the pages; a view that had to compute something has set `request.cold`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started = perf_counter()
        response = self.get_response(request)
        ms = (perf_counter() - started) * 1000
        page = request.resolver_match and PAGES.get(request.resolver_match.view_name)
        if page and response.status_code == 200:
            cold = getattr(request, "cold", False)
            process = os.getpid()
            path = request.get_full_path()
            way = chosen()
            _requests.append({"page": page, "path": path, "ms": ms, "cold": cold, "process": process, "way": way})
            response["Server-Timing"] = f'{"cold" if cold else "warm"};dur={ms:.2f};desc="process {process}"'
        return response


def _median(requests: list[dict[str, Any]], cold: bool) -> float | None:
    times = [one["ms"] for one in requests if one["cold"] is cold]
    return statistics.median(times) if times else None


def _summary(page: str, requests: list[dict[str, Any]]) -> dict[str, Any]:
    cold, warm = _median(requests, True), _median(requests, False)
    return {
        "page": page,
        "requests": len(requests),
        "cold": cold,
        "warm": warm,
        "faster": cold / warm if cold and warm else None,
    }


def latencies() -> dict[str, Any]:
    """Return the last requests, oldest first, and the median cold and warm time of each page."""
    found = _requests.read()
    newest = max(found, default=0)
    requests = [
        one
        | {
            "number": number,
            "x": SLOTS - 1 - (newest - number),
            "percent": log_percent(one["ms"], FASTEST, SLOWEST),
        }
        for number, one in found.items()
    ]
    by_page = defaultdict(list)
    for one in requests:
        by_page[one["page"]].append(one)
    return {
        "requests": requests,
        "slots": SLOTS,
        "lost": min(newest, SLOTS) - len(requests),
        "all_pages": _summary("All pages", requests),
        "pages": [_summary(page, by_page[page]) for page in PAGES.values() if page in by_page],
        "ways": {alias: _summary(alias, [one for one in requests if one["way"] == alias]) for alias in WAYS},
        "workers": len({one["process"] for one in requests}),
        "scale": [(f"{ms:,} ms", log_percent(ms, FASTEST, SLOWEST)) for ms in (1, 10, 100, 1000)],
    }
