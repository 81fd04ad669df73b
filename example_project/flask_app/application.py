"""The application and its settings: no SQL database, all that the site keeps is in kt-cache."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

from flask import Flask, Response, g, render_template, request
from jinja2 import FileSystemLoader

from kt_cache.flask.inspector import inspector
from kt_cache.flask.sessions import KTSessionInterface

from .computing import cache
from .views import pages

HERE = Path(__file__).parent
# The other site's, too: both share the style, the icon, the foot, and the page of the note.
TEMPLATES = [HERE / "templates", HERE.parent / "templates"]


def create_app(location: str | None = None) -> Flask:
    """Make the application, on the cache at a location of `kt_core.locations`."""
    location = location or os.environ.get("KT_CACHE_LOCATION", "embedded://kt-cache-example")
    app = Flask("example_project.flask_app")
    app.config.from_mapping(
        SECRET_KEY="an example has nothing to hide",
        TRUSTED_HOSTS=["127.0.0.1", "localhost", "[::1]"],
        CACHE_TYPE="kt_cache.flask.KTCache",
        CACHE_KT_LOCATION=location,
        # Django calls its keys PREFIX:VERSION:KEY: so this site finds the records of the other one.
        CACHE_KEY_PREFIX=":1:",
        # Sessions have a database of their own beside the cache: it evicts nothing.
        SESSION_KT_LOCATION=location,
        SESSION_COOKIE_SAMESITE="Lax",
        KT_INSPECTOR_READ=_is_asked_from_here,
        KT_INSPECTOR_DELETE=_is_asked_from_here,
    )
    app.jinja_loader = FileSystemLoader(TEMPLATES)
    cache.init_app(app)
    KTSessionInterface(app)
    app.register_blueprint(pages)
    app.register_blueprint(inspector, url_prefix="/cache")
    app.register_error_handler(404, _missing)
    app.before_request(_start)
    app.after_request(_tell_time)
    return app


def _is_asked_from_here() -> bool:
    return request.remote_addr in ("127.0.0.1", "::1")


def _missing(error: Exception) -> tuple[str, int]:
    return render_template("missing.html"), 404


def _start() -> None:
    g.started, g.cold = perf_counter(), False


def _tell_time(response: Response) -> Response:
    """Say how long the request took, and whether something had to be computed for it."""
    ms = (perf_counter() - g.started) * 1000
    state = "cold" if g.cold else "warm"
    response.headers["Server-Timing"] = f'{state};dur={ms:.2f};desc="process {os.getpid()}"'
    return response
