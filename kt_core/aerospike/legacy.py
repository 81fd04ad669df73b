"""The client of the legacy module: its calls, made with the official client as it is today."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from kt_core.aerospike.collections import COLLECTIONS
from kt_core.aerospike.config import Settings
from kt_core.aerospike.errors import calling, cluster_error
from kt_core.aerospike.keys import Key, check_bins, check_key, check_keys, check_pasted, check_text, digest_of
from kt_core.aerospike.many import Many, check_batch, checked_batch
from kt_core.aerospike.native import Native, search
from kt_core.aerospike.operators import check_joined, encode_operators
from kt_core.aerospike.package import official
from kt_core.aerospike.policies import check_ttl, for_write, gone, translate
from kt_core.aerospike.searches import Query, Scan, Searches
from kt_core.aerospike.serialization import Serialization

Record = tuple[Key, "dict[str, Any] | None", "dict[str, Any] | None"]
"""(key, meta data, bins)."""
Policy = Mapping[str, Any] | None

_INDEXES: Final = {
    "index_string_create": "INDEX_STRING",
    "index_integer_create": "INDEX_NUMERIC",
    "index_geo2dsphere_create": "INDEX_GEO2DSPHERE",
}
_OLDER_THAN_NOW: Final = 0.002  # seconds; a record of the same millisecond would survive
_SCAN_STATUS: Final = {0: 0, 1: 1, 2: 3}  # of a job's


class Client(Many):
    """Talks to a cluster; made by `kt_core.aerospike.client`, and of use once it is connected.

    Every method may be called from any thread, and in a process that was forked after `connect`. Methods that are not
    written out here are those of the official client, called as they are.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._values = Serialization(settings.serialization, settings.unpickler)
        self._native: Native | None = None
        self._searches = Searches()

    # -- the connection -------------------------------------------------------------------------------------------

    def connect(self, username: str | None = None, password: str | None = None) -> Client:
        """Connect, if not connected, and return this client; `ClusterError` when no seed answers."""
        if self._native is None:
            config = dict(self._settings.native)
            if username is not None:
                config |= {"user": username, "password": password}
            native = Native(config)
            calling(lambda: native.client)
            self._native = native
        return self

    def is_connected(self) -> bool:
        """Whether some node of the cluster is reachable."""
        if self._native is None:
            return False
        try:
            return self._call("is_connected") is True
        except official().exception.AerospikeError:
            return False

    def close(self) -> None:
        """Disconnect as soon as the calls that are under way have ended; `connect` connects again."""
        if self._native is not None:
            self._native.close()
            self._native = None
            self._searches.close()

    # -- records --------------------------------------------------------------------------------------------------

    def put(
        self,
        key: Any,
        bins: Any,
        meta: Policy = None,
        policy: Policy = None,
        serializer: int | None = None,
    ) -> int:
        """Write bins of a record; those it has beside them stay, unless the policy `exists` says otherwise.

        Values that the database cannot store as they are, None among them, are serialized: see
        `kt_core.aerospike.serialization`. `aerospike.null()` deletes a bin.
        """
        key, encoded = check_key(key), self._values.encode_bins(check_bins(bins), serializer)
        return self._write("put", key, (encoded,), meta, policy)

    def get(self, key: Any, policy: Policy = None) -> Record:
        """Return (key, meta data, bins), or (key, None, None) if there is no record."""
        return self._read("get", check_key(key), (), policy)

    def select(self, key: Any, bins: Iterable[str], policy: Policy = None) -> Record:
        """Return (key, meta data, bins) with some of the bins, or (key, None, None) if there is no record."""
        names = [check_text("the name of a bin", name) for name in bins]
        return self._read("select", check_key(key), (names,), policy)

    def exists(self, key: Any, policy: Policy = None) -> tuple[Key, dict[str, Any] | None]:
        """Return (key, meta data), or (key, None) if there is no record."""
        key, meta = self._call("exists", check_key(key), translate(policy))
        return key, meta

    def remove(self, key: Any, meta: Policy = None, policy: Policy = None) -> int:
        """Delete a record; `RecordNotFound` if there is none."""
        own, translated = for_write(policy, meta, self._settings.gen)
        translated.pop("ttl", None)
        if "gen" in own:
            translated["generation"] = own["gen"]
        return self._number("remove", check_key(key), policy=translated)

    def remove_bin(self, key: Any, list: Iterable[str], meta: Policy = None, policy: Policy = None) -> int:
        """Delete some bins of a record."""
        names = [check_text("the name of a bin", name) for name in list]
        return self._write("remove_bin", check_key(key), (names,), meta, policy)

    def touch(self, key: Any, val: int = 0, meta: Policy = None, policy: Policy = None) -> int:
        """Let a record live for `val` seconds from now, or for the `ttl` of meta data or policy if `val` is 0."""
        own, translated = for_write(policy, meta, self._settings.gen)
        ttl = translated.pop("ttl", 0)  # which touch() of the official client does not look at
        return self._number("touch", check_key(key), check_ttl(val or ttl), own, translated)

    def append(self, key: Any, bin: str, val: Any, meta: Policy = None, policy: Policy = None) -> int:
        """Put text or bytes to the end of a bin; what is not there begins empty."""
        return self._join("append", key, bin, val, meta, policy)

    def prepend(self, key: Any, bin: str, val: Any, meta: Policy = None, policy: Policy = None) -> int:
        """Put text or bytes to the beginning of a bin; what is not there begins empty."""
        return self._join("prepend", key, bin, val, meta, policy)

    def increment(self, key: Any, bin: str, offset: Any, meta: Policy = None, policy: Policy = None) -> int:
        """Add to a number; what is not there begins as 0."""
        return self._write("increment", check_key(key), (check_text("the name of a bin", bin), offset), meta, policy)

    def operate(self, key: Any, list: Iterable[Any], meta: Policy = None, policy: Policy = None) -> Record:
        """Do several things to one record at once, and return it with what the operators read."""
        key, meta_data, bins = self._operate("operate", key, list, meta, policy)
        return key, meta_data, self._values.decode(bins)

    def operate_ordered(self, key: Any, list: Iterable[Any], meta: Policy = None, policy: Policy = None) -> Any:
        """As `operate`, with a list of (bin, value) in the order of the operators."""
        key, meta_data, pairs = self._operate("operate_ordered", key, list, meta, policy)
        return key, meta_data, pairs and [(name, self._values.decode(value)) for name, value in pairs]

    def truncate(self, namespace: str, set: str | None = None, nanos: int = 0, policy: Policy = None) -> int:
        """Delete all records of a set that are older than `nanos` since 1970, or than now if that is 0."""
        check_pasted(namespace)
        if set is not None:
            check_pasted(set)
        if nanos == 0:
            time.sleep(_OLDER_THAN_NOW)
        return self._number("truncate", namespace, set, nanos, policy)

    # -- functions, indexes, jobs ---------------------------------------------------------------------------------

    def apply(self, key: Any, module: str, function: str, args: Iterable[Any], policy: Policy = None) -> Any:
        """Call a function that the cluster has on a record, and return what it returns."""
        encoded = self._values.encode([*args])
        return self._values.decode(self._call("apply", check_key(key), module, function, encoded, translate(policy)))

    def query(self, namespace: str, set: str | None = None) -> Query:
        """Return a query of a namespace or a set."""
        return Query(self._searches, self._live, self._values, namespace, set)

    def scan(self, namespace: str, set: str | None = None) -> Scan:
        """Return a scan of a namespace or a set."""
        return Scan(self._searches, self._live, self._values, namespace, set)

    def scan_apply(
        self,
        ns: str,
        set: str | None,
        module: str,
        function: str,
        args: Iterable[Any] = (),
        policy: Policy = None,
        options: Policy = None,
    ) -> int:
        """Call a function on every record of a set, in the background, and return the number of the job."""
        encoded = self._values.encode([*args])
        passed = (ns, set, module, function, encoded, translate(policy), translate(options))
        return search(lambda: self._number("scan_apply", *passed))

    def scan_info(self, scan_id: int, policy: Policy = None) -> dict[str, int]:
        """Return progress_pct, records_scanned and status, one of SCAN_STATUS, of a scan in the background."""
        job = self._call("job_info", scan_id, official().JOB_SCAN, policy)
        return {
            "progress_pct": job["progress_pct"],
            "records_scanned": job["records_read"],
            "status": _SCAN_STATUS[job["status"]],
        }

    # -- the cluster ----------------------------------------------------------------------------------------------

    def info(self, command: str, hosts: Any = None, policy: Policy = None) -> dict[str, Any]:
        """Return (error, answer) of every node to a command, by name of the node."""
        if hosts is not None:
            gone("hosts of info")
        answers: dict[str, Any] = self._call("info_all", command, policy)
        return answers

    def info_node(self, command: str, host: tuple[str, int], policy: Policy = None) -> str:
        """Return the answer of the node at an address, beginning with the command; `ParamError` if none is there."""
        for node in self._call("get_node_names"):
            if (node["address"], node["port"]) == tuple(host[:2]):
                return str(self._call("info_single_node", command, node["node_name"], policy))
        raise official().exception.InvalidHostError(-4, f"no node of the cluster is at {host!r}", __name__, 0, False)

    def get_key_digest(self, ns: str, set: str | None, key: Any) -> bytearray | None:
        """Return the 20 bytes that a key is known by to the servers; None for bytes that are no UTF-8."""
        return digest_of(check_key((ns, set, key)))

    def has_geo(self) -> bool:
        """Whether the cluster has geospatial indexes: every one has."""
        return True

    # -- what all calls go through --------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in COLLECTIONS:
            return partial(self._collect, name)
        if name in _INDEXES:
            return partial(self._create_index, name)
        if name.startswith("_") or not hasattr(official().Client, name):
            raise AttributeError(f"the Aerospike client has no {name!r}", name=name, obj=self)
        return partial(self._pass, name)

    def _live(self) -> Any:
        """The native client of this process; `ClusterError` before `connect` and after `close`."""
        if self._native is None:
            raise cluster_error("no connection to an Aerospike cluster: call connect()")
        return self._native.client

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return calling(lambda: getattr(self._live(), name)(*args, **kwargs))

    def _number(self, name: str, *args: Any, **kwargs: Any) -> int:
        """Return what a call without a result returns, which is 0, or the number of a job."""
        return int(self._call(name, *args, **kwargs))

    def _read(self, name: str, key: Key, arguments: tuple[Any, ...], policy: Policy) -> Record:
        try:
            (*_, digest), meta, bins = self._call(name, key, *arguments, translate(policy))
        except official().exception.RecordNotFound:
            if self._settings.raise_not_found:
                raise
            return (*key[:3], digest_of(key)), None, None
        return (*key[:3], digest), meta, self._values.decode(bins)

    def _write(self, name: str, key: Key, arguments: tuple[Any, ...], meta: Policy, policy: Policy) -> int:
        own, translated = for_write(policy, meta, self._settings.gen)
        return self._number(name, key, *arguments, own, translated)

    def _join(self, name: str, key: Any, bin: str, val: Any, meta: Policy, policy: Policy) -> int:
        check_text("the name of a bin", bin)
        check_joined(val)
        return self._write(name, check_key(key), (bin, val), meta, policy)

    def _operate(self, name: str, key: Any, operators: Iterable[Any], meta: Policy, policy: Policy) -> Any:
        key, encoded = check_key(key), encode_operators(operators, self._values)
        own, translated = for_write(policy, meta, self._settings.gen)
        found, *rest = self._call(name, key, encoded, own, translated)
        return (*key[:3], found[3]), *rest

    def _collect(self, name: str, key: Any, bin: str, *args: Any, **kwargs: Any) -> Any:
        operator, meta, policy = COLLECTIONS[name].operator(bin, args, kwargs)
        return self.operate(key, [operator], meta, policy)[2].get(bin)  # type: ignore[union-attr]

    def _create_index(self, method: str, ns: str, set: str, bin: str, name: str, policy: Policy = None) -> int:
        kind = getattr(official(), _INDEXES[method])
        return int(self._pass("index_single_value_create", ns, set, bin, kind, name, policy or {}))

    def _pass(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if method.startswith(("index_", "udf_")):
            for argument in (*args, *kwargs.values()):
                if isinstance(argument, str):
                    check_pasted(argument)
        if not method.startswith("batch_"):
            return self._call(method, *args, **kwargs)
        if args and isinstance(args[0], list):
            check_batch(check_keys(args[0]), (*self._settings.native["policies"].values(), *args[1:], *kwargs.values()))
        return checked_batch(self._call(method, *args, **kwargs))
