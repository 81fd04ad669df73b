"""What a node reports about sets and namespaces: the figures of the real server that anybody asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.aerospike.server.records import EPOCH, Namespace, Record, partition

_BLOCK = 16
"""Bytes; records take up whole ones."""

_ROOM = 1 << 30
"""Bytes that a namespace has."""


def sets(namespace: Namespace, partitions: set[int]) -> dict[str, str]:
    """Return the line of each set, with what is in some partitions."""
    found: dict[bytes, list[Record]] = {name: [] for name in namespace.sets}
    for record in _records(namespace, partitions):
        found[record.set].append(record)
    return {
        name.decode(): _joined(
            {
                **_figures(records),
                "truncate_lut": max(0, namespace.sets[name] - EPOCH * 1000) if namespace.sets[name] else 0,
                "truncating": "false",
            },
            ":",
        )
        for name, records in found.items()
        if name
    }


def namespace(namespace: Namespace, partitions: set[int], copies: int, reads: Mapping[str, int]) -> str:
    """Return the figures of a namespace, as far as it is in some partitions, and its settings."""
    settings = namespace.settings
    return _joined(
        {
            "effective_replication_factor": copies,
            **_figures(list(_records(namespace, partitions))),
            "expired_objects": namespace.expired * copies,
            "evicted_objects": 0,
            "stop_writes": "false",
            "data_total_bytes": _ROOM,
            **reads,
            "default-ttl": settings.default_ttl,
            "nsup-period": settings.nsup_period,
            "allow-ttl-without-nsup": str(settings.allow_ttl_without_nsup).lower(),
            "max-record-size": settings.max_record_size,
        },
        ";",
    )


def _figures(records: list[Record]) -> dict[str, object]:
    used = sum(-(-record.size() // _BLOCK) * _BLOCK for record in records)
    return {"objects": len(records), "tombstones": 0, "data_used_bytes": used}


def _records(namespace: Namespace, partitions: set[int]) -> Iterator[Record]:
    with namespace.lock:
        found = [record for digest, record in namespace.all_live() if partition(digest) in partitions]
    return iter(found)


def _joined(figures: Mapping[str, object], separator: str) -> str:
    return separator.join(f"{name}={value}" for name, value in figures.items())
