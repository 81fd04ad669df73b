"""Flask's caches and sessions as the benchmark opens and calls them, and the report on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from flask import Flask

from bench.backends import NOWHERE, VALUE
from bench.calls import ARTICLES, COUNTERS, Samples
from bench.flask import PANELS, operations, pages, report
from bench.flask_sites import (
    BACKENDS,
    BASIS,
    KEEPERS,
    REDIS_CACHE,
    REDIS_SESSIONS,
    VISITOR,
    Caller,
    Keeper,
    Site,
    open_visitor,
    session_site,
)
from bench.report import Report, Setting

SERVERLESS = [backend for backend in BACKENDS if backend.program is None]
SERVERLESS_KEEPERS = [keeper for keeper in KEEPERS if keeper.program is None]


@pytest.fixture(params=SERVERLESS, ids=lambda backend: backend.title)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Return an application on each backend that needs no server, with what the calls are to find."""
    site = Site(request.param.settings(tmp_path, NOWHERE))
    site.fill()
    yield site
    if hasattr(site.backend, "store"):
        site.backend.store.close()


class TestCaches:
    def test_every_operation_does_what_its_title_says(self, site: Site) -> None:
        for operation in operations():
            operation.loop(site, list(operation.subjects)[:3])
        assert site.get(COUNTERS[0]) == 1
        assert [site.get(key) for key in ARTICLES] == [VALUE] * len(ARTICLES)

    def test_what_is_measured_is_a_hit(self, site: Site) -> None:
        with site.app.app_context():
            assert site.memoized(7) == site.memoized(7) == VALUE | {"id": 7}
        assert site.visit("/8") == site.visit("/8")
        assert site.computed == [7, 8]

    def test_a_cache_that_keeps_nothing_is_told(self) -> None:
        with pytest.raises(RuntimeError, match="not there"):
            Site({"CACHE_TYPE": "NullCache", "CACHE_NO_NULL_WARNING": True}).fill()


class TestSessions:
    @pytest.mark.parametrize("keeper", SERVERLESS_KEEPERS, ids=lambda keeper: keeper.title)
    def test_a_visitor_is_known_again(self, keeper: Keeper, tmp_path: Path) -> None:
        with ExitStack() as stack:
            visitor = open_visitor(keeper, tmp_path / "sessions", stack)
            for page in pages():
                page.loop(visitor, page.subjects)
            assert visitor.cookie.startswith("session=")

    def test_both_pages_have_the_session_of_a_shop(self) -> None:
        browser = session_site().test_client()
        browser.get("/begin")
        assert [browser.get(path).text for path in ("/look", "/change", "/change", "/look")] == ["0", "1", "2", "2"]
        with browser.session_transaction() as session:
            assert session.permanent
            assert session.keys() == {*VISITOR, "_permanent"}

    def test_a_page_that_fails_is_told(self) -> None:
        with pytest.raises(RuntimeError, match="/nothing was answered with 404"):
            Caller(Flask("bench"))("/nothing")


def reported(caches: Samples, sessions: Samples) -> Report:
    return report(caches, sessions, "a directory", Setting("python -m bench flask"), ["Left out: one"])


class TestReport:
    def test_backends_stand_beside_simple_cache_and_redis(self) -> None:
        caches = {title: {"KTCache": [2.0, 2.0], BASIS: [4.0, 4.0], REDIS_CACHE: [100.0, 100.0]} for title in PANELS}
        told = reported(caches, {})
        rows = [line for line in told.text.splitlines() if line.startswith("| KTCache |")]
        assert rows == [f"| KTCache |{cell * len(PANELS)}" for cell in (" 2.00 |", " 0.50 |", " 0.020 |")]
        assert "- Left out: one" in told.text
        assert "- Files: a directory;" in told.text
        assert "## Sessions" not in told.text
        assert set(told.charts) == {"flask"}

    def test_sessions_are_requests_a_second_beside_those_on_redis(self) -> None:
        told = reported({}, {"looks at it": {"ours": [100.0, 100.0], REDIS_SESSIONS: [400.0, 400.0]}})
        assert "| ours | 10,000 |" in told.text
        assert "| ours | 4.00 |" in told.text
        assert "## Caches" not in told.text
        assert not told.charts

    def test_without_redis_there_are_no_ratios_to_it(self) -> None:
        told = reported({title: {BASIS: [4.0]} for title in PANELS}, {"looks at it": {"ours": [100.0]}})
        assert "Redis" not in told.text
