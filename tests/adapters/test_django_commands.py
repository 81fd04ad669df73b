"""``manage.py ktcache``: the commands about a cache, for a Django site."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from django.views.decorators.cache import cache_page

from kt_cache.django.testing import isolated_caches
from kt_core.kyoto import KyotoTycoon
from tests.processes import ROOT

KT = "kt_cache.django.KTCache"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


@cache_page(60)
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"a page of {request.get_host()}")


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing that is kept")


def fails(request: HttpRequest) -> HttpResponse:
    raise ValueError("out of order")


def fill() -> None:
    cache.set("filled", 1)


urlpatterns = [path("page/", page), path("plain/", plain), path("fails/", fails)]


@pytest.fixture(autouse=True)
def _site() -> Iterator[None]:
    entries: dict[str, Any] = {
        "default": {"BACKEND": KT, "KEY_PREFIX": "site"},
        "other": {"BACKEND": KT, "KEY_PREFIX": "other", "VERSION": 2},
        "private": {"BACKEND": LOCMEM},
        "wrong": {"BACKEND": KT, "LOCATION": "kt://one", "OPTIONS": {"max_sise": 1}},
        "dead": {"BACKEND": KT, "LOCATION": "kt://127.0.0.1:1"},
        "own-keys": {"BACKEND": KT, "KEY_FUNCTION": f"{__name__}.make_key"},
    }
    settings = {
        "INSTALLED_APPS": ["kt_cache.django"],
        "ALLOWED_HOSTS": [".example.org"],
        "ROOT_URLCONF": __name__,
        "MIDDLEWARE": ["django.middleware.common.CommonMiddleware"],
    }
    with override_settings(CACHES=entries, **settings), isolated_caches("default", "other", "own-keys"):
        yield


def make_key(key: str, prefix: str, version: int) -> str:
    return f"own-{key}"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("ktcache", *arguments, stdout=out)
    return out.getvalue()


# -- one cache ---------------------------------------------------------------------------------------------


def test_ping_tells_that_a_cache_answers() -> None:
    assert run("ping").startswith("default: embedded:///")


def test_ping_fails_for_a_cache_that_is_out_of_order() -> None:
    with pytest.raises(CommandError, match=r"dead: kt://127.0.0.1:1/0 is out of order: .*refused") as failure:
        run("ping", "--alias", "dead")
    assert failure.value.returncode == 1


@pytest.mark.parametrize(
    ("alias", "message"),
    [
        ("nowhere", "there is no alias 'nowhere': CACHES has default, other, wrong, dead, own-keys"),
        ("private", r"CACHES\['private'\] is a LocMemCache: set its BACKEND to 'kt_cache.django.KTCache'"),
        ("wrong", "CACHES entry with LOCATION 'kt://one': .*max_sise"),
    ],
)
def test_an_alias_that_is_none_is_told(alias: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        run("ping", "--alias", alias)


def test_stats_are_those_of_the_cache() -> None:
    cache.set("key", "value")
    told = json.loads(run("stats", "--json"))
    assert (told["alias"], told["store"], told["entries"]) == ("default", "embedded", 1)


def test_keys_are_written_as_the_cache_takes_them() -> None:
    cache.set_many({"ä:1": 1, "ä:2": "two", "b": 3})
    cache.set("ä:3", 3, version=2)
    assert run("keys", "ä:*").split() == ["ä:1", "ä:2"]
    told = [json.loads(line) for line in run("keys", "ä*", "--ttl", "--size", "--json").splitlines()]
    assert [(each["key"], each["ttl"]) for each in told] == [("ä:1", 300), ("ä:2", 300)]
    assert told[0]["size"] == 8
    assert json.loads(run("ttl", "ä:1", "absent", "--json")) == {"ä:1": 300, "absent": 0}


def test_a_prefix_and_a_version_are_the_caches_own() -> None:
    cache.set("key", 1)
    caches["other"].set("key", 2)
    assert run("delete", "key", "--alias", "other") == "1 deleted\n"
    assert (cache.get("key"), caches["other"].get("key")) == (1, None)
    caches["other"].set("key", 2)
    assert run("clear", "--prefix", "--noinput") == "1 deleted\n"
    assert (cache.get("key"), caches["other"].get("key")) == (None, 2)


def test_a_pattern_is_deleted() -> None:
    cache.set_many({"a:1": 1, "a:2": 2, "b": 3})
    with pytest.raises(CommandError, match=r"Delete 2 keys that fit 'a:\?' .*write --noinput"):
        run("delete", "--pattern", "a:?")
    assert run("delete", "--pattern", "a:?", "--noinput") == "2 deleted\n"
    assert cache.get("b") == 3
    assert run("clear", "--yes") == "1 deleted\n"


def test_what_a_cache_cannot_do_is_told() -> None:
    caches["own-keys"].set("key", 1)
    with pytest.raises(CommandError, match="REVERSE_KEY_FUNCTION"):
        run("keys", "--alias", "own-keys")
    with pytest.raises(CommandError, match="delete_pattern can"):
        run("clear", "--prefix", "--alias", "own-keys", "--noinput")
    assert run("delete", "key", "--alias", "own-keys") == "1 deleted\n"


def test_a_command_may_be_called_with_keywords() -> None:
    cache.set("key", 1)
    out = io.StringIO()
    call_command("ktcache", "keys", "k*", ttl=True, json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"key": "key", "ttl": 300}


def test_djangos_own_arguments_may_stand_behind_the_command() -> None:
    assert "\x1b[" in run("ping", "--force-color")
    assert "\x1b[" not in run("ping", "--no-color")
    with pytest.raises(CommandError):
        run("ping", "--alias", "dead", "--traceback", "--settings=tests.settings", "--skip-checks")


# -- the site ----------------------------------------------------------------------------------------------


def visit(*arguments: str) -> list[tuple[str, str, bool | None]]:
    told = [json.loads(line) for line in run("warm", *arguments, "--json").splitlines()]
    return [(each["target"], each["outcome"], each["from_cache"]) for each in told]


def test_pages_are_in_the_cache_once_they_were_visited() -> None:
    assert visit("/page/", "/plain/", "/page/", "/page", f"{__name__}.fill") == [
        ("/page/", "200", False),
        ("/plain/", "200", None),
        ("/page/", "200", True),
        ("/page", "301 to /page/", None),
        (f"{__name__}.fill", "done", None),
    ]
    assert cache.get("filled") == 1
    with override_settings(SECURE_SSL_REDIRECT=True):
        assert visit("/page/") == [("/page/", "200", False)]
    assert visit("/page/", "--base", "http://www.example.org") == [("/page/", "200", False)]


def test_visits_may_be_made_at_once() -> None:
    assert {found for _, found, _ in visit(*["/page/"] * 8, "--workers", "4")} == {"200"}
    assert visit("/page/") == [("/page/", "200", True)]


def test_a_page_that_fails_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CommandError, match="2 of 3 went wrong"):
        run("warm", "/fails/", "/absent/", "/page/")
    assert "ValueError: out of order" in caplog.text


# -- for others to look in ---------------------------------------------------------------------------------

_SETTINGS = """
SECRET_KEY = "sample"
INSTALLED_APPS = ["kt_cache.django"]
CACHES = {"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": "embedded://%s",
                      "OPTIONS": {"max_size": "2MiB", "database": 1}}}
"""


def test_a_server_lets_others_look_into_an_embedded_cache(tmp_path: Path) -> None:
    (tmp_path / "served_settings.py").write_text(_SETTINGS % (tmp_path / "place"))
    environ = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "DJANGO_SETTINGS_MODULE": "served_settings"}
    command = [sys.executable, "-X", "dev", "-m", "django", "ktcache"]
    code = "import django; django.setup(); from django.core.cache import cache; cache.set('key', 5, 60)"
    subprocess.run([sys.executable, "-c", code], env=environ, check=True)
    sock = tmp_path / "socket"
    process = subprocess.Popen([*command, "serve", "--sock", str(sock)], env=environ, stdout=subprocess.PIPE)
    try:
        while not sock.exists():
            assert process.poll() is None
            time.sleep(0.01)
        client = KyotoTycoon(path=str(sock))
        assert client.increment(":1:key") == 6
        client.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 0
    told = subprocess.run([*command, "keys", "--json", "--ttl"], env=environ, check=True, capture_output=True)
    assert json.loads(told.stdout)["key"] == "key"
    wrong = subprocess.run(
        [*command, "serve", "--sock", "/nowhere/socket"], env=environ, check=False, capture_output=True, text=True
    )
    assert wrong.returncode == 1
    assert "CommandError: the server did not start" in wrong.stderr
