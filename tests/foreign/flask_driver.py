"""Run the tests of Flask-Caching or of cachelib with `KTCache` in the place of their SimpleCache, over one store.

Prints as JSON the names of the tests that passed, failed and were skipped, of those alone that made one of our caches.
What these suites take for a clock is the clock of the store, so that nobody sleeps; a server which is a process of its
own has none but the real one, and of the tests that move the clock only those of the caches themselves are left.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import flask_caching.backends.simplecache
import pytest

from tests.fix_servers import KINDS
from tests.foreign.simple_cache import STORES, TIMED, SimpleCache
from tests.foreign.sources import source_of

OTHERS = ("Redis", "Memcached", "FileSystem", "UWSGI")
"""What tests of other caches have in their names."""

INSIDES = (
    "test_purge",  # looks into the dict of a SimpleCache
    "test_values_are_stored_in_the_configured_format",  # does that, too
    "test_backend_uses_cachelib_serializer",  # wants a serializer of that very class
    "test_default_keeps_the_cachelib_serializer",  # wants that, too
    "test_deprecated_ignore_errors",  # an argument which they had before
)
"""Tests of what a SimpleCache is made of."""


WHOLE_SECONDS = (
    "test_cached_view",
    "test_cached_view_class",
    "test_cache_timeout_dynamic_via_cached_reponse",
    "test_hit_cache",
)
"""Tests that wait exactly as long as a timeout, after which a server keeps a record for up to a second."""


def flask_caching_suite(source: Path) -> list[str]:
    """Let every SimpleCache be one of ours, and return where the tests are."""
    flask_caching.backends.SimpleCache = SimpleCache  # type: ignore[misc]
    flask_caching.backends.simplecache.SimpleCache = SimpleCache  # type: ignore[misc]
    return [str(source / "tests")]


def cachelib_suite(source: Path) -> list[str]:
    """Let the mixins be found by the classes that inherit them, and return where those are."""
    sys.path.insert(0, str(source / "tests"))
    return [str(Path(__file__).with_name("cachelib_classes.py"))]


SUITES = {"flask-caching": flask_caching_suite, "cachelib": cachelib_suite}


class Reporter:
    """Notes what became of the tests that made one of our caches."""

    def __init__(self, store: str) -> None:
        self.outcomes: dict[str, dict[str, str]] = {"passed": {}, "failed": {}, "skipped": {}}
        self._store = store
        self._made = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._store in (*KINDS, *TIMED):
            items[:] = [item for item in items if item.name not in WHOLE_SECONDS]
        clock = getattr(sys.modules.get("conftest"), "_Clock", None)
        if self._store in TIMED and clock is not None:
            clock.advance = lambda _, seconds: time.sleep(seconds)
            items[:] = [item for item in items if "sleep" in item.fixturenames or "clock" not in item.fixturenames]

    def pytest_runtest_setup(self) -> None:
        self._made = SimpleCache.made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if SimpleCache.made > self._made and (report.when == "call" or report.outcome == "failed"):
            self.outcomes[report.outcome][report.nodeid] = report.longreprtext


def run(suite: str, store: str) -> dict[str, Any]:
    """Run a suite over a store."""
    # The fixtures that would start the servers of other backends need a module that nobody here needs.
    absent: Any = types.ModuleType("xprocess")
    absent.ProcessStarter = object
    sys.modules["xprocess"] = absent
    source = source_of(suite)
    paths = SUITES[suite](source)
    reporter = Reporter(store)
    options = ["-q", "--rootdir", str(source), "-c", os.devnull, "-p", "no:cacheprovider", "-p", "no:randomly"]
    options += ["-k", " and ".join(f"not {name}" for name in (*OTHERS, *INSIDES))]
    with STORES[store]() as SimpleCache.open_location, contextlib.redirect_stdout(sys.stderr):
        pytest.main([*options, *paths], plugins=[reporter])
    return {"version": source.name.rpartition("-")[2], **reporter.outcomes}


if __name__ == "__main__":
    json.dump(run(*sys.argv[1:]), sys.stdout)
