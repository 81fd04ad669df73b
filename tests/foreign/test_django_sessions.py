"""Our session engine passes Django's own session tests beside every store, waited for and awaited."""

from __future__ import annotations

import pytest

from tests.foreign.conftest import STORES, DriverRun
from tests.foreign.django_session_driver import WAYS

# What Django 5.2 asks of every engine, of those in a cache, and of the middleware. Later versions may add to them.
GENERIC_TESTS, CACHE_TESTS, MIDDLEWARE_TESTS = 65, 70, 12


@pytest.mark.parametrize("store", STORES)
def test_every_test_of_django_passes(django_runs: dict[str, DriverRun], store: str) -> None:
    report = django_runs[f"{store}, sessions"].report
    failed = report["failed"]
    assert not failed, "\n\n".join(f"{name}\n{text}" for name, text in failed.items())
    assert not report["skipped"]
    passed = [name.split(".")[0] for name in report["passed"]]
    for way in WAYS:
        assert passed.count(way) >= GENERIC_TESTS
        assert passed.count(f"{way}WithTimeZone") >= GENERIC_TESTS
    assert passed.count("InCache") >= CACHE_TESTS
    assert passed.count("Middleware") >= MIDDLEWARE_TESTS


def test_an_engine_at_fault_is_found_out(django_runs: dict[str, DriverRun]) -> None:
    report = django_runs["faulty sessions"].report
    assert list(report["failed"]) == ["Beside.test_session_save_does_not_resurrect_session_logged_out_in_other_context"]
