"""The inspector as a blueprint: who may look and delete, and that its pages are those of `kt_cache.inspector`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import flask
import flask_caching
import pytest
from werkzeug.test import TestResponse

from kt_cache.flask import KTCache
from kt_cache.flask.inspector import inspector
from kt_cache.inspector.asking import encode_key
from kt_core.errors import Misconfigured


def yes() -> bool:
    """Allow it."""
    return True


class Shop:
    """An application with a cache, its inspector, and a browser."""

    def __init__(self, place: str, **config: Any) -> None:
        self.app = flask.Flask("shop")
        self.app.testing = True
        self.app.config.update(config)
        cache = flask_caching.Cache(
            self.app,
            config={
                "CACHE_TYPE": "kt_cache.flask.KTCache",
                "CACHE_KT_LOCATION": place,
                "CACHE_KEY_PREFIX": "shop:",
                "CACHE_KT_OPTIONS": {"max_size": "4MiB"},
            },
        )
        self.cache: KTCache = self.app.extensions["cache"][cache]
        self.app.register_blueprint(inspector, url_prefix="/own cache")
        self.client = self.app.test_client()

    def get(self, path: str = "") -> TestResponse:
        """Follow an address of the inspector."""
        return self.client.get(f"/own%20cache/{path}")

    def delete(self, key: bytes, token: str | None = None) -> TestResponse:
        """Send the form that deletes a key, with the token that the page has unless another is given."""
        page = self.get(f"default/value?key={encode_key(key)}").text
        found = re.search('name="kt_inspector_token" value="([^"]+)"', page)
        form = {"key": encode_key(key), "kt_inspector_token": token if token is not None else found[1] if found else ""}
        return self.client.post("/own%20cache/default/delete", data=form)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """Return a location."""
    return f"embedded://{tmp_path}/place"


def test_nobody_may_look_until_told(place: str) -> None:
    shop = Shop(place)
    answer = shop.get()
    assert answer.status_code == 403
    assert "KT_INSPECTOR_READ" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_who_may_read_sees_caches_and_values(place: str) -> None:
    shop = Shop(place, KT_INSPECTOR_READ=yes)
    shop.cache.set("<script>", "<b>value</b>")
    assert "default" in shop.get().text
    page = shop.get("default/keys").text
    assert "shop:&lt;script&gt;" in page
    assert '<script>"' not in page
    assert shop.get("inspector.css").content_type.startswith("text/css")
    assert 'href="/own%20cache/default/"' in shop.get().text


def test_who_may_read_alone_deletes_nothing(place: str) -> None:
    shop = Shop(place, KT_INSPECTOR_READ=f"{__name__}.yes")
    shop.cache.set("k", 1)
    assert shop.delete(b"shop:k").status_code == 403
    assert shop.cache.has("k")


def test_who_may_delete_deletes(place: str) -> None:
    shop = Shop(place, KT_INSPECTOR_READ=yes, KT_INSPECTOR_DELETE=yes)
    shop.cache.set("k", 1)
    assert shop.delete(b"shop:k").status_code < 400
    assert not shop.cache.has("k")


@pytest.mark.parametrize("token", ["", "forged"])
def test_a_form_from_elsewhere_deletes_nothing(place: str, token: str) -> None:
    shop = Shop(place, KT_INSPECTOR_READ=yes, KT_INSPECTOR_DELETE=yes)
    shop.cache.set("k", 1)
    answer = shop.delete(b"shop:k", token)
    assert answer.status_code == 403
    assert "try again" in answer.text
    assert shop.cache.has("k")


def test_a_browser_without_the_cookie_deletes_nothing(place: str) -> None:
    shop = Shop(place, KT_INSPECTOR_READ=yes, KT_INSPECTOR_DELETE=yes)
    shop.cache.set("k", 1)
    form = {"key": encode_key(b"shop:k"), "kt_inspector_token": ""}
    assert shop.client.post("/own%20cache/default/delete", data=form).status_code == 403
    assert shop.cache.has("k")


def test_a_permission_that_is_none(place: str) -> None:
    shop = Shop(place, KT_INSPECTOR_READ=True)
    with pytest.raises(Misconfigured, match="KT_INSPECTOR_READ"):
        shop.get()
