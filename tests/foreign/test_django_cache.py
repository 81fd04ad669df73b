"""Our Django backend passes Django's own cache tests, and so do its coroutines."""

from __future__ import annotations

import pytest

from tests.foreign.conftest import DriverRun

# What Django 5.2 asks of every backend: its BaseCacheTests. Later versions may add to them.
GENERIC_TESTS = 54


@pytest.mark.parametrize("way", ["sync", "async"])
def test_every_test_of_django_passes(django_runs: dict[str, DriverRun], way: str) -> None:
    report = django_runs[way].report
    failed = report["failed"]
    assert not failed, "\n\n".join(f"{name}\n{text}" for name, text in failed.items())
    assert not report["skipped"]
    generic = [name for name in report["passed"] if name.startswith("BackendTests.")]
    assert len(generic) >= GENERIC_TESTS


def test_a_backend_at_fault_is_found_out(django_runs: dict[str, DriverRun]) -> None:
    report = django_runs["faulty"].report
    assert list(report["failed"]) == ["BackendTests.test_simple"]
