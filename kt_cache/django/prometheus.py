"""The project's caches for Prometheus, all KTCache aliases of CACHES: a registration, and a view.

``register()`` adds them to what the project exposes already, with django-prometheus or by itself. Otherwise
``path("metrics", kt_cache.django.prometheus.metrics)`` exposes them alone; who may see it is the project's to say.
See `kt_cache.prometheus` for the figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.http import HttpRequest, HttpResponse

from kt_cache.django.cache import KTCache, get_cache
from kt_cache.django.entries import our_entries
from kt_cache.extras import needs

with needs("kt_cache.django.prometheus", "prometheus"):
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    from kt_cache.prometheus import KTCacheCollector


class _OurCaches(Mapping[str, KTCache]):
    """The caches that a thread has when it is asked."""

    def __getitem__(self, alias: str) -> KTCache:
        return get_cache(alias)

    def __iter__(self) -> Iterator[str]:
        return iter(our_entries())

    def __len__(self) -> int:
        return len(our_entries())


def register(registry: CollectorRegistry = REGISTRY) -> KTCacheCollector:
    """Add the project's caches to a registry, for example in the `ready` of an application; once in a process."""
    collector = KTCacheCollector(_OurCaches())
    registry.register(collector)
    return collector


def metrics(request: HttpRequest) -> HttpResponse:
    """Show the figures of the project's caches, in the format that Prometheus asks for."""
    registry = CollectorRegistry()
    register(registry)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=content_type)
