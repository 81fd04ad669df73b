"""What Prometheus may know of caches: a collector over their figures. It needs ``pip install kt-cache[prometheus]``.

==============================  =======  ===============================================================
``kt_cache_up``                 gauge    1 if the store answers, 0 if it is out of order; label ``cache``
``kt_cache_hits_total``         counter  reads that found something
``kt_cache_misses_total``       counter  reads that found nothing
``kt_cache_evictions_total``    counter  records that were dropped for others
``kt_cache_expirations_total``  counter  expired records that were reclaimed
``kt_cache_entries``            gauge    records, expired ones among them that nobody has reclaimed yet
``kt_cache_bytes``              gauge    what they take
``kt_cache_max_bytes``          gauge    what they may take; 0 without a bound
``kt_cache_processes``          gauge    processes that have the store open; a server's is one
``kt_cache_lag_seconds``        gauge    how far the copy of a server that is read may be behind it
==============================  =======  ===============================================================

All but the first have the labels ``cache``, the alias, and ``store``, its kind. What a store does not know is left
out, and so are the figures of one that is out of order.

The figures are the store's, over all processes that use it: whichever process is scraped tells those of all, so
nothing has to be summed up over the workers of a machine. In prometheus_client's multiprocess mode, register the
collector with the registry that the `MultiProcessCollector` is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, Protocol

from kt_cache.extras import needs
from kt_cache.stores.base import Stats
from kt_core.errors import KTError

with needs("kt_cache.prometheus", "prometheus"):
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector


class Observed(Protocol):
    """A cache or a store, as far as it is observed."""

    def ping(self) -> bool:
        """Tell whether it answers."""

    def stats(self) -> Stats:
        """Return its figures."""


class _Family(NamedTuple):
    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    help: str
    field: str  # of Stats


_FAMILIES: Final = {
    "hits": _Family(CounterMetricFamily, "Reads that found something.", "hits"),
    "misses": _Family(CounterMetricFamily, "Reads that found nothing.", "misses"),
    "evictions": _Family(CounterMetricFamily, "Records that were dropped for others.", "evictions"),
    "expirations": _Family(CounterMetricFamily, "Expired records that were reclaimed.", "expirations"),
    "entries": _Family(GaugeMetricFamily, "Records.", "entries"),
    "bytes": _Family(GaugeMetricFamily, "Bytes that the records take.", "size"),
    "max_bytes": _Family(GaugeMetricFamily, "Bytes that the records may take; 0 without a bound.", "max_size"),
    "processes": _Family(GaugeMetricFamily, "Processes that have the store open.", "processes"),
    "lag_seconds": _Family(GaugeMetricFamily, "How far the copy that is read may be behind its server.", "lag"),
}


class KTCacheCollector(Collector):
    """The figures of caches by alias: ``REGISTRY.register(KTCacheCollector({"default": store}))``."""

    def __init__(self, caches: Mapping[str, Observed]) -> None:
        self._caches = caches

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without figures: no store is asked when the collector is registered."""
        yield _up()
        yield from _families().values()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics with the figures of now."""
        up = _up()
        families = _families()
        for alias, cache in self._caches.items():
            stats = _stats(cache)
            up.add_metric([alias], float(stats is not None))
            if stats is not None:
                for name, family in families.items():
                    figure = getattr(stats, _FAMILIES[name].field)
                    if figure is not None:
                        family.add_metric([alias, stats.store], figure)
        yield up
        yield from families.values()


def _up() -> GaugeMetricFamily:
    return GaugeMetricFamily("kt_cache_up", "Whether the store answers.", labels=["cache"])


def _families() -> dict[str, CounterMetricFamily | GaugeMetricFamily]:
    return {
        name: family.kind(f"kt_cache_{name}", family.help, labels=["cache", "store"])
        for name, family in _FAMILIES.items()
    }


def _stats(cache: Observed) -> Stats | None:
    try:
        return cache.stats() if cache.ping() else None
    except KTError:
        return None
