"""The project's caches for Prometheus: all that are KTCache's, and no others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.test import RequestFactory, override_settings
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from kt_cache.django.prometheus import metrics, register
from kt_cache.django.testing import isolated_caches

KT = "kt_cache.django.KTCache"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


@pytest.fixture(autouse=True)
def _caches() -> Iterator[None]:
    entries = {"default": {"BACKEND": KT}, "dead": {"BACKEND": KT, "LOCATION": "kt://127.0.0.1:1"}}
    with override_settings(CACHES={**entries, "private": {"BACKEND": LOCMEM}}), isolated_caches("default"):
        yield


def test_caches_are_registered_with_what_the_project_exposes() -> None:
    registry = CollectorRegistry()
    register(registry)
    caches["default"].set("key", "value")
    caches["default"].get("key")
    labels = {"cache": "default", "store": "embedded"}
    assert registry.get_sample_value("kt_cache_hits_total", labels) == 1
    assert registry.get_sample_value("kt_cache_up", {"cache": "dead"}) == 0
    assert registry.get_sample_value("kt_cache_up", {"cache": "private"}) is None
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        register(registry)


def test_a_view_shows_them() -> None:
    response = metrics(RequestFactory().get("/metrics"))
    assert response.headers["Content-Type"].startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(response.content.decode())}
    assert {"kt_cache_up", "kt_cache_hits", "kt_cache_max_bytes"} <= names


def test_a_view_shows_them_as_prometheus_asks() -> None:
    request = RequestFactory().get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    response = metrics(request)
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    families = {family.name: family.type for family in parse_openmetrics(response.content.decode())}
    assert families["kt_cache_hits"] == "counter"
