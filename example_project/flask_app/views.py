"""The pages; each shows one way to use the cache, or the session."""

from __future__ import annotations

import os
import random
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from kt_cache.flask.sessions import destroy, regenerate

from .. import airports
from ..airports import AIRPORTS, Airport
from ..note import CHANGES, NOTE, shown, written
from . import computing, trip
from .computing import HOUR, cache

BEST_MATCHES = 12
LONGEST_SEARCH = 60
FAMILIAR = [airport.code for airport in AIRPORTS.values() if airport.iata]

pages = Blueprint("pages", __name__)


def _airport(code: str) -> Airport:
    return AIRPORTS.get(code) or abort(404)


@pages.get("/")
def home() -> str:
    return render_template("home.html", count=len(AIRPORTS), stops=trip.stops(), draw_world=computing.draw_world)


@pages.get("/search/")
@cache.cached(HOUR, query_string=True)
def search() -> str:
    text = " ".join(request.args.get("q", "").split())[:LONGEST_SEARCH]
    codes = computing.search(text, BEST_MATCHES) if text else []
    return render_template("search.html", text=text, cards=[computing.card(code) for code in codes], limit=BEST_MATCHES)


@pages.get("/airport/<code>/")
def airport(code: str) -> str:
    found = _airport(code)
    stops = trip.stops()
    return render_template(
        "airport.html",
        airport=found,
        around=computing.surroundings(code),
        draw_globe=computing.draw_globe,
        last=stops[-1] if stops else None,
        leg=airports.distance(computing.leg(stops[-1].code, code)) if stops else "",
    )


@pages.get("/random/")
def anywhere() -> AnyResponse:
    return redirect(url_for(".airport", code=random.choice(FAMILIAR)))


@pages.get("/world/")
@cache.cached(600)
def world() -> str:
    started = perf_counter()
    figures = computing.figures()
    return render_template(
        "world.html",
        figures=figures,
        elevations=computing.draw_elevations(),
        ms=(perf_counter() - started) * 1000,
        now=datetime.now(UTC),
        process=os.getpid(),
    )


@pages.get("/trip/")
def my_trip() -> str:
    described = trip.described(trip.stops())
    return render_template("trip.html", session=session, draw_world=computing.draw_world, **described)


@pages.post("/trip/add/")
def add() -> AnyResponse:
    trip.add(_airport(request.form.get("code", "")).code)
    return redirect(url_for(".my_trip"))


@pages.post("/trip/remove/")
def remove() -> AnyResponse:
    trip.remove(request.form.get("number", -1, int))
    return redirect(url_for(".my_trip"))


@pages.post("/trip/renew/")
def renew() -> AnyResponse:
    """Give the session another id, as a site does when somebody's rights change."""
    regenerate()
    return redirect(url_for(".my_trip"))


@pages.post("/trip/forget/")
def forget() -> AnyResponse:
    destroy()
    return redirect(url_for(".home"))


@pages.get("/note/")
def note() -> str:
    found = cache.get_dict(NOTE, CHANGES)
    return render_template("note.html", **shown(found))


@pages.post("/note/")
def write() -> AnyResponse:
    # For Flask's caches a timeout of 0 is no timeout at all.
    cache.set(NOTE, written(request.form.get("text", ""), "Flask"), 0)
    cache.add(CHANGES, 0, 0)
    cache.cache.inc(CHANGES)
    return redirect(url_for(".note"))


@pages.get("/live/data.json")
def live_data() -> Response:
    """Serve the figures of the cache, which its inspector draws."""
    stats = cache.cache.stats()
    return jsonify(stats=asdict(stats) | {"hit_ratio": stats.hit_ratio}, process=os.getpid())
