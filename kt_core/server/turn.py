"""Group commit: what the requests of one turn of the event loop want changed is changed in one transaction.

The first change of a turn has the turn's end scheduled. Until then changes are collected; at the end they are made, and
only then is any of them acknowledged. A durable database is given its changes in a thread, since it waits for the
disk; what is asked of it meanwhile is collected for its next transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from kt_core.database.batch import Change
from kt_core.errors import KTError
from kt_core.server.served import ServedDatabase

logger = logging.getLogger("kt_core.server")

Resolve: TypeAlias = Callable[[Any], object]
"""Takes the outcome of a change: its result, or the `KTError` it ended in."""


class _Wanted(NamedTuple):
    """Changes to one database, and for each what takes its outcome."""

    changes: list[Change]
    resolves: list[Resolve]


class Turn:
    """The changes that the present turn of an event loop has asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._wanted: dict[ServedDatabase, _Wanted] = {}
        self._committing: set[ServedDatabase] = set()  # in a thread
        self._threads = ThreadPoolExecutor(thread_name_prefix="kt-commit")
        self._scheduled = False
        self._endings: list[Callable[[], None]] = []
        self._progress = asyncio.Event()

    def add(self, served: ServedDatabase, change: Change, resolve: Resolve) -> None:
        """Have a change made at the end of this turn, and `resolve` called with its outcome."""
        wanted = self._wanted.get(served)
        if wanted is None:
            self._wanted[served] = _Wanted([change], [resolve])
            self._schedule()
        else:
            wanted.changes.append(change)
            wanted.resolves.append(resolve)

    def call_at_end(self, ending: Callable[[], None]) -> None:
        """Have something called at the end of this turn; it may still add changes, and endings."""
        self._endings.append(ending)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._end)

    def add_all(self, served: ServedDatabase, changes: Sequence[Change], resolve: Resolve) -> None:
        """Have changes made at the end of this turn, and `resolve` called with the list of their outcomes."""
        outcomes: list[Any] = []
        for change in changes[:-1]:
            self.add(served, change, outcomes.append)
        for change in changes[-1:]:
            self.add(served, change, lambda outcome: resolve([*outcomes, outcome]))
        if not changes:
            self._loop.call_soon(resolve, outcomes)

    async def make(self, served: ServedDatabase, changes: Sequence[Change]) -> list[Any]:
        """Have changes made at the end of this turn, and return their outcomes."""
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self.add_all(served, changes, partial(_hand_in, future))
        return await future

    async def drain(self) -> None:
        """Wait until all that was asked for is done and acknowledged; end the threads."""
        while self._scheduled or self._wanted or self._committing:
            await self._progress.wait()
            self._progress.clear()
        self._threads.shutdown()

    def _end(self) -> None:
        while self._endings:
            endings, self._endings = self._endings, []
            for ending in endings:
                ending()
        self._scheduled = False
        for served in [each for each in self._wanted if each not in self._committing]:
            wanted = self._wanted.pop(served)
            if served.durable:
                self._committing.add(served)
                making = self._threads.submit(_make, served, wanted.changes)
                making.add_done_callback(partial(self._hand_over, served, wanted))
            else:
                _acknowledge(wanted, _make(served, wanted.changes))
        self._progress.set()

    def _hand_over(self, served: ServedDatabase, wanted: _Wanted, made: Future[list[Any]]) -> None:
        self._loop.call_soon_threadsafe(self._committed, served, wanted, made.result())

    def _committed(self, served: ServedDatabase, wanted: _Wanted, outcomes: list[Any]) -> None:
        self._committing.remove(served)
        if served in self._wanted:
            self._end()
        _acknowledge(wanted, outcomes)
        self._progress.set()


def _hand_in(future: asyncio.Future[list[Any]], outcomes: list[Any]) -> None:
    if not future.done():  # the client may have gone
        future.set_result(outcomes)


def _make(served: ServedDatabase, changes: list[Change]) -> list[Any]:
    try:
        return served.change_all(changes)
    except Exception:  # none of ours: whatever it is, the server goes on
        logger.exception("changes to %s failed", served.name)
        return [KTError("the server failed; its log says why")] * len(changes)


def _acknowledge(wanted: _Wanted, outcomes: list[Any]) -> None:
    for resolve, outcome in zip(wanted.resolves, outcomes, strict=True):
        resolve(outcome)
