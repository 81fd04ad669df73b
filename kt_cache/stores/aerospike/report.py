"""What the nodes of a cluster report about a set and its namespace, added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kt_cache.stores.aerospike.cluster import Cluster
from kt_cache.stores.base import Stats

_READS = ("client_read", "batch_sub_read")  # of single records, and of each record of a batch
# The names that servers of different versions have for the same.
_USED = ("data_used_bytes", "memory_data_bytes", "device_data_bytes")
_ROOM = ("data_total_bytes", "memory-size", "device_total_bytes")


def report(cluster: Cluster) -> Stats:
    """Return the figures of the set; reads, room, evictions and expirations are the namespace's."""
    sets, namespaces = cluster.info_of_set(), cluster.info_of_namespace()
    copies = _copies(namespaces)
    return Stats(
        store="aerospike",
        location=cluster.where,
        entries=_sum(sets, "objects") // copies,
        size=_sum(sets, *_USED) // copies,
        max_size=_sum(namespaces, *_ROOM) // copies,
        hits=sum(_sum(namespaces, f"{reads}_success") for reads in _READS),
        misses=sum(_sum(namespaces, f"{reads}_not_found") for reads in _READS),
        evictions=_sum(namespaces, "evicted_objects") // copies,
        expirations=_sum(namespaces, "expired_objects") // copies,
        processes=1,
    )


def count(cluster: Cluster) -> int:
    """Return how many records there are about; those of a set that was just cleared may still be among them."""
    return _sum(cluster.info_of_set(), "objects") // _copies(cluster.info_of_namespace())


def size_limit(cluster: Cluster) -> str:
    """Return how many bytes a record may have, for people to read."""
    limits = {found["max-record-size"] for found in cluster.info_of_namespace() if "max-record-size" in found}
    return f"{min(limits, key=int)} bytes" if limits else "fewer"


def _copies(namespaces: Iterable[Mapping[str, str]]) -> int:
    """Return on how many nodes each record is."""
    return max([int(found.get("effective_replication_factor", 1)) for found in namespaces], default=1) or 1


def _sum(reports: Iterable[Mapping[str, str]], *names: str) -> int:
    """Add up what the nodes report under the first of the names that each knows."""
    return sum(int(next((found[name] for name in names if found.get(name)), 0)) for found in reports)
