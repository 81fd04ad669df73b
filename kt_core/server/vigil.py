"""Staying awake for a moment after a request, since the next one often follows at once.

To sleep in the kernel and be woken takes longer than to answer: a single client that waits for each reply gets more
than twice as many from a server that looks again for 100 µs before it sleeps. Where that is in vain too often it is
left off for a while, and where there is one processor only it would keep the clients from theirs.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

_MOST_CREDIT: Final = 16
_PAUSE: Final = 64  # requests


class Vigil:
    """Keeps an event loop from sleeping for `patience` seconds after each request."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        patience: float,
        *,
        processors: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._patience = patience if (processors or len(os.sched_getaffinity(0))) > 1 else 0.0
        self._keeping = self._patience <= 0
        self.heard = self._keeping
        """Whether there is no need to tell of another request."""
        self._until = 0.0
        self._credit = _MOST_CREDIT

    def hear(self) -> None:
        """Note a request."""
        if self._credit <= 0:
            self._credit += 1
            return
        self.heard = True
        if not self._keeping:
            self._keeping = True
            self._until = 0.0
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        if self.heard:
            self.heard = False
            if self._until and self._credit < _MOST_CREDIT:
                self._credit += 1
            self._until = self._clock() + self._patience
        elif self._clock() > self._until:
            self._keeping = False
            self._credit -= 1
            if not self._credit:
                self._credit = 1 - _PAUSE
            return
        self._loop.call_soon(self._look)
