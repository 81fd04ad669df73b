"""The caches of a Flask application by name, for those who look at them from outside."""

from __future__ import annotations

from flask import Flask

from kt_cache.flask.cache import KTCache


def caches_of(app: Flask) -> dict[str, KTCache]:
    """Return the caches that Flask-Caching has made for an application: ``default``, then ``2``, ``3`` and so on."""
    made = [cache for cache in app.extensions.get("cache", {}).values() if isinstance(cache, KTCache)]
    return {"default" if number == 1 else str(number): cache for number, cache in enumerate(made, 1)}
