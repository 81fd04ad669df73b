"""One environment in a process: opened once, used by threads, closed, and made anew."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kt_core.database import NEVER, Database, DatabaseOptions, Environment
from kt_core.database.options import Durability
from kt_core.errors import InvalidInput, Misconfigured, StoreFull
from tests.processes import python, running

from .threads import in_threads

SIZE = 1 << 20

_OTHER = """
import sys
from kt_core.database import Database, DatabaseOptions, Environment
options = DatabaseOptions(max_size=4 << 20, durability=sys.argv[2])
database = Database(Environment.open(sys.argv[1], options))
print(database.get(b"key"))
database.set(b"key", b"theirs")
"""

_STAY_IN_A_WRITE = """
import sys
from kt_core.database import DatabaseOptions, Environment
environment = Environment.open(sys.argv[1], DatabaseOptions(max_size=int(sys.argv[2])))
def wait(txn):
    print("writing", flush=True)
    sys.stdin.readline()
environment.write(0, wait)
print("done", flush=True)
sys.stdin.readline()
"""


# -- options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_size": (1 << 20) - 1}, "max_size is 1048575 bytes: write at least 1048576"),
        ({"max_size": 0}, "max_size is 0 bytes"),
        ({"max_size": -1}, "max_size is -1 bytes"),
        ({"durability": "none"}, "durability is 'none': write one of 'process', 'commit'"),
        ({"eviction": "random"}, "eviction is 'random': write one of 'lru', 'none'"),
        ({"databases": 0}, "databases is 0: write a number from 1 to 200"),
        ({"databases": 201}, "databases is 201"),
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        DatabaseOptions(**wrong)


def test_the_most_databases_can_be_used(directory: Path) -> None:
    environment = Environment.open(directory, DatabaseOptions(max_size=4 << 20, databases=200))
    Database(environment, 199).set(b"key", b"value")
    assert Database(environment, 199).get(b"key") == b"value"
    assert Database(environment, 198).get(b"key") is None
    environment.close()


def test_databases_that_were_made_stay(directory: Path) -> None:
    environment = Environment.open(directory, DatabaseOptions(max_size=SIZE, databases=5))
    Database(environment, 4).set(b"key", b"value")
    environment.close()
    environment = Environment.open(directory, DatabaseOptions(max_size=SIZE))
    assert Database(environment, 4).get(b"key") == b"value"
    environment.close()
    environment = Environment.open(directory, DatabaseOptions(max_size=SIZE, databases=7))
    assert Database(environment, 4).get(b"key") == b"value"
    assert Database(environment, 6).get(b"key") is None
    environment.close()


# -- one in a process ----------------------------------------------------------------------------------


def test_the_same_directory_gives_the_same_environment(
    environment: Environment, directory: Path, options: DatabaseOptions
) -> None:
    (directory.parent / "below").mkdir()
    assert Environment.open(directory, options) is environment
    assert Environment.open(str(directory), options) is environment
    assert Environment.open(directory.parent / "below" / ".." / "db", options) is environment


def test_another_directory_gives_another(environment: Environment, directory: Path, options: DatabaseOptions) -> None:
    other = Environment.open(directory.parent / "other", options)
    assert other is not environment
    other.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"max_size": SIZE}, f"max_size={SIZE} .open with {4 * SIZE}."),
        ({"eviction": "none"}, "eviction='none' .open with 'lru'."),
    ],
)
def test_the_same_directory_with_other_options_is_refused(
    environment: Environment, directory: Path, options: DatabaseOptions, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(Misconfigured, match=message):
        Environment.open(directory, replace(options, **changed))


def test_more_databases_are_made_and_fewer_are_no_other_options(
    environment: Environment, options: DatabaseOptions
) -> None:
    assert Environment.open(environment.directory, replace(options, databases=1)) is environment
    assert Environment.open(environment.directory, replace(options, databases=6)) is environment
    Database(environment, 5).set(b"key", b"value")
    assert Database(environment, 5).get(b"key") == b"value"
    assert Database(environment, 4).get(b"key") is None
    with pytest.raises(InvalidInput):
        Database(environment, 6)


def test_threads_that_open_at_once_get_the_same(directory: Path, options: DatabaseOptions) -> None:
    found: list[Environment] = []
    in_threads(8, lambda _: found.append(Environment.open(directory, options)))
    assert len({*found}) == 1
    found[0].close()


def test_what_is_closed_keeps_its_records(directory: Path, options: DatabaseOptions) -> None:
    environment = Environment.open(directory, options)
    Database(environment).set(b"key", b"value")
    environment.close()
    again = Environment.open(directory, options)
    assert again is not environment
    assert Database(again).get(b"key") == b"value"
    again.close()


@pytest.mark.parametrize(
    "use",
    [
        lambda database: database.get(b"key"),
        lambda database: database.get_bulk([b"key"]),
        lambda database: database.get_record(b"key"),
        lambda database: database.set(b"key", b"value"),
        lambda database: database.cursor().jump(),
        lambda database: list(database.keys()),
        lambda database: database.count(),
        lambda database: database.vacuum(),
        lambda database: database.environment.synchronize(),
    ],
)
def test_what_is_closed_cannot_be_used(
    directory: Path, options: DatabaseOptions, use: Callable[[Database], object]
) -> None:
    environment = Environment.open(directory, options)
    environment.close()
    with pytest.raises(InvalidInput, match="has been closed"):
        use(Database(environment))


def test_closing_twice_is_harmless(directory: Path, options: DatabaseOptions) -> None:
    """A number that was closed twice would by then belong to somebody else's file."""
    environment = Environment.open(directory, options)
    environment.close()
    pipes = [*os.pipe(), *os.pipe()]
    environment.close()
    for descriptor in pipes:
        os.close(descriptor)


def test_closing_again_leaves_a_new_one_open(directory: Path, options: DatabaseOptions) -> None:
    closed = Environment.open(directory, options)
    closed.close()
    environment = Environment.open(directory, options)
    closed.close()
    assert Environment.open(directory, options) is environment
    environment.close()


def test_all_below_a_directory_are_closed(directory: Path, options: DatabaseOptions) -> None:
    below, deeper, beside = (Environment.open(directory / name, options) for name in ("a/b", "a/b/c", "a/bc"))
    Environment.close_below(directory / "a" / "b")
    for closed in (below, deeper):
        with pytest.raises(InvalidInput, match="has been closed"):
            Database(closed).count()
    assert Database(beside).count() == 0
    beside.close()


def test_opening_and_closing_leaves_no_descriptor_open(
    directory: Path, options: DatabaseOptions, descriptors: Callable[[], int]
) -> None:
    before = descriptors()
    for _ in range(3):
        environment = Environment.open(directory, options)
        Database(environment).set(b"key", b"value")
        environment.close()
    del environment  # others may have been reading from what it has mapped
    assert descriptors() <= before


def test_synchronizing_writes_all(environment: Environment, database: Database) -> None:
    database.set(b"key", b"value")
    environment.synchronize()
    assert database.get(b"key") == b"value"


# -- writing ------


def test_threads_count_to_the_exact_sum(database: Database) -> None:
    in_threads(8, lambda _: [database.increment(b"count", 1) for _ in range(10)])
    assert database.increment(b"count", 0) == 80


def test_threads_work_on_the_same_records(database: Database) -> None:
    def work(index: int) -> None:
        for number in range(20):
            key = b"%d" % (number % 3)
            database.set(key, b"%d" % index)
            assert database.get(key) is not None
            database.append(b"log", b"x")
            assert database.add(b"%d/%d" % (index, number), b"")
            assert len(list(database.scan(b"%d/" % index))) == number + 1

    in_threads(6, work)
    assert database.get(b"log") == b"x" * 120
    assert database.count() == 4 + 120


def test_an_operation_that_fails_changes_nothing(database: Database, environment: Environment) -> None:
    def fail(txn: Any) -> None:
        txn.put(b"key", bytes(30))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        environment.write(0, fail)
    assert database.get(b"key") is None
    assert not environment.lock.locked()
    assert database.increment(b"count", 1) == 1


def test_an_interrupted_operation_changes_nothing(database: Database, environment: Environment) -> None:
    def interrupt(txn: Any) -> None:
        txn.put(b"key", bytes(30))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        environment.write(0, interrupt)
    assert database.get(b"key") is None
    assert not environment.lock.locked()
    assert database.increment(b"count", 1) == 1


def test_a_full_database_that_evicts_nothing_keeps_all_it_has(directory: Path, durability: Durability) -> None:
    options = DatabaseOptions(max_size=SIZE, durability=durability, eviction="none")
    environment = Environment.open(directory, options)
    database = Database(environment)
    stored: dict[bytes, bytes] = {}
    with pytest.raises(StoreFull):  # noqa: PT012
        for number in range(2000):
            database.set(b"%d" % number, b"%d" % number * 300)
            stored[b"%d" % number] = b"%d" % number * 300
    assert database.size() > SIZE * 0.55
    with pytest.raises(StoreFull):
        database.set_bulk([(b"bulk%d" % number, bytes(1000), NEVER) for number in range(50)], atomic=True)
    assert dict(database.scan()).keys() == stored.keys()
    assert database.get_bulk(list(stored)) == stored

    assert database.remove_bulk(list(stored)[:100]) == 100
    database.set(b"new", bytes(1000))
    database.clear()
    database.set(b"new", bytes(1000))
    assert database.count() == 1
    environment.close()


# -- waiting -------------------------------------------------------------------------------------------


def test_only_a_durable_write_may_wait_when_nobody_writes(environment: Environment, database: Database) -> None:
    database.set(b"key", b"value")
    assert environment.may_wait() is (environment.options.durability == "commit")


def test_a_write_may_wait_while_this_process_writes(environment: Environment) -> None:
    assert environment.write(0, lambda txn: environment.may_wait()) is True


def test_a_write_may_wait_while_another_process_writes(directory: Path) -> None:
    environment = Environment.open(directory, DatabaseOptions(max_size=SIZE))
    with running(_STAY_IN_A_WRITE, directory, SIZE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "writing\n"
        assert environment.may_wait()
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"
        assert not environment.may_wait()
    environment.close()


def test_a_writer_that_is_killed_keeps_nobody_waiting(directory: Path) -> None:
    environment = Environment.open(directory, DatabaseOptions(max_size=SIZE))
    with running(_STAY_IN_A_WRITE, directory, SIZE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "writing\n"
        other.kill()
        other.wait()
    Database(environment).set(b"key", b"value")
    assert Database(environment).get(b"key") == b"value"
    assert not environment.may_wait()
    environment.close()


# -- a directory that is removed -----------------------------------------------------------------------


def test_a_removed_directory_is_made_anew(
    database: Database, environment: Environment, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database.set(b"key", b"ours")
    shutil.rmtree(directory)
    with caplog.at_level(logging.ERROR, "kt_core.database"):
        for number in range(5000):
            database.set(b"%d" % number, bytes(20_000))
            if directory.exists():
                break
    assert "was removed while in use; it is made anew" in caplog.text
    database.set(b"key", b"new")
    assert python("-c", _OTHER, directory, environment.options.durability) == "b'new'\n"
    assert database.get(b"key") == b"theirs"
    assert environment.counters()["processes"] == 1
