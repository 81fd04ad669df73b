"""Locks that all processes share: each held by one owner at a time, and by nobody for ever.

Whoever gets a lock gets a *fencing token* with it, a number greater than that of every owner before: what is guarded
can refuse an owner who has been stopped for so long that the lock has passed on. A lock ends with its timeout when its
owner dies.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace, TracebackType
from typing import Any, NamedTuple

from kt_cache.flows import Flow, Pause, adrive, call, drive, is_out
from kt_cache.reserved import Kind, reserved
from kt_cache.stores.base import AsyncStore
from kt_core.errors import InvalidInput, KTError

_FENCE_LIFETIME = 86400.0  # seconds


class LockError(KTError):
    """A lock could not be acquired, or is not held by whoever wants to release or extend it."""


class LockOptions(NamedTuple):
    """How a lock behaves; times in seconds, None for ever."""

    timeout: float | None = 60.0
    """After which the lock is free again if its owner does not extend it."""
    sleep: float = 0.01
    """Between two looks at a lock that another holds."""
    blocking: bool = True
    """Whether to wait for a lock that another holds."""
    blocking_timeout: float | None = None
    """How long to wait at most."""
    thread_local: bool = True
    """Whether each thread that uses the object is an owner of its own."""


class _BaseLock:
    def __init__(
        self,
        store: AsyncStore,
        key: bytes,
        options: LockOptions,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        _check(options.timeout)
        self._store = store
        self._name = key
        self._record = reserved(Kind.LOCK, key)
        self._fence = reserved(Kind.FENCE, key)
        self._options = options
        self._clock = clock
        self._timer = timer
        self._held: Any = threading.local() if options.thread_local else SimpleNamespace()

    @property
    def token(self) -> int | None:
        """The fencing token of the lock as it is held here; None if it is not."""
        return getattr(self._held, "token", None)

    def _acquire(self, blocking: bool | None, blocking_timeout: float | None) -> Flow[bool]:
        options = self._options
        waits = options.blocking if blocking is None else blocking
        patience = options.blocking_timeout if blocking_timeout is None else blocking_timeout
        since = self._timer()
        tried = False
        while True:
            if not tried or not (yield call("exists", self._record)):
                if (yield from self._try()):
                    return True
                if (yield from is_out(self._record)):
                    return False  # in an outage nobody gets a lock, and nobody waits for one
            tried = True
            if not waits or (patience is not None and self._timer() - since + options.sleep > patience):
                return False
            yield Pause(options.sleep)

    def _try(self) -> Flow[bool]:
        """Claim the lock and take a token, in this order: a token taken before could be less than the last owner's."""
        claim = -1 - secrets.randbits(62)  # less than any token
        if not (yield call("add", self._record, claim, self._options.timeout)):
            return False
        got = False
        try:
            token = yield from self._next_token()
            if token is not None:
                got = yield call("compare_and_set", self._record, claim, token, self._options.timeout)
        finally:
            if not got:
                yield call("compare_and_set", self._record, claim, None)
        if got:
            self._held.token = token
        return got

    def _next_token(self) -> Flow[int | None]:
        """Return a number greater than those of all owners before, None in an outage.

        It is the microseconds since 1970, unless the clock has stepped back since the last owner's was written down:
        so it is greater even where that has been lost.
        """
        for _ in range(2):  # a replica that is asked may lag behind, but not twice
            last = yield call("get", self._fence)
            token = max(int(self._clock() * 1e6), (last or 0) + 1)
            if (yield call("compare_and_set", self._fence, last, token, _FENCE_LIFETIME)):
                return token
        return None

    def _release(self) -> Flow[None]:
        token = self._needed("released")
        self._held.token = None
        if not (yield call("compare_and_set", self._record, token, None)) and not (yield from is_out(self._record)):
            raise self._lost("released")

    def _extend(self, additional_time: float | None, replace_ttl: bool) -> Flow[bool]:
        token = self._needed("extended")
        _check(additional_time)
        seconds = additional_time
        if seconds is not None and not replace_ttl:
            seconds += (yield call("ttl", self._record)) or 0.0
        if not (yield call("compare_and_set", self._record, token, token, seconds)):
            raise self._lost("extended")
        return True

    def _owned(self) -> Flow[bool]:
        token = self.token
        return token is not None and (yield call("get", self._record)) == token

    def _needed(self, wish: str) -> int:
        if self.token is None:
            raise LockError(f"the lock {self._shown} cannot be {wish}: it is not held here")
        return self.token

    def _lost(self, wish: str) -> LockError:
        return LockError(
            f"the lock {self._shown} cannot be {wish}: its timeout of {self._options.timeout} s was over; "
            "give it a longer one, or extend it in time"
        )

    def _refused(self) -> LockError:
        return LockError(
            f"the lock {self._shown} could not be acquired: somebody else holds it, or its store is out of order"
        )

    @property
    def _shown(self) -> str:
        return repr(self._name.decode(errors="backslashreplace"))


def _check(timeout: float | None) -> None:
    if timeout is not None and not timeout > 0:
        raise InvalidInput(f"a lock cannot be held for {timeout} s: give it some time, or None for ever")


class Lock(_BaseLock):
    """A lock to be waited for; as a context it is acquired, or `LockError` raised, and released."""

    def acquire(self, blocking: bool | None = None, blocking_timeout: float | None = None) -> bool:
        """Get the lock; tell whether it was got. The arguments are those given at first, unless given here."""
        return drive(self._acquire(blocking, blocking_timeout), self._store)

    def release(self) -> None:
        """Let go of the lock; `LockError` if it is not held here any more."""
        drive(self._release(), self._store)

    def extend(self, additional_time: float | None, replace_ttl: bool = False) -> bool:
        """Hold the lock for so many seconds longer, or with `replace_ttl` from now on; `LockError` if it is lost."""
        return drive(self._extend(additional_time, replace_ttl), self._store)

    def reacquire(self) -> bool:
        """Hold the lock for its whole timeout from now on; `LockError` if it is lost."""
        return self.extend(self._options.timeout, replace_ttl=True)

    def locked(self) -> bool:
        """Tell whether anybody holds the lock."""
        return self._store.exists(self._record)

    def owned(self) -> bool:
        """Tell whether it is held here."""
        return drive(self._owned(), self._store)

    def __enter__(self) -> Lock:
        if not self.acquire():
            raise self._refused()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class AsyncLock(_BaseLock):
    """A lock to be awaited, otherwise as `Lock`."""

    async def acquire(self, blocking: bool | None = None, blocking_timeout: float | None = None) -> bool:
        return await adrive(self._acquire(blocking, blocking_timeout), self._store)

    async def release(self) -> None:
        await adrive(self._release(), self._store)

    async def extend(self, additional_time: float | None, replace_ttl: bool = False) -> bool:
        return await adrive(self._extend(additional_time, replace_ttl), self._store)

    async def reacquire(self) -> bool:
        return await self.extend(self._options.timeout, replace_ttl=True)

    async def locked(self) -> bool:
        return await self._store.aexists(self._record)

    async def owned(self) -> bool:
        return await adrive(self._owned(), self._store)

    async def __aenter__(self) -> AsyncLock:
        if not await self.acquire():
            raise self._refused()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.release()
