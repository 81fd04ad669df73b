"""``flask kt``, as an application's own command line runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import flask
import flask_caching
import pytest
from click.testing import CliRunner, Result
from flask.cli import FlaskGroup


@pytest.fixture
def app(tmp_path: Path) -> flask.Flask:
    """Return an application with a cache and a cached page."""
    app = flask.Flask("shop")
    config = {
        "CACHE_TYPE": "kt_cache.flask.KTCache",
        "CACHE_KT_LOCATION": f"embedded://{tmp_path}/place?max_size=4MiB",
        "CACHE_KEY_PREFIX": "shop:",
    }
    cache = flask_caching.Cache(app, config=config)

    @app.get("/")
    @cache.cached(timeout=100)
    def page() -> str:
        return "page"

    return app


def kt(app: flask.Flask, *arguments: str, **options: Any) -> Result:
    """Run a command."""
    return CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["kt", *arguments], **options)


def test_it_is_one_of_flask_s_commands(app: flask.Flask) -> None:
    assert "ping, stats" in CliRunner().invoke(FlaskGroup(create_app=lambda: app), ["--help"]).output
    assert "serve" in kt(app, "--help").output


def test_ping(app: flask.Flask) -> None:
    result = kt(app, "ping", "--json")
    assert result.exit_code == 0
    assert json.loads(result.output)["answers"] is True


def test_keys_are_named_without_the_prefix(app: flask.Flask) -> None:
    app.test_client().get("/")
    assert kt(app, "keys").output == "view//\n"
    assert kt(app, "keys", "nothing*").output == ""
    assert json.loads(kt(app, "ttl", "view//", "x", "--json").output) == {"view//": 100, "x": 0}


def test_delete_and_clear(app: flask.Flask) -> None:
    app.test_client().get("/")
    assert json.loads(kt(app, "delete", "view//", "--json").output) == {"deleted": 1}
    app.test_client().get("/")
    assert "write --noinput" in kt(app, "clear", "--prefix").output
    assert kt(app, "clear", "--prefix", "--yes").output == "1 deleted\n"


def test_warm(app: flask.Flask) -> None:
    result = kt(app, "warm", "/", "/missing", "--json")
    assert [json.loads(line)["is_well"] for line in result.output.splitlines()[:2]] == [True, False]
    assert result.exit_code == 1
    assert kt(app, "keys").output == "view//\n"


def test_stats(app: flask.Flask) -> None:
    app.test_client().get("/")
    assert json.loads(kt(app, "stats", "--json").output)["entries"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["ping", "--alias", "x"], "the application has default"), (["delete"], "--pattern GLOB")],
)
def test_mistakes_say_what_to_write(app: flask.Flask, arguments: list[str], words: str) -> None:
    result = kt(app, *arguments)
    assert result.exit_code == 1
    assert words in result.output


def test_an_application_without_a_cache(app: flask.Flask) -> None:
    assert "kt_cache.flask.KTCache" in kt(flask.Flask("other"), "ping").output


def test_an_unknown_command(app: flask.Flask) -> None:
    assert kt(app, "pin").exit_code == 2
