"""Writers that come while one waits for the disk share the next fsync."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lmdb
import pytest

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.database.environment import Write
from kt_core.database.group import as_ours
from kt_core.database.housekeeping import RoomNeeded
from kt_core.errors import Damaged, NotACounter, StoreFull
from tests.processes import python

from .threads import in_threads

_FORK_WITH_A_WRITE_QUEUED = """
import os, sys, threading
queued = []
def queue_a_write():
    # Being registered before the database's own, it runs once that has taken its lock for the fork.
    queued.append(threading.Thread(target=database.increment, args=(b"count", 1)))
    queued[0].start()
    while not environment._group._waiting:
        pass
os.register_at_fork(before=queue_a_write)
from kt_core.database import Database, DatabaseOptions, Environment
environment = Environment.open(sys.argv[1], DatabaseOptions(durability="commit"))
database = Database(environment)
pid = os.fork()
if pid == 0:
    database.set(b"child", b"wrote")
    os._exit(0)
os.waitpid(pid, 0)
queued[0].join()
print(database.increment(b"count", 0), database.get(b"child"))
"""


@pytest.fixture
def options() -> DatabaseOptions:
    return DatabaseOptions(max_size=4 << 20, durability="commit")


def test_those_who_wait_share_a_transaction(database: Database, environment: Environment) -> None:
    database.set(b"count", bytes(8))
    before = environment.handle.info()["last_txnid"]
    with ThreadPoolExecutor(5) as pool:
        with environment.lock:
            group = environment._group
            assert group is not None
            futures = [pool.submit(database.increment, b"count", 1) for _ in range(5)]
            while len(group._waiting) < 5:
                threading.Event().wait(0.001)
        assert {future.result() for future in futures} == {1, 2, 3, 4, 5}
    assert environment.handle.info()["last_txnid"] == before + 1


def test_one_that_fails_disturbs_no_other(database: Database) -> None:
    database.set(b"text", b"no counter")
    database.set(b"full", b"kept")

    def work(index: int) -> None:
        for _ in range(10):
            if index % 3 == 0:
                with pytest.raises(NotACounter):
                    database.increment(b"text", 1)
            elif index % 3 == 1:
                with pytest.raises(StoreFull):
                    database.set(b"full", bytes(2 << 20))
            else:
                database.increment(b"count", 1)

    in_threads(6, work)
    assert database.increment(b"count", 0) == 20
    assert database.get(b"text") == b"no counter"
    assert database.get(b"full") == b"kept"


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (lmdb.MapFullError("mdb_put: MDB_MAP_FULL"), StoreFull),
        (lmdb.DiskError("mdb_txn_commit: No space left on device"), StoreFull),
        (lmdb.Error("mdb_txn_commit: Input/output error"), StoreFull),  # what LMDB says of a write that was cut short
        (lmdb.PanicError("mdb_txn_begin: MDB_PANIC"), StoreFull),  # and of the next one, where the end was not written
        (lmdb.CorruptedError("mdb_get: MDB_CORRUPTED"), Damaged),
        (ValueError("not LMDB's"), ValueError),
    ],
)
def test_a_full_disk_is_told_from_damage(error: Exception, ours: type[Exception]) -> None:
    assert type(as_ours(error, Path("/somewhere"))) is ours


def test_what_found_the_map_full_may_want_room_afterwards(environment: Environment) -> None:
    """The first attempt has used up what it was granted."""
    refusals = [lmdb.MapFullError("full"), RoomNeeded(24, 24, 2072), RoomNeeded(24, 24, 4000)]

    def operation(txn: Write) -> str:
        if refusals:
            raise refusals.pop(0)
        txn.put(b"key", bytes(16))
        return "done"

    assert environment.write(0, operation) == "done"


def test_a_fork_leaves_queued_writes_to_the_parent(directory: Path) -> None:
    """Both copies have them in their queue; they are done once."""
    assert python("-c", _FORK_WITH_A_WRITE_QUEUED, directory) == "1 b'wrote'\n"
