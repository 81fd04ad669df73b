"""What a Flask application says about itself: its secrets, and what its database is called."""

from __future__ import annotations

from flask import Flask

from kt_core.locations import database_name


def secret_keys_of(app: Flask) -> list[str | bytes]:
    """Return the application's secrets, the one to sign with first."""
    fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or []
    return [key for key in (app.secret_key, *fallbacks) if key]


def database_of(app: Flask) -> str:
    """Name the database of an application that names none: by its own name, and its directory to tell copies apart."""
    return database_name(app.import_name, app.root_path)
