"""A browser for all tests of this folder, and a site with the inspector for each of them.

Without a Chromium on PATH the tests are absent; `tests/browser/setup.sh` installs one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from kt_cache.django import KTCache, get_cache
from kt_core.database import DatabaseOptions, Environment
from tests.browser.chromium import Chromium, Page, running
from tests.browser.visiting import HOSTILE
from tests.fix_browser import find_chromium

if find_chromium() is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Return the browser."""
    with running(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """Return a tab of its own."""
    with chromium.page() as page:
        yield page


class Quiet(WSGIRequestHandler):
    """Answers, and says nothing about it."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def configure(settings: Any, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Return what gives the site other caches besides the default one, and other settings."""
    location = f"embedded://{tmp_path}/cache"
    default = {"BACKEND": "kt_cache.django.KTCache", "LOCATION": location, "OPTIONS": {"max_size": "4MiB"}}

    def change(caches: dict[str, Any] | None = None, **others: Any) -> None:
        settings.CACHES = {"default": default, **(caches or {})}
        for name, value in others.items():
            setattr(settings, name, value)

    change(
        ROOT_URLCONF="tests.browser.urls",
        MIDDLEWARE=[],
        ALLOWED_HOSTS=["127.0.0.1"],
        KT_INSPECTOR_READ=lambda request: True,
        KT_INSPECTOR_DELETE=lambda request: True,
    )
    yield change
    Environment.open(tmp_path / "cache", DatabaseOptions(max_size=4 << 20)).close()


@pytest.fixture
def site(configure: Callable[..., None]) -> Iterator[str]:
    """Return the address of the inspector of a site that runs in this process."""
    with ThreadedWSGIServer(("127.0.0.1", 0), Quiet) as server:
        server.set_app(WSGIHandler())
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/caches/"
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(site: str) -> KTCache:
    """Return the default cache."""
    return get_cache()


@pytest.fixture
def hostile(cache: KTCache) -> KTCache:
    """Return the cache with keys and values that would like to be run."""
    for key in HOSTILE:
        cache._store.set(key, b"\x00" + key, None)
        cache.set("value", {"markup": "<img src=x onerror='window.hacked = 1'>"})
    return cache
