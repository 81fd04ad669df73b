"""An Aerospike cluster as a store sees it: how it is talked to, and what its namespace is found to be."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import aerospike
from aerospike.exception import AerospikeError
from aerospike_helpers.batch.records import BatchRecord  # type: ignore[import-untyped]

from kt_cache.options import AerospikeOptions
from kt_cache.stores.aerospike.failures import ANSWERS, NO_CLUSTER, NO_CONNECTION, NO_NAMESPACE, OK, PARTLY, failure
from kt_core.aerospike.native import Native, search
from kt_core.errors import KTError, Misconfigured, ServerError

_BUSY = 0.001  # seconds between attempts to get a connection while all are taken
_SCAN = 30.0  # seconds in which a listing may find nothing: the server goes through the whole namespace for it
_APART = 0.002  # seconds: what was written in the millisecond of a truncation outlives it
_TRUNCATION = 10.0  # seconds: all nodes agree on it first, in 20 ms as a rule, and in seconds after one has joined
_THREADS = 2  # of the native client, which starts 16 unless told otherwise; batches over several nodes use them

_REPLICAS = {
    "sequence": aerospike.POLICY_REPLICA_SEQUENCE,
    "master": aerospike.POLICY_REPLICA_MASTER,
    "any": aerospike.POLICY_REPLICA_ANY,
    "random": aerospike.POLICY_REPLICA_RANDOM,
}
_READ_MODES = {"one": aerospike.POLICY_READ_MODE_AP_ONE, "all": aerospike.POLICY_READ_MODE_AP_ALL}
_COMMIT_LEVELS = {"all": aerospike.POLICY_COMMIT_LEVEL_ALL, "master": aerospike.POLICY_COMMIT_LEVEL_MASTER}
_SETTLED = {OK, *ANSWERS}


def native_config(options: AerospikeOptions) -> dict[str, Any]:
    """Return what the native client is made with.

    A read has its time divided among its attempts, so that one lost to a node that hangs leaves time for another.
    A write is sent once: nobody can tell whether one that was not answered was done.
    """
    whole = _milliseconds(options.timeout)
    base = {"total_timeout": whole}
    read = {
        **base,
        "socket_timeout": max(whole // (options.retries + 1), 1),
        "max_retries": options.retries,
        "replica": _REPLICAS[options.replica],
        "read_mode_ap": _READ_MODES[options.read_mode],
    }
    kept = {
        "key": aerospike.POLICY_KEY_SEND if options.send_key else aerospike.POLICY_KEY_DIGEST,
        "commit_level": _COMMIT_LEVELS[options.commit_level],
    }
    write = {**base, "socket_timeout": whole, "max_retries": 0}
    scan = {"total_timeout": 0, "socket_timeout": _milliseconds(max(_SCAN, options.timeout)), "max_retries": 0}
    config: dict[str, Any] = {
        "hosts": [(address.host, address.port) for address in options.servers],
        "connect_timeout": _milliseconds(options.connect_timeout or options.timeout),
        "max_conns_per_node": options.max_connections,
        "thread_pool_size": _THREADS,
        "policies": {
            "read": read,
            "batch": read,
            "write": write | kept,
            "operate": write | kept,
            "batch_parent_write": write,
            "batch_write": kept,
            "query": scan,
            "info": {"timeout": whole},
        },
    }
    for name in ("user", "password", "cluster_name"):
        if getattr(options, name) is not None:
            config[name] = getattr(options, name)
    return config


class Cluster:
    """A namespace and a set of a cluster, and the client of this process for it; any thread may use it.

    `watch` surrounds every use: a `kt_cache.stores.hosts.Breaker`, or nothing.
    """

    def __init__(
        self,
        options: AerospikeOptions,
        watch: AbstractContextManager[None] | None = None,
        *,
        native: Native | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.namespace, self.set = options.namespace, options.set
        self.where = options.location
        self.keeps_keys = options.send_key
        self._timeout = options.timeout
        self._credentials = [name for name in ("user", "cluster_name") if getattr(options, name) is not None]
        self._native = native or Native(native_config(options))
        self._watch = watch or nullcontext()
        self._sleep = sleep
        self._clock = clock
        self._is_known = False

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the client; return its result, or the `Answer` of a server that did nothing."""
        with self._watch:
            return self._call(method, *args)

    def batch(self, method: str, *args: Any) -> list[BatchRecord]:
        """Call a method of the client for many records; return its rows.

        Each has been done or has an `Answer`; anything else that one of them met with is raised.
        """
        with self._watch:
            deadline = None
            while (rows := self._call(method, *args)).result == NO_CONNECTION:
                deadline = self._rest(deadline)
            records: list[BatchRecord] = rows.batch_records
            # Before any row: of an empty cluster there are none, or some that look as if all had been done.
            if rows.result == PARTLY:
                for row in records:
                    if row.result not in _SETTLED:
                        raise self._failure(row.result, row.message)
            elif rows.result != OK:
                raise self._failure(rows.result, next((row.message for row in records if row.message), None))
            return records

    def pages(self, size: int, policy: dict[str, Any], options: dict[str, Any]) -> Iterator[list[Any]]:
        """Yield the records of the set, about so many at a time; no snapshot."""
        query = self.call("query", self.namespace, self.set)
        query.max_records = size
        query.paginate()
        is_done = False
        while not is_done:
            with self._watch:
                try:
                    page = search(lambda: query.results(policy, options))
                except AerospikeError as error:
                    raise self._failure(*error.args[:2]) from error
            is_done = query.is_done()
            yield page

    def truncate(self) -> None:
        """Delete what was written to the set until now. All nodes have done so at the end, and none gives a record."""
        self._sleep(_APART)
        # Not the client's own `truncate`, which holds the interpreter's lock: all threads would wait for the nodes.
        command = f"truncate:namespace={self.namespace};set={self.set}"
        patience = {"timeout": _milliseconds(max(_TRUNCATION, self._timeout))}
        with self._watch:
            answer = self._call("info_random_node", command, patience).rpartition("\t")[2].strip()
            if answer != "ok":
                raise ServerError(500, f"{self.where} cannot be cleared: {answer}")

    def info_of_set(self) -> list[dict[str, str]]:
        """Return what each node reports of the set, of those that have some of it."""
        return self.info(f"sets/{self.namespace}/{self.set}")

    def info_of_namespace(self) -> list[dict[str, str]]:
        """Return what each node reports of the namespace."""
        return self.info(f"namespace/{self.namespace}")

    def info(self, command: str) -> list[dict[str, str]]:
        """Return what every node answers to a command, as names and values."""
        return [parse_info(answer) for _, (_, answer) in self.call("info_all", command).items() if answer]

    def close(self) -> None:
        """Let go of the client; whoever needs one connects anew."""
        self._native.close()

    def _call(self, method: str, *args: Any) -> Any:
        deadline = None
        while True:
            try:
                if not self._is_known:
                    self._meet()
                return getattr(self._native.client, method)(*args)
            except AerospikeError as error:
                # An error's attributes are its class's, and may be another thread's: its arguments are its own.
                code, text = error.args[:2]
                if code in ANSWERS:
                    return ANSWERS[code]
                if code != NO_CONNECTION:
                    raise self._failure(code, text) from error
            deadline = self._rest(deadline)

    def _rest(self, deadline: float | None) -> float:
        """Wait for a connection, which the client does not: it has sent nothing. Return when that is to end."""
        now = self._clock()
        if deadline is None:
            deadline = now + self._timeout
        if now >= deadline:
            raise self._failure(NO_CONNECTION, None)
        self._sleep(_BUSY)
        return deadline

    def _failure(self, code: int, text: str | None) -> KTError:
        if code == NO_CLUSTER and self._credentials:  # the client does not say why a node was no good
            text = f"{text} that accepts the option {' and '.join(self._credentials)}"
        return failure(code, text or "no more is known", self.where)

    def _meet(self) -> None:
        """Look once, at the first use, whether the namespace is there and lets records expire."""
        found = parse_info(self._native.client.info_random_node(f"namespace/{self.namespace}"))
        if found.get("type") == "unknown":
            raise self._failure(NO_NAMESPACE, None)
        if found.get("nsup-period") == "0" and found.get("allow-ttl-without-nsup") != "true":
            raise Misconfigured(
                f"the namespace {self.namespace!r} refuses every record that is to expire: set nsup-period in the "
                "server's configuration to the seconds after which it removes expired records again and again "
                "(nsup-period 120), or allow-ttl-without-nsup to true"
            )
        self._is_known = True


def parse_info(answer: str) -> dict[str, str]:
    """Return the names and values of a node's answer, ``name=value;name=value;...``, the command before it or not."""
    pairs = (pair.partition("=") for pair in re.split("[:;]", answer.rpartition("\t")[2].strip()))
    return {name: value for name, _, value in pairs}


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)  # 0 would be without limit
