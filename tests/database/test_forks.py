"""A process that forks: both copies go on, whatever was under way."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.database.options import Durability
from tests.processes import python


def in_child(work: Callable[[], None]) -> None:
    """Do work in a forked child, which has to end well."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_forked_child_and_its_parent_share_the_database(database: Database) -> None:
    database.set(b"key", b"of the parent")

    def work() -> None:
        assert database.get(b"key") == b"of the parent"
        assert database.increment(b"count", 1) == 2
        database.set(b"key", b"of the child")
        assert [key for key, _ in database.scan()] == [b"count", b"key"]
        database.environment.synchronize()

    database.increment(b"count", 1)
    in_child(work)
    assert database.get(b"key") == b"of the child"
    assert database.increment(b"count", 1) == 3


@pytest.mark.parametrize(
    "first",
    [
        lambda database: database.get(b"key") == b"value",
        lambda database: database.get_bulk([b"key"]) == {b"key": b"value"},
        lambda database: database.get_record(b"key") is not None,
        lambda database: database.remove(b"key"),
        lambda database: database.cursor().jump(),
        lambda database: list(database.keys()) == [b"key"],
        lambda database: database.count() == 1,
        lambda database: database.vacuum() == 0,
        lambda database: database.environment.synchronize() is None,
        lambda database: database.environment.counters()["processes"] >= 1,
        lambda database: database.environment.close() is None,
    ],
)
def test_anything_may_come_first_after_a_fork(database: Database, first: Callable[[Database], bool]) -> None:
    """In the child and in the parent."""
    database.set(b"key", b"value")

    def work() -> None:
        assert first(database)

    in_child(work)
    database.set(b"key", b"value")
    in_child(lambda: None)
    assert first(database)


def test_a_child_of_a_database_that_takes_nothing_makes_it_take_again(directory: Path) -> None:
    environment = Environment.open(directory, DatabaseOptions(max_size=4 << 20))
    database = Database(environment)
    environment.enter_bypass()
    in_child(lambda: database.set(b"key", b"value"))
    assert database.get(b"key") == b"value"
    environment.close()


def test_children_of_children_go_on(database: Database) -> None:
    def work(depth: int) -> None:
        database.increment(b"count", 1)
        if depth:
            in_child(lambda: work(depth - 1))
        database.increment(b"count", 1)

    work(3)
    assert database.increment(b"count", 0) == 8


def test_a_child_may_outlive_its_parent(directory: Path, durability: Durability) -> None:
    script = """
import os, sys
from kt_core.database import Database, DatabaseOptions, Environment
database = Database(Environment.open(sys.argv[1], DatabaseOptions(durability=sys.argv[2])))
database.set(b"key", b"parent")
reader, writer = os.pipe()
parent = os.getpid()
if os.fork():
    os.close(writer)
    os._exit(0)
os.close(writer)
while os.getppid() == parent:
    pass
database.set(b"key", b"child")
print(database.get(b"key"))
"""
    assert python("-c", script, directory, durability) == "b'child'\n"


def test_forks_leave_no_descriptor_open(database: Database, descriptors: Callable[[], int]) -> None:
    def work() -> None:
        database.increment(b"count", 1)

    in_child(work)
    work()
    before = descriptors()
    for _ in range(5):
        in_child(work)
        work()
    assert descriptors() <= before


def test_forks_leave_each_process_its_own_counts(database: Database, environment: Environment) -> None:
    """And what ended children counted is kept."""
    for _ in range(10):
        in_child(lambda: [database.get(b"none"), None][1])  # type: ignore[func-returns-value]
        database.get(b"none")
    assert environment.counters()["misses"] == 20
    assert environment.counters()["processes"] == 1


def _increment(database: Database) -> None:
    for _ in range(10):
        database.increment(b"count", 1)


def test_multiprocessing_with_fork(database: Database) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_increment, args=(database,)) for _ in range(3)]
    for process in processes:
        process.start()
    _increment(database)
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert database.increment(b"count", 0) == 40


def test_forks_while_threads_write_and_read(database: Database) -> None:
    """No write is done twice, or lost, and no read fails."""
    stop, each = threading.Event(), 30
    database.set(b"key", b"value")

    def read() -> None:
        while not stop.is_set():
            assert database.get(b"key") == b"value"
            assert database.get_bulk([b"key"]) == {b"key": b"value"}
            assert list(database.keys(b"k")) == [b"key"]

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(lambda: [database.increment(b"count", 1) for _ in range(each)]) for _ in range(2)]
        readers = [pool.submit(read) for _ in range(2)]
        for _ in range(10):
            in_child(lambda: _increment(database))
        for writer in writers:
            writer.result()
        stop.set()
        for reader in readers:
            reader.result()
    assert database.increment(b"count", 0) == 2 * each + 10 * 10


def test_a_removed_directory_is_made_anew_after_a_fork(database: Database, directory: Path) -> None:
    database.set(b"key", b"ours")
    shutil.rmtree(directory)

    def work() -> None:
        assert database.get(b"key") is None
        database.set(b"key", b"new")

    in_child(work)
    assert database.get(b"key") == b"new"
