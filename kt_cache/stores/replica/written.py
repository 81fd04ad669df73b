"""What this process has written lately: until the copy has it, it is read from the master."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Final

_MANY: Final = 1000  # keys, from which on those that the copy has by now are looked for
_MOST: Final = 100_000


class Written:
    """The keys written, each with the time at which the master had acknowledged the last of it.

    `REACHED` is the time of a marker that was sent, so only what was noted before it is surely in the copy. The clock
    is read after the acknowledgement here and before the sending there; both give nanoseconds, and are one clock.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self.times: dict[bytes, int] = {}
        self.every = -1
        """The time before which every key was written: `times` has those that were since."""
        self._many = _MANY
        self._lock = threading.Lock()
        _all.add(self)

    def note(self, keys: Iterable[bytes] | None, reached: int) -> None:
        """Note that keys, or with None all of them, were written by now; those from before `reached` may be forgotten.

        Under a lock, so that of two threads that write one key the later time is the one that stays.
        """
        with self._lock:
            now = self._clock()
            if keys is None:
                self._note_all(now)
                return
            self.times.update(dict.fromkeys(keys, now))
            if len(self.times) > self._many:
                self.times = {key: time for key, time in self.times.items() if time >= reached}
                self._many = max(_MANY, 2 * len(self.times))
                if len(self.times) > _MOST:  # nobody follows the master
                    self._note_all(now)

    def _note_all(self, now: int) -> None:
        self.every = now
        self.times = {}

    def reset_lock(self) -> None:
        """Begin with a lock that no vanished thread holds."""
        self._lock = threading.Lock()


_all: weakref.WeakSet[Written] = weakref.WeakSet()


def _reset_locks() -> None:
    for written in list(_all):
        written.reset_lock()


os.register_at_fork(after_in_child=_reset_locks)
