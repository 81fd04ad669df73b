"""A copy that is kept by hand: what its follower has heard, and by when, is the test's to say."""

from __future__ import annotations

from typing import Any, cast

from kt_cache.stores import AsyncStore, Store
from kt_cache.stores.forms import to_bytes
from kt_cache.stores.replica.records import Master, Records
from kt_cache.stores.replica.store import READS, WRITES, ReplicaStore
from kt_cache.stores.wrapper import Wrapper
from kt_core.database import Environment
from kt_core.wire.kt_log import LogRecord, Remove, Set

NOBODY = Master("master:1978/0", 1, 0.0)
SECOND = 10**9


class Nanoseconds:
    """A monotonic clock that the test moves; it never gives the same number twice."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND

    def __call__(self) -> int:
        self.now += 1
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class Mirror:
    """The copy of a master's records, made so whenever `hear` is called."""

    def __init__(self, environment: Environment, master: Store, clock: Nanoseconds) -> None:
        self._environment = environment
        self._master = master
        self._clock = clock
        self._known: dict[bytes, tuple[bytes, int]] = {}
        self._ts = 0
        self.records = Records(environment)

    def fill(self) -> None:
        """Begin and finish the copy."""
        self.records.begin(NOBODY, 0)
        self._known = {}
        self._apply()
        self.records.finish(self._clock())

    def hear(self) -> None:
        """Do what was done on the master by now."""
        reached = self._clock()
        self._apply()
        self.records.reach(reached)

    def _apply(self) -> None:
        there = {
            entry.key: (to_bytes(cast(Any, self._master.get(entry.key))), _xt(self._environment, entry.left))
            for entry in self._master.iter_entries()
        }
        changes: list[Any] = [Remove(0, key) for key in self._known if key not in there]
        changes += [Set(0, key, *found) for key, found in there.items() if self._known.get(key) != found]
        self._ts += 1
        self.records.apply([LogRecord(self._ts, 1, change) for change in changes], self._ts)
        self._known = there


def _xt(environment: Environment, left: float) -> int:
    """Return the second that is the last of a record which is told to have so many seconds left."""
    return min(int(environment.clock()) + int(min(left, 1 << 40)), (1 << 40) - 1)


class Heard(Wrapper):
    """A store whose copy has heard of every write before anything is read."""

    def __init__(self, store: ReplicaStore, mirror: Mirror) -> None:
        self._store = store
        self._mirror = mirror
        self._unheard = False

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self._hear(method)
        return getattr(self._store, method)(*args, **kwargs)

    async def _acall(self, method: str, *args: Any, **kwargs: Any) -> Any:
        self._hear(method)
        return await getattr(self._store, f"a{method}")(*args, **kwargs)

    def _hear(self, method: str) -> None:
        if method in WRITES:
            self._unheard = True
        elif method in READS and self._unheard:
            self._mirror.hear()
            self._unheard = False


for _name in ("iter_keys", "iter_entries", "aiter_keys", "close"):
    setattr(Heard, _name, property(lambda self, name=_name: getattr(self._store, name)))


def as_store(store: Any) -> AsyncStore:
    """Return a store as what it is to a type checker."""
    return cast(AsyncStore, store)
