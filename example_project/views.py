"""The pages; each shows one way to use the cache."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import blake2b
from time import perf_counter
from typing import Any

from django.core.cache import cache, caches
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from . import airports, drawing, ways
from .airports import AIRPORTS, COUNTRIES
from .counting import Ring, count
from .door import PORT, SOCKET
from .latency import latencies
from .note import CHANGES, NOTE, shown, written
from .world import statistics_of_all

HOUR = 3600
PER_PAGE = 24
LONGEST_SEARCH = 60
FAMILIAR = [airport.code for airport in AIRPORTS.values() if airport.iata]

_viewed = Ring("viewed", len(AIRPORTS))  # every airport that was ever looked at


def _work(request: HttpRequest, compute: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Put a computation off until the cache turns out not to hold its result, and note that it was done."""

    def compute_now() -> Any:
        request.cold = True
        return compute(*arguments)

    return compute_now


def _cards(request: HttpRequest, codes: Sequence[str]) -> list[dict[str, Any]]:
    """Get the cards of these airports: one read for all, one write for those that were missing."""
    keys = {f"card:{code}": code for code in codes}
    found = cache.get_many(keys)
    missing = {key: airports.card(code) for key, code in keys.items() if key not in found}
    if missing:
        request.cold = True
        cache.set_many(missing, HOUR)
    return [found.get(key) or missing[key] for key in keys]


def _most_viewed() -> list[tuple[str, int]]:
    keys = {f"views:{code}": code for code in _viewed.read().values()}
    views = cache.get_many(keys)
    return sorted(((keys[key], number) for key, number in views.items()), key=lambda pair: -pair[1])[:6]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    most_viewed = cache.get_or_set("most-viewed", _most_viewed, 3)
    cards = _cards(request, [code for code, _ in most_viewed])
    context = {
        "count": len(AIRPORTS),
        "countries": COUNTRIES.values(),
        "most_viewed": [card | {"views": views} for card, (_, views) in zip(cards, most_viewed, strict=True)],
        "draw_map": _work(request, drawing.world_map, AIRPORTS.values()),
    }
    return render(request, "home.html", context)


@require_safe
def search(request: HttpRequest) -> HttpResponse:
    text = " ".join(request.GET.get("q", "").split())[:LONGEST_SEARCH]
    codes = []
    if text:
        key = f"search:{blake2b(text.casefold().encode(), digest_size=16).hexdigest()}"
        codes = cache.get_or_set(key, _work(request, airports.search, text, PER_PAGE))
    context = {
        "text": text,
        "cards": _cards(request, codes),
        "countries": airports.countries_named(text) if text else [],
        "limit": PER_PAGE,
    }
    return render(request, "search.html", context)


@require_safe
def country(request: HttpRequest, code: str) -> HttpResponse:
    found = COUNTRIES.get(code)
    if found is None:
        raise Http404(f"No country has the code {code}.")
    page = Paginator(found.airports, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "country": found,
        "page": page,
        "cards": _cards(request, [airport.code for airport in page]),
        "draw_map": _work(request, drawing.country_map, found.airports),
    }
    return render(request, "country.html", context)


def _around(found: airports.Airport) -> dict[str, Any]:
    around = airports.surroundings(found.code)
    places = drawing.radar(found, [AIRPORTS[near["code"]] for near in around["nearest"]])
    for near, (x, y) in zip(around["nearest"], places, strict=True):
        near |= {"x": x, "y": y}
    return around


@require_safe
def airport(request: HttpRequest, code: str) -> HttpResponse:
    found = AIRPORTS.get(code)
    if found is None:
        raise Http404(f"No airport has the code {code}.")
    views = count(f"views:{code}")
    if views == 1:
        _viewed.append(code)
    around = cache.get_or_set(f"around:{code}", _work(request, _around, found), HOUR)
    context = {
        "airport": found,
        "around": around,
        "views": views,
        "draw_globe": _work(request, drawing.globe, found, AIRPORTS.values()),
    }
    return render(request, "airport.html", context)


@never_cache
@require_safe
def anywhere(request: HttpRequest) -> HttpResponse:
    return redirect("airport", random.choice(FAMILIAR))


# The browser is told to ask again each time: it is our cache that the visitor came to see, not the browser's.
@require_safe
@cache_control(no_cache=True)
@cache_page(600)
def world(request: HttpRequest) -> HttpResponse:
    request.cold = True
    started = perf_counter()
    figures = statistics_of_all()
    context = {
        "figures": figures,
        "unknown": drawing.world_map(one for one in AIRPORTS.values() if one.metres is None),
        "maps": drawing.world_map_by_elevation(AIRPORTS.values()),
        "levels": drawing.LEVELS,
        "ms": (perf_counter() - started) * 1000,
        "now": timezone.now(),
        "process": os.getpid(),
    }
    return render(request, "world.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def note(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        cache.set(NOTE, written(request.POST.get("text", ""), "Django"), None)
        count(CHANGES)
        return redirect("note")
    return render(request, "note.html", shown(cache.get_many([NOTE, CHANGES])))


def _ways(by_way: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    measured = {row["alias"]: row["calls"] for row in cache.get("ways", [])}
    return [
        {
            "alias": one.alias,
            "name": one.name,
            "path": one.path,
            "location": one.location,
            "chosen": one.alias == ways.chosen(),
            "calls": measured.get(one.alias, []),
            "requests": by_way[one.alias],
        }
        for one in ways.open_ways()
    ]


def _live_state() -> dict[str, Any]:
    stats = caches["in-process"].stats()  # of the database itself, whatever way was chosen
    latency = latencies()
    return {
        "stats": asdict(stats) | {"hit_ratio": stats.hit_ratio},
        "hit_percent": None if stats.hit_ratio is None else 100 * stats.hit_ratio,
        "full_percent": 100 * stats.size / stats.max_size,
        "latency": latency,
        "ways": _ways(latency["ways"]),
        "port": os.environ.get(PORT),
        "socket": os.environ.get(SOCKET),
    }


@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:
    return render(request, "live.html", _live_state())


@never_cache
@require_safe
def live_measure(request: HttpRequest) -> JsonResponse:
    """Measure every way, and keep the figures for the live page."""
    measured = ways.measure()
    cache.set("ways", measured, None)
    return JsonResponse({"ways": measured})


@require_POST
def way(request: HttpRequest) -> HttpResponse:
    """Take the visitor's pages another way from now on."""
    response = redirect("live")
    if (alias := request.POST.get("way")) in ways.WAYS:
        response.set_cookie(ways.COOKIE, alias, samesite="Lax")
    return response


@never_cache
@require_safe
def live_data(request: HttpRequest) -> JsonResponse:
    """Serve the live state as figures, and as the drawing of them."""
    state = _live_state()
    return JsonResponse(state | {"process": os.getpid(), "html": render_to_string("live_state.html", state)})
