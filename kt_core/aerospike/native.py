"""The official client of Aerospike, held so that neither a fork nor a close can hurt: one native client per process.

The native client crashes the process or mixes up answers where Python code would raise, so nothing else may build,
keep or close one:

* *Forks.* A client that a child has inherited shares its sockets with the parent, and ends the child with SIGSEGV when
  it is closed or merely deallocated. The child therefore leaves it alone for good: it is given a reference that is
  never returned, and the holder begins empty, to connect anew when it is next used.
* *Closing.* `Client.close()` while another thread is inside a call ends the process or hangs. So it is never called:
  `close()` here drops the reference, every call under way holds one of its own, and the client closes itself
  when the last of them ends.
* *Searches.* Scans and queries of a parent and its children refuse each other: `search` is for them.
* *Seeds.* One seed that is down is no failure as long as another answers.
* *Errors.* The native client writes `code`, `msg`, `in_doubt` of an error to its *class*, where another thread's error
  overwrites them. What belongs to one error is its `args`: (code, msg, file, line, in_doubt, ...).

The package `aerospike` is imported when the first client is built, never with this module.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from kt_core.aerospike.errors import cluster_error
from kt_core.aerospike.package import official

if TYPE_CHECKING:
    from aerospike import Client


__all__ = ["Native", "official", "search"]

T = TypeVar("T")

_SEARCHES = 1000  # 0.1 s of refusals


class Native:
    """Holds the client of one cluster for this process; every method may be called from any thread.

    `config` is what `aerospike.client()` of the official package takes, `hosts` a list of tuples; nothing in it is
    checked here. No network is touched before `client` is read for the first time, nor by a fork.

    Read `client` for every call, and keep neither it nor a method of it::

        native = Native({"hosts": [("127.0.0.1", 3000)]})
        native.client.put(("test", "cache", "k"), {"v": 1})

    What was kept would be the parent's client after a fork, and would stay open after `close()`. Reading costs 0.05 µs.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = {**config, "fail_if_not_connected": False}
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._attempts = 0
        _natives.add(self)

    @property
    def client(self) -> Client:
        """The connected native client of this process.

        Connects when there is none yet. If that fails it raises `aerospike.exception.ClusterError` (no seed answers)
        or what the native constructor raises (`ParamError` for a bad config), and the next reading tries again;
        threads that waited for an attempt share its failure instead of repeating it one after another. Without the
        package: `kt_core.errors.Misconfigured`.
        """
        client = self._client
        return self._connect() if client is None else client

    @property
    def connected(self) -> bool:
        """Whether there is a client in this process; it may have lost its cluster since."""
        return self._client is not None

    def close(self) -> None:
        """Let go of the client: it closes when the last call under way has ended; the next reading connects anew."""
        self._client = None

    def _connect(self) -> Client:
        attempts = self._attempts
        with self._lock:
            if self._client is None:
                if self._attempts != attempts:
                    raise self._no_cluster()
                try:
                    self._client = self._build()
                except BaseException:
                    self._attempts += 1
                    raise
            return self._client

    def _build(self) -> Client:
        client: Client = official().client(self._config)
        if not client.is_connected():
            del client  # now: the traceback would keep it, and its threads, for as long as somebody keeps the error
            raise self._no_cluster()
        return client

    def _no_cluster(self) -> Exception:
        hosts = ", ".join(":".join(map(str, host[:2])) for host in self._config.get("hosts", ()))
        return cluster_error(f"no node of the Aerospike cluster answers at {hosts}")

    def _leave_to_parent(self) -> None:
        """Begin empty in a forked child, and see to it that the parent's client is never deallocated here."""
        self._lock = threading.Lock()  # the old one may be held by a thread that only the parent has
        if self._client is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._client))
            self._client = None


def search(call: Callable[[], T], begun: Callable[[], bool] = bool) -> T:
    """Call what scans, queries or starts a job, and again while a server takes it for one of another process.

    Each has a number, and a forked child draws the same numbers as its parent and its siblings. A server refuses one
    that is under way, or was among the last hundred, with `InvalidRequest`. (Measured: every second search of two
    processes that search without a pause.) Each call draws the next number, so a process passes over those that
    others have used.

    `begun` says whether a call has handed out records already, which it must not do twice: then its error is raised.
    """
    for _ in range(_SEARCHES - 1):
        try:
            return call()
        except official().exception.InvalidRequest:
            if begun():
                raise
    return call()


_natives: weakref.WeakSet[Native] = weakref.WeakSet()


def _after_fork() -> None:
    for native in list(_natives):
        native._leave_to_parent()


@atexit.register
def _close_all() -> None:
    # Before modules are torn down, while what a log handler of the caller needs still exists.
    for native in list(_natives):
        native.close()


os.register_at_fork(after_in_child=_after_fork)
