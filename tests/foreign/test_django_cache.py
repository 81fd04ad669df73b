"""Our Django backend passes Django's own cache tests over every store, and so do its coroutines."""

from __future__ import annotations

import pytest

from tests.foreign.conftest import BACKENDS, STORES, DriverRun

# What Django 5.2 asks of every backend: its BaseCacheTests. Later versions may add to them.
GENERIC_TESTS = 54


@pytest.mark.parametrize("way", BACKENDS)
@pytest.mark.parametrize("store", STORES)
def test_every_test_of_django_passes(django_runs: dict[str, DriverRun], store: str, way: str) -> None:
    report = django_runs[f"{store}, {way}"].report
    failed = report["failed"]
    assert not failed, "\n\n".join(f"{name}\n{text}" for name, text in failed.items())
    assert not report["skipped"]
    generic = [name for name in report["passed"] if name.startswith("BackendTests.")]
    assert len(generic) >= GENERIC_TESTS


def test_a_backend_at_fault_is_found_out(django_runs: dict[str, DriverRun]) -> None:
    report = django_runs["faulty"].report
    assert list(report["failed"]) == ["BackendTests.test_simple"]
