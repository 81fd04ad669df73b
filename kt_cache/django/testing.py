"""Tests with caches of their own: empty at the start, gone at the end, with a clock that the test moves.

With pytest, name this module in the project's ``conftest.py``::

    pytest_plugins = ["kt_cache.django.testing"]

    def test_it_expires(kt_cache):
        kt_cache["default"].set("key", "value", timeout=60)
        kt_cache.clock.advance(60)
        assert kt_cache["default"].get("key") is None

The fixture `kt_cache` gives the test an `IsolatedCaches`. The marker ``kt_cache_isolated`` asks for it without a
parameter, and takes the arguments of `isolated_caches`; ``kt_cache_isolated = true`` in pytest's configuration asks
for it in every test, and keeps what is done between the tests away from the project's own caches, too. Without
pytest there are `isolated_caches` and `IsolatedCachesMixin`.

The caches are embedded databases, whatever LOCATION says, each made when it is first used; those that share a place
in CACHES share one. What was taken from `django.core.cache.caches` before, and kept, is not isolated.
"""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from kt_cache.django.base import DJANGO_OPTIONS
from kt_cache.django.cache import KTCache, get_cache
from kt_cache.django.entries import Entry, options_of, our_entries
from kt_cache.testing import Clock, Databases

__all__ = ["Clock", "IsolatedCaches", "IsolatedCachesMixin", "isolated_caches"]

pytest_plugins = ["kt_cache.django.fixtures"]


class IsolatedCaches(Mapping[str, KTCache]):
    """The isolated caches by alias, and the clock that all of them go by."""

    def __init__(self, aliases: list[str], clock: Clock) -> None:
        self._aliases = aliases
        self.clock = clock

    def __getitem__(self, alias: str) -> KTCache:
        if alias not in self._aliases:
            raise KeyError(alias)
        return get_cache(alias)

    def __iter__(self) -> Iterator[str]:
        return iter(self._aliases)

    def __len__(self) -> int:
        return len(self._aliases)


@contextmanager
def isolated_caches(*aliases: str, **options: Any) -> Iterator[IsolatedCaches]:
    """Give the named KTCache aliases, or all there are, stores of their own while the context lasts.

    `options` are those of `kt_cache.options` for all of them, such as ``max_size="64MiB"``. CACHES is as before at
    the end.
    """
    ours = our_entries()
    for alias in aliases:
        if alias not in ours:
            raise ImproperlyConfigured(f"{alias!r} is no alias of a KTCache: CACHES has {', '.join(ours) or 'none'}")
    clock = Clock()
    databases = Databases()
    chosen = {alias: ours[alias] for alias in aliases or ours}
    isolated = {alias: _isolated(entry, databases, clock, options) for alias, entry in chosen.items()}
    try:
        with override_settings(CACHES={**caches.settings, **isolated}):
            yield IsolatedCaches(list(chosen), clock)
    finally:
        databases.remove()


class IsolatedCachesMixin(unittest.TestCase):
    """Every test of the class has caches of its own: ``self.kt_cache`` is an `IsolatedCaches`."""

    kt_cache: IsolatedCaches

    def setUp(self) -> None:
        self.kt_cache = self.enterContext(isolated_caches())
        super().setUp()


def _isolated(entry: Entry, databases: Databases, clock: Clock, changes: dict[str, Any]) -> Entry:
    options = options_of(entry)
    django = {name: value for name, value in entry.get("OPTIONS", {}).items() if name in DJANGO_OPTIONS}
    return {
        **entry,
        "LOCATION": databases.location(options),
        "OPTIONS": django | databases.options(options, changes),
        "CLOCK": clock,
    }
