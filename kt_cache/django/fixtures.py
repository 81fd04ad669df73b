"""The fixtures of `kt_cache.django.testing`, for pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.conf import settings

from kt_cache.django.testing import IsolatedCaches, isolated_caches

_MARK = "kt_cache_isolated"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_MARK, "give every test caches of its own", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{_MARK}(*aliases, **options): give the test KTCache stores of its own, empty at its start"
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    if _isolates_all(session.config):
        # For what is done between the tests: pytest's look at a module that imports a cache opens that one already.
        stack = ExitStack()
        session.config.add_cleanup(stack.close)
        stack.enter_context(isolated_caches())


@pytest.fixture
def kt_cache(request: pytest.FixtureRequest) -> Iterator[IsolatedCaches]:
    """Return the test's own caches by alias, and their `clock`."""
    mark = request.node.get_closest_marker(_MARK)
    with isolated_caches(*mark.args, **mark.kwargs) if mark else isolated_caches() as isolated:
        yield isolated


@pytest.fixture(autouse=True)
def _kt_cache_isolated(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker(_MARK) or _isolates_all(request.config):
        request.getfixturevalue("kt_cache")


def _isolates_all(config: pytest.Config) -> bool:
    return config.getini(_MARK) and (settings.configured or "DJANGO_SETTINGS_MODULE" in os.environ)
