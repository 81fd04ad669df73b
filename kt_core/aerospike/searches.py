"""Queries and scans of the legacy module: what is asked is kept here, and asked of the native client of the moment.

A native query keeps its native client alive, which must not outlive a close, nor be used in a forked child. So there is
one only while it is needed: it is made anew whenever the process has another client than the last time.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Self

from kt_core.aerospike.errors import calling
from kt_core.aerospike.native import search
from kt_core.aerospike.policies import translate
from kt_core.aerospike.serialization import Serialization

Policy = Mapping[str, Any] | None


class Search:
    """What queries and scans have in common: bins to be read, and records to be got one by one or all at once."""

    _kind: str
    _limits: tuple[str, ...] = ("ttl",)

    ttl: int | None = None
    """The life of records that `execute_background` writes."""

    def __init__(
        self,
        searches: Searches,
        live: Callable[[], Any],
        values: Serialization,
        namespace: str,
        set: str | None,
    ) -> None:
        self._live = live
        self._values = values
        self._place = (namespace, set)
        self._told: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self._native: Any = None
        self._client: Any = None  # that _native was made of
        searches.add(self)

    def select(self, *bins: str) -> Self:
        """Read these bins alone."""
        return self._tell("select", *bins)

    def add_ops(self, ops: list[Any]) -> Self:
        """Do something to every record: for `execute_background`."""
        return self._tell("add_ops", ops)

    def apply(self, module: str, function: str, arguments: list[Any] | None = None) -> Self:
        """Hand the records to a function that the cluster has."""
        return self._tell("apply", module, function, self._values.encode(arguments or []))

    def results(self, policy: Policy = None, *args: Any) -> list[Any]:
        """Return all records as (key, meta data, bins); options may come behind the policy."""
        options = (translate(policy), *map(_options, args))
        found = search(lambda: self._ask("results", *options))
        return [self._decode(record) for record in found]

    def foreach(
        self, callback: Callable[[Any], Any], policy: Policy = None, options: Policy = None, *args: Any
    ) -> None:
        """Call the callback with every record; it stops them by returning False.

        An exception in it stops them, too, and comes out of this call.
        """
        passed = (translate(policy), translate(options), *args)
        begun = False
        raised: BaseException | None = None

        def take(record: Any) -> Any:
            nonlocal begun, raised
            begun = True
            try:
                return raised is None and callback(self._decode(record))
            except BaseException as error:
                raised = error
                return False

        search(lambda: self._ask("foreach", take, *passed), lambda: begun)
        if raised is not None:
            raise raised

    def execute_background(self, policy: Policy = None) -> int:
        """Have it done without waiting, and return the number of the job."""
        translated = translate(policy)
        return int(search(lambda: self._ask("execute_background", translated)))

    def paginate(self) -> None:
        """Have `results` and `foreach` go on where they stopped."""
        self._tell("paginate")

    def is_done(self) -> bool:
        """Whether pages have come to the end."""
        return bool(self._ask("is_done"))

    def get_partitions_status(self) -> Any:
        """Return how far each partition has been read."""
        return self._ask("get_partitions_status")

    def forget(self) -> None:
        """Let go of the native client."""
        self._native = self._client = None

    def _tell(self, name: str, *args: Any, **kwargs: Any) -> Self:
        self._told.append((name, args, kwargs))
        if self._native is not None:
            calling(getattr(self._native, name), *args, **kwargs)
        return self

    def _ask(self, name: str, *args: Any) -> Any:
        return calling(lambda: getattr(self._made(), name)(*args))

    def _made(self) -> Any:
        client = self._live()
        if self._client is not client:
            native = getattr(client, self._kind)(*self._place)
            for name, args, kwargs in self._told:
                getattr(native, name)(*args, **kwargs)
            self._native, self._client = native, client
        for name in self._limits:
            if (limit := getattr(self, name)) is not None:
                setattr(self._native, name, limit)
        return self._native

    def _decode(self, record: Any) -> Any:
        if isinstance(record, tuple) and len(record) == 3:
            key, meta, bins = record
            return key, meta, self._values.decode(bins)
        return self._values.decode(record)  # of a function that aggregates


class Scan(Search):
    """Reads all records of a namespace or a set."""

    _kind = "scan"


class Query(Search):
    """Reads the records of a namespace or a set that match."""

    _kind = "query"
    _limits = ("ttl", "max_records", "records_per_second")

    max_records: int | None = None
    """About how many records a page has."""
    records_per_second: int | None = None

    def where(self, *predicate: Any, **kwargs: Any) -> Query:
        """Match by an index: one of `kt_core.aerospike.predicates`."""
        return self._tell("where", *predicate, **kwargs)


class Searches:
    """The searches of one client that are in use."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Search] = weakref.WeakSet()

    def add(self, search: Search) -> None:
        """Remember a search for as long as it lives."""
        self._all.add(search)

    def close(self) -> None:
        """Have all of them let go of their native clients."""
        for each in list(self._all):
            each.forget()


def _options(options: Any) -> Any:
    return translate(options) if isinstance(options, Mapping) else options
