"""The inspector as Django's view: who may look and delete, which caches it shows, forgery, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from kt_cache.django import KTCache, get_cache
from kt_cache.inspector.asking import encode_key
from kt_core.database import DatabaseOptions, Environment
from tests.adapters.inspector_site import USERS, on_mondays

ROOT = "/own%20caches/"


class OwnCache(KTCache):
    """A project's own kind of cache."""


@pytest.fixture(autouse=True)
def site(settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Set up the site with caches of all kinds."""
    options = {"max_size": "4MiB"}
    ours = {"BACKEND": "kt_cache.django.KTCache", "OPTIONS": options}
    settings.CACHES = {
        "default": {**ours, "LOCATION": f"embedded://{tmp_path}/default", "KEY_PREFIX": "shop", "TIMEOUT": None},
        "own": {"BACKEND": f"{__name__}.OwnCache", "LOCATION": f"embedded://{tmp_path}/own", "OPTIONS": options},
        "other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "missing": {"BACKEND": "no.such.Cache"},
        "wrong": {**ours, "LOCATION": "embedded://a b"},
        "50% off/today": {**ours, "LOCATION": f"embedded://{tmp_path}/own"},
        "down": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": f"kt+unix://{tmp_path}/none"},
    }
    settings.ROOT_URLCONF = "tests.adapters.inspector_site"
    settings.MIDDLEWARE = ["tests.adapters.inspector_site.someone"]
    yield settings
    for name in ("default", "own"):
        Environment.open(tmp_path / name, DatabaseOptions(max_size=4 << 20)).close()


@pytest.fixture
def cache() -> KTCache:
    """Return the default cache with a value."""
    cache = get_cache()
    cache.set("k", "a value")
    return cache


MADE = b"shop:1:k"


def get(path: str, user: str | None = "superuser", **headers: str) -> Any:
    """Ask for a page."""
    if user is not None:
        headers["X-User"] = user
    return Client().get(f"{ROOT}{path}", headers=headers)


# -- who may ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [*USERS, None])
@pytest.mark.parametrize("path", ["", "default/", "default/keys", "default/figures.json"])
def test_superusers_may_look(cache: KTCache, path: str, user: str | None) -> None:
    answer = get(path, user)
    assert answer.status_code == (200 if user == "superuser" else 403)
    assert (b"default" in answer.content or b"samples" in answer.content) is (user == "superuser")
    assert (b"Sign in" in answer.content) is (user != "superuser")


@pytest.mark.parametrize("user", [*USERS, None])
def test_superusers_may_delete(cache: KTCache, user: str | None) -> None:
    headers = {"X-User": user} if user else {}
    answer = Client().post(f"{ROOT}default/delete", {"key": encode_key(MADE)}, headers=headers)
    assert answer.status_code == (303 if user == "superuser" else 403)
    assert ("k" in cache) is (user != "superuser")


@pytest.mark.parametrize("chosen", [on_mondays, "tests.adapters.inspector_site.on_mondays"], ids=["function", "path"])
def test_a_setting_says_who_may_look(site: Any, cache: KTCache, chosen: object) -> None:
    site.KT_INSPECTOR_READ = chosen
    assert get("default/", None).status_code == 403
    assert get("default/", "superuser").status_code == 403
    assert get("default/", None, **{"X-Day": "Monday"}).status_code == 200
    assert get("default/delete?match=shop", None, **{"X-Day": "Monday"}).status_code == 403


def test_a_setting_says_who_may_delete(site: Any, cache: KTCache) -> None:
    site.KT_INSPECTOR_DELETE = on_mondays
    assert get("default/delete?match=shop", "superuser").status_code == 403
    assert get("default/delete?match=shop", "superuser", **{"X-Day": "Monday"}).status_code == 200


@pytest.mark.parametrize("user", [*USERS, None])
def test_all_staff_may_be_let_in(site: Any, cache: KTCache, user: str | None) -> None:
    site.KT_INSPECTOR_READ = "kt_cache.django.inspector.is_staff"
    assert get("default/keys", user).status_code == (200 if user in ("staff", "superuser") else 403)
    assert get("default/delete?match=shop", user).status_code == (200 if user == "superuser" else 403)


def test_who_may_not_look_may_not_delete(site: Any, cache: KTCache) -> None:
    site.KT_INSPECTOR_DELETE = lambda request: True
    answer = Client().post(f"{ROOT}default/delete", {"key": encode_key(MADE)}, headers={"X-User": "visitor"})
    assert answer.status_code == 403
    assert "k" in cache


def test_a_setting_that_is_no_function_is_told(site: Any) -> None:
    site.KT_INSPECTOR_READ = True
    with pytest.raises(ImproperlyConfigured, match="KT_INSPECTOR_READ is True: name a function"):
        get("")


# -- forgery ---------------------------------------------------------------------------------------------------


def test_a_form_from_elsewhere_is_refused(cache: KTCache) -> None:
    client = Client(enforce_csrf_checks=True, headers={"X-User": "superuser"})
    assert client.post(f"{ROOT}default/delete", {"key": encode_key(MADE)}).status_code == 403
    assert "k" in cache


def test_the_forms_of_the_pages_are_taken(cache: KTCache) -> None:
    client = Client(enforce_csrf_checks=True, headers={"X-User": "superuser"})
    page = client.get(f"{ROOT}default/value", {"key": encode_key(MADE)}).content.decode()
    fields = dict(re.findall('name="([^"]+)" value="([^"]*)"', page))
    assert set(fields) == {"key", "csrfmiddlewaretoken"}
    answer = client.post(f"{ROOT}default/delete", fields)
    assert answer.status_code == 303
    assert "k" not in cache


# -- which caches ----------------------------------------------------------------------------------------------


def test_all_caches_of_ours_are_shown_and_no_others() -> None:
    page = get("").content.decode()
    links = re.findall(rf'href="{ROOT}([^"/]+)/"', page)
    assert set(links) == {"default", "own", "wrong", "down", "50%25%20off%2Ftoday"}
    assert get("50%25%20off%2Ftoday/keys").status_code == 200
    assert get("own/").status_code == 200
    for name in ("other", "missing", "nothing"):
        assert get(f"{name}/").status_code == 404


@pytest.mark.parametrize(("name", "words"), [("wrong", "cannot name a database"), ("down", "cannot be reached")])
@pytest.mark.parametrize("page", ["", "contents", "keys", "figures.json"])
def test_a_cache_that_cannot_be_had_is_told_of(name: str, words: str, page: str) -> None:
    answer = get(f"{name}/{page}")
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert get("").status_code == 200


def test_the_settings_of_the_cache_are_told() -> None:
    page = re.sub("<[^>]*>", " ", get("default/").content.decode())
    for words in (
        "key prefix  shop",
        "default timeout  for ever",
        "version  1",
        "max size  4.0 MiB",
        "serializer  pickle",
    ):
        assert words in page


def test_a_value_is_shown_and_not_unpickled(cache: KTCache) -> None:
    page = get(f"default/value?key={encode_key(MADE)}").content.decode()
    assert "pickle, which is not run" in page
    assert "a value" in page


# -- addresses -------------------------------------------------------------------------------------------------


def test_addresses_are_below_the_one_it_was_put_at(cache: KTCache) -> None:
    page = get("default/keys").content.decode()
    assert f'href="{ROOT}inspector.css"' in page
    assert f'src="{ROOT}inspector.js"' in page
    assert f'href="{ROOT}default/contents"' in page
    client = Client(headers={"X-User": "superuser"})
    below = client.get(f"{ROOT}default/", SCRIPT_NAME="/prefix").content.decode()
    assert f'href="/prefix{ROOT}default/contents"' in below


def test_assets_are_for_everybody_and_have_tags() -> None:
    for name in ("inspector.css", "inspector.js"):
        answer = get(name, None)
        assert answer.status_code == 200
        assert get(name, None, **{"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_the_policy_is_sent() -> None:
    assert "default-src 'none'" in get("default/").headers["Content-Security-Policy"]


def test_caches_are_left_as_they_were(cache: KTCache) -> None:
    get("default/")
    assert caches["default"].get("k") == "a value"
    assert cache.keys() == ["k"]
