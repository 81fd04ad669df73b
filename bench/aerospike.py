"""The Aerospike store beside the official client and redis-py: microseconds of single calls, each on its own server."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import calls
from bench.backends import GROUP
from bench.calls import Batch, Operation, Samples
from bench.client import COUNTERS, FULL, GROUPS, KEYS, QUICK, VALUE
from bench.report import Report, Setting, left_out, medians, ratios, table
from bench.servers import REDIS

NAMESPACE, SET, BIN = "test", "bench", "v"
TIMEOUT = 300  # seconds
ABSENT = [f"absent:{number}" for number in range(1_000)]
STORE, CLIENT, OTHER = "AerospikeStore", "official client", "redis-py"


class Official:
    """The official client as its documentation uses it: keys of text, which are stored; a miss is an exception."""

    def __init__(self, hosts: list[tuple[str, int]]) -> None:
        import aerospike
        from aerospike_helpers.batch.records import BatchRecords, Write
        from aerospike_helpers.operations import operations

        kept = {"key": aerospike.POLICY_KEY_SEND}
        policies = {"write": kept, "operate": kept, "batch_write": kept}
        self._client = aerospike.client({"hosts": hosts, "policies": policies})
        self._missing = aerospike.exception.RecordNotFound
        self._batch, self._row, self._write = BatchRecords, Write, operations.write
        self._policy = {"ttl": TIMEOUT, "exists": aerospike.POLICY_EXISTS_CREATE_OR_REPLACE}
        self._count = [operations.increment(BIN, 1), operations.read(BIN)]
        self._keep = {"ttl": aerospike.TTL_DONT_UPDATE, "exists": aerospike.POLICY_EXISTS_UPDATE}

    def get(self, key: str) -> Any:
        try:
            return self._client.get((NAMESPACE, SET, key))[2][BIN]
        except self._missing:
            return None

    def set(self, key: str, value: Any) -> None:
        self._client.put((NAMESPACE, SET, key), {BIN: value}, policy=self._policy)

    def incr(self, key: str) -> Any:
        return self._client.operate((NAMESPACE, SET, key), self._count, policy=self._keep)[2][BIN]

    def get_many(self, keys: list[str]) -> dict[str, Any]:
        rows = self._client.batch_read([(NAMESPACE, SET, key) for key in keys], [BIN]).batch_records
        return {row.key[2]: row.record[2][BIN] for row in rows if not row.result}

    def set_many(self, items: dict[str, Any]) -> list[str]:
        rows = [
            self._row((NAMESPACE, SET, key), [self._write(BIN, value)], policy=self._policy)
            for key, value in items.items()
        ]
        return [row.key[2] for row in self._client.batch_write(self._batch(rows)).batch_records if row.result]


class Ours:
    """The store."""

    def __init__(self, hosts: list[tuple[str, int]]) -> None:
        from kt_cache.options import Options
        from kt_cache.stores import open_store

        place = ",".join(f"{host}:{port}" for host, port in hosts)
        self._store = open_store(Options.parse(f"aerospike://{place}/{NAMESPACE}/{SET}", {}, default_name=""))
        self.get, self.get_many = self._store.get, self._store.get_many

    def set(self, key: bytes, value: Any) -> None:
        self._store.set(key, value, TIMEOUT)

    def incr(self, key: bytes) -> Any:
        return self._store.incr(key, 1)

    def set_many(self, items: dict[bytes, Any]) -> list[bytes]:
        return self._store.set_many(items, TIMEOUT)


class Redis:
    """redis-py, with hiredis where that is installed."""

    def __init__(self, port: int) -> None:
        import redis

        self._client = redis.Redis(port=port)
        self.get, self.incr, self.get_many = self._client.get, self._client.incr, self._client.mget

    def set(self, key: str, value: Any) -> None:
        self._client.set(key, value, ex=TIMEOUT)

    def set_many(self, items: dict[str, Any]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        for key, value in items.items():
            pipeline.set(key, value, ex=TIMEOUT)
        pipeline.execute()


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none but the common ones; AEROSPIKE_HOST names a server, host:port."""


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    hosts, server = _cluster(stack)
    notes = [f"Aerospike server: {server}"]
    entrants: dict[str, tuple[Any, Callable[[str], Any]]] = {
        STORE: (Ours(hosts), str.encode),
        CLIENT: (Official(hosts), str),
    }
    try:
        entrants[OTHER] = Redis(stack.enter_context(REDIS.run()).port), str
    except (ImportError, OSError, RuntimeError) as error:
        notes.append(left_out(OTHER, str(error)))
        say(notes[-1])
    batches = {
        name: list(_batches(client, to_key, extent.batch_seconds)) for name, (client, to_key) in entrants.items()
    }
    return report(calls.take_turns(batches, extent.rounds, say), options.setting, notes)


def _cluster(stack: ExitStack) -> tuple[list[tuple[str, int]], str]:
    """Return the addresses of a server, and what it is."""
    given = os.environ.get("AEROSPIKE_HOST")
    if given:
        host, _, port = given.partition("/")[0].rpartition(":")
        return [(host, int(port))], "the one that AEROSPIKE_HOST names"
    from tests.aerospike.server import Cluster

    return stack.enter_context(Cluster()).hosts, "the tests' own, in Python: AEROSPIKE_HOST=host:port for a real one"


def _batches(client: Any, to_key: Callable[[str], Any], seconds: float) -> Iterator[Batch[Any]]:
    """Fill the server, and yield what is measured."""
    items = [{to_key(key): VALUE for key in group} for group in GROUPS]
    for each in items:
        client.set_many(each)
    for counter in COUNTERS:
        client.set(to_key(counter), 0)
    keys = [to_key(key) for key in KEYS]
    for operation in (
        Operation("get", _loop("get"), keys),
        Operation("miss", _loop("get"), [to_key(key) for key in ABSENT]),
        Operation("set", _loop("set", VALUE), keys),
        Operation("incr", _loop("incr"), [to_key(counter) for counter in COUNTERS]),
        Operation(f"get_many {GROUP}", _loop("get_many"), [list(each) for each in items]),
        Operation(f"set_many {GROUP}", _loop("set_many"), items),
    ):
        yield Batch(operation, client, seconds)


def _loop(method: str, *others: Any) -> Callable[[Any, Iterable[Any]], None]:
    def loop(client: Any, subjects: Iterable[Any]) -> None:
        call = getattr(client, method)
        for subject in subjects:
            call(subject, *others)

    return loop


def report(samples: Samples, setting: Setting, notes: list[str]) -> Report:
    columns = list(samples.values())
    names = list(columns[0])
    header = ["", *samples]
    return Report(
        "aerospike",
        [
            setting.section("Servers: on this machine, in memory", *notes),
            "## The Aerospike store",
            f"Median microseconds of a call: {len(KEYS):,} keys, values of {len(VALUE)} bytes that nothing serializes. "
            "The official client stores keys, too; the store also keeps counters from overflowing.",
            table(header, (medians(name, columns, name) for name in names)),
            "The same as ratios (median of the ratios within each round):",
            table(header, (ratios(f"{STORE} / {other}", columns, STORE, other) for other in names if other != STORE)),
        ],
    )
