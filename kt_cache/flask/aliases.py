"""The caches of a Flask application by name, for those who look at them from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Flask

if TYPE_CHECKING:
    from kt_cache.flask.cache import KTCache


def caches_of(app: Flask) -> dict[str, KTCache]:
    """Return the caches that Flask-Caching has made for an application: ``default``, then ``2``, ``3`` and so on."""
    every = app.extensions.get("cache")
    if not every:  # Flask-Caching need not be installed
        return {}
    from kt_cache.flask.cache import KTCache

    made = [cache for cache in every.values() if isinstance(cache, KTCache)]
    return {"default" if number == 1 else str(number): cache for number, cache in enumerate(made, 1)}
