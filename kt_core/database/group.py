"""Group commit: writers that come while one waits for the disk share the next fsync.

A writer queues its operation and waits for the environment's lock. Whoever gets it runs all that is queued by
then in one transaction, each operation in a child of its own, commits, and hands out the results.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

import lmdb

from kt_core.database.housekeeping import RoomNeeded
from kt_core.errors import Damaged, KTError, StoreFull

if TYPE_CHECKING:
    from kt_core.database.environment import Environment, Write

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

_SHORT = os.strerror(errno.EIO)


class GroupCommit:
    """The queue of writers of one environment in this process."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._waiting: deque[tuple[Future[Any], int, Callable[[Write], Any]]] = deque()

    def write(self, index: int, operation: Callable[[Write, *Ts], T], *args: *Ts) -> T:
        """Run an operation on a logical database; return, or raise, once it is on the disk or has failed."""
        future: Future[T] = Future()
        self._waiting.append((future, index, lambda txn: operation(txn, *args)))
        self._environment.wait_for_fork()
        with self._environment.lock:
            # Whoever had the lock before may have done this one's work along with its own.
            if not future.done():
                self._commit()
        return future.result()

    def _commit(self) -> None:
        group = [self._waiting.popleft() for _ in range(len(self._waiting))]
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._environment.begin(None, None, True) as txn:
                begin = self._environment.handle.begin  # for children: meanwhile the environment may be opened anew
                for future, index, operation in group:
                    try:
                        outcomes.append((future, self._run(begin, txn, index, operation), None))
                    except Exception as error:
                        outcomes.append((future, None, as_ours(error, self._environment.directory)))
        except Exception as error:
            outcomes = [(future, None, as_ours(error, self._environment.directory)) for future, *_ in group]
            self._environment.recover()
        except BaseException:
            outcomes = [(future, None, KTError("the commit was interrupted")) for future, *_ in group]
            raise
        finally:
            for future, result, failure in outcomes:
                future.set_exception(failure) if failure is not None else future.set_result(result)

    def _run(self, begin: Any, txn: Write, index: int, operation: Callable[[Write], T]) -> T:
        environment = self._environment
        was_full = False
        while True:
            try:
                with begin(environment.dbis[index], txn, True) as attempt:
                    return operation(attempt)
            except RoomNeeded as wanted:
                # Not a child on the logical database: of a transaction's own database `used` asks without a name.
                with begin(None, txn, True, True) as chores:
                    goal = environment.housekeeper.run(chores, wanted)
                    while goal > 0 and (freed := environment.housekeeper.evict(chores, goal)):
                        goal -= freed
            except lmdb.MapFullError:
                if was_full:
                    raise
                was_full = True
                environment.handle.reader_check()  # a killed process may have held on to pages


def as_ours(error: BaseException, directory: Path) -> BaseException:
    """Return the error of our own tree that stands for one of LMDB's; any other is returned as it is."""
    if isinstance(error, lmdb.MapFullError):
        return StoreFull(f"{directory} is full: raise its max_size, or look for a stopped process that reads it")
    # It is an input/output error to LMDB, too, when a part of what it wrote found room.
    if isinstance(error, lmdb.DiskError | lmdb.PanicError) or (
        isinstance(error, lmdb.Error) and str(error).endswith(_SHORT)
    ):
        return StoreFull(f"the file system of {directory} is full, or failing: {error}")
    if isinstance(error, lmdb.Error):
        return Damaged(f"the database {directory} cannot be read: {error}; it is checked when it is opened next")
    return error
