"""Bad days: processes killed and stopped in the middle of their work, full disks, forks under load."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.database.control import RETRY_AT
from kt_core.database.record import NEVER
from kt_core.errors import StoreFull
from tests import small_disk
from tests.database.threads import in_threads
from tests.processes import ROOT, python, running

_STOPPED_IN_A_READ = """
import os, signal, sys
from kt_core.database import DatabaseOptions, Environment
environment = Environment.open(sys.argv[1], DatabaseOptions(max_size=int(sys.argv[2])))
txn = environment.begin(environment.dbis[0])
before = txn.get(b"key")
print("reading", flush=True)
os.kill(os.getpid(), signal.SIGSTOP)
assert txn.get(b"key") == before
txn.abort()
print("done", flush=True)
sys.stdin.readline()
"""

_COUNT = """
import sys, threading
from kt_core.database import Database, DatabaseOptions, Environment, Origin
database = Database(Environment.open(sys.argv[1], DatabaseOptions(durability=sys.argv[2])))
def count():
    for _ in range(int(sys.argv[3])):
        database.increment(b"count", 1, Origin.TRY)
threads = [threading.Thread(target=count) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""


@pytest.mark.parametrize(("durability", "kills"), [("process", 200), ("commit", 50)])
def test_killed_writers_leave_nothing_torn_or_lost(tmp_path: Path, durability: str, kills: int) -> None:
    """SIGKILL at random instants: acknowledged values are there, whole; no lock is stuck, no reader slot is lost."""
    found = json.loads(python("-m", "tests.database.crashing", tmp_path / "db", kills, durability))

    assert found.pop("writes") > kills
    assert found.pop("readers") <= 40
    assert found == {"kills": kills, "torn": 0, "stale": 0, "died": 0}


class TestStoppedReader:
    """A process stopped inside a read holds on to all pages it can see, until others find the map full."""

    SIZE = 2 << 20

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EmbeddedStore]:
        environment = Environment.open(tmp_path / "db", DatabaseOptions(max_size=self.SIZE))
        yield EmbeddedStore(Database(environment))
        environment.close()

    def test_no_exception_and_nothing_stale(self, store: EmbeddedStore, tmp_path: Path) -> None:
        environment = store._environment
        store.set(b"key", b"before", None)
        with running(_STOPPED_IN_A_READ, tmp_path / "db", self.SIZE) as reader:
            assert reader.stdout is not None
            assert reader.stdin is not None
            assert reader.stdout.readline() == "reading\n"
            os.waitpid(reader.pid, os.WUNTRACED)

            number = 0
            while not environment.bypassed:
                number += 1
                store.set(b"key", b"%d" % number, None)
                store.set(b"other%d" % number, b"x" * 1000, None)
                assert store.get(b"key") in (b"%d" % number, None)
            store.set(b"key", b"after", None)
            assert store.get(b"key") is None
            assert store.get_many([b"key"]) == {}
            assert store.add(b"key", b"added", None) is False
            assert store.touch(b"key", 10) is False
            assert store.incr(b"count", 1) is None
            assert store.incr(b"count", 1, initial=5) == 6
            assert store.delete(b"key") is False
            assert store.compare_and_set(b"key", b"before", b"x") is False
            assert store.keys() == []
            assert store.clear_prefix(b"") == 0
            store.clear()

            os.kill(reader.pid, signal.SIGCONT)
            assert reader.stdout.readline() == "done\n"
            environment.words[RETRY_AT] = 0  # no need to wait for the next attempt
            store.set(b"key", b"again", None)
            assert store.get(b"key") == b"again"
            assert store.keys() == [b"key"]
            assert not environment.bypassed

    def test_a_killed_one_is_noticed(self, store: EmbeddedStore, tmp_path: Path) -> None:
        """The pages that a reader held on to are free again as soon as somebody needs them."""
        with running(_STOPPED_IN_A_READ, tmp_path / "db", self.SIZE) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            reader.kill()
            reader.wait()
            for number in range(3000):
                store.set(b"key%d" % number, b"x" * 1000, None)
                assert store.get(b"key%d" % number) == b"x" * 1000


@pytest.mark.parametrize(("durability", "each"), [("process", 2000), ("commit", 25)])
def test_threads_and_processes_count_to_the_exact_sum(tmp_path: Path, durability: str, each: int) -> None:
    options = DatabaseOptions(durability="commit" if durability == "commit" else "process")
    environment = Environment.open(tmp_path / "db", options)
    database = Database(environment)
    database.increment(b"count", 0)

    def count() -> None:
        for _ in range(each):
            database.increment(b"count", 1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    others = [
        subprocess.Popen([sys.executable, "-c", _COUNT, tmp_path / "db", durability, str(each)], cwd=ROOT)
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0, 0, 0]

    assert database.increment(b"count", 0) == (4 + 3 * 4) * each
    environment.close()


_ON_A_FULL_DISK = """
import json, logging, os, sys
from pathlib import Path
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import KTError
place, durability = Path(sys.argv[1]), sys.argv[2]
eviction = "none" if durability == "commit" else "lru"
options = DatabaseOptions(max_size=64 << 20, durability=durability, eviction=eviction)
try:
    store = EmbeddedStore(Database(Environment.open(place / "db", options)))
except KTError as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
refused = wrong = 0
def write(count):
    global refused, wrong
    for number in range(count):
        key, value = b"key%d" % (number % 4000), b"%d" % number * 60
        try:
            store.set(key, value, None)
        except KTError:
            refused += 1
        else:
            wrong += store.get(key) != value
write(2000)
with filled(place):
    write(40000)
before = refused
write(2000)
print(json.dumps({"refused": refused, "refused_after": refused - before, "wrong": wrong}))
"""


class TestFullDisk:
    """No signal, no exception for a cache, a clear one for a durable store; and all is well once there is room."""

    def test_a_cache_goes_on_within_what_it_has(self, tmp_path: Path) -> None:
        found = small_disk.run(_ON_A_FULL_DISK, tmp_path, "24m", "process")
        assert found == {"refused": 0, "refused_after": 0, "wrong": 0}

    def test_a_durable_store_refuses_and_loses_nothing(self, tmp_path: Path) -> None:
        found = small_disk.run(_ON_A_FULL_DISK, tmp_path, "2m", "commit")
        assert found["refused"] != 0
        assert found["refused_after"] == found["wrong"] == 0

    def test_no_room_even_to_begin(self, tmp_path: Path) -> None:
        found = small_disk.run(_ON_A_FULL_DISK, tmp_path, "1m", "process")
        assert "no room" in str(found["refused"])


class TestLastPageNotWritten:
    """A disk that takes the records, and not the page that says where they are: LMDB gives up, and is opened anew."""

    @pytest.fixture
    def database(self, tmp_path: Path) -> Iterator[Database]:
        options = DatabaseOptions(max_size=4 << 20, durability="commit", eviction="none", databases=2)
        environment = Environment.open(tmp_path / "db", options)
        yield Database(environment)
        environment.close()

    @staticmethod
    def fill(directory: Path) -> None:
        """Let the next commit fail at its end: what is written to the synchronous descriptor finds no room."""
        full = os.open("/dev/full", os.O_RDWR)
        for number in map(int, os.listdir("/proc/self/fd")):
            with suppress(OSError):  # the one that listed them
                name = os.readlink(f"/proc/self/fd/{number}")
                if name == str(directory / "data.mdb") and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_DSYNC:
                    os.dup2(full, number)
        os.close(full)

    def test_a_write_is_refused_and_all_is_served_again(self, database: Database) -> None:
        environment = database.environment
        database.set(b"key", b"before")
        for number in range(3):
            self.fill(environment.directory)
            with pytest.raises(StoreFull, match="No space left"):
                database.set(b"key", b"lost")
            assert (database.get(b"key"), database.count()) == (b"before", 1 + number)
            database.set(b"%d" % number, b"after")
        assert list(database.keys()) == [b"0", b"1", b"2", b"key"]
        environment.close()
        again = Database(Environment.open(environment.directory, environment.options))
        assert again.get_bulk([b"key", b"2"]) == {b"key": b"before", b"2": b"after"}

    @pytest.mark.parametrize(
        "use",
        [
            lambda database: database.get(b"key") == b"value",
            lambda database: database.check(b"key") == (5, NEVER),
            lambda database: database.get_bulk([b"key"]) == {b"key": b"value"},
            lambda database: database.find_all([b"key"]) == [(b"value", NEVER)],
            lambda database: list(database.keys()) == [b"key"],
            lambda database: database.cursor().jump_to(b"key"),
            lambda database: database.vacuum() == 0,
            lambda database: database.environment.synchronize() is None,
            lambda database: database.increment(b"count", 1) == 1,
        ],
    )
    def test_whatever_is_done_next(self, database: Database, use: Callable[[Database], bool]) -> None:
        database.set(b"key", b"value")
        self.fill(database.environment.directory)
        with pytest.raises(StoreFull):
            database.set(b"key", b"lost")
        assert use(database)

    def test_chores_that_meet_it_are_refused_too(self, database: Database) -> None:
        database.set(b"key", b"value", 1)
        database.set(b"other", b"value")
        self.fill(database.environment.directory)
        with pytest.raises(StoreFull):
            database.vacuum()
        assert database.get(b"other") == b"value"
        assert database.vacuum() == 1

    def test_threads_that_read_meanwhile_notice_nothing(self, database: Database) -> None:
        database.set(b"key", b"value")
        refused = []

        def work(index: int) -> None:
            for _ in range(30):
                if index:
                    assert database.get(b"key") == b"value"
                    assert database.get_bulk([b"key"]) == {b"key": b"value"}
                    continue
                self.fill(database.environment.directory)
                try:
                    database.set(b"other", b"value")
                except StoreFull as error:
                    refused.append(error)

        in_threads(4, work)
        assert refused


_BUSY_FORKS = """
import os, sys, threading
from kt_core.database import Database, DatabaseOptions, Environment
database = Database(Environment.open(sys.argv[1], DatabaseOptions(durability=sys.argv[2])))
database.set(b"key", b"value")
ended = threading.Event()
def work(step):
    while not ended.is_set():
        step()
def walk():
    assert list(database.keys(b"key")) == [b"key"]
def read():
    assert database.get(b"key") == b"value" and database.get_bulk([b"key"])
steps = [read, walk, lambda: database.increment(b"count", 1), lambda: database.cursor().jump()]
threads = [threading.Thread(target=work, args=(step,)) for step in steps]
[thread.start() for thread in threads]
for _ in range(30):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            read()
            database.increment(b"children", 1)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
ended.set()
[thread.join() for thread in threads]
assert database.increment(b"children", 0) == 30
"""


@pytest.mark.parametrize("durability", ["process", "commit"])
def test_a_fork_gets_its_turn_among_busy_threads(tmp_path: Path, durability: str) -> None:
    python("-W", "ignore::DeprecationWarning", "-c", _BUSY_FORKS, tmp_path / "db", durability, timeout=60)


_NOISE = """
import logging, random, sys
from pathlib import Path
from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
logging.disable()
directory, seed = Path(sys.argv[1]), int(sys.argv[2])
options = DatabaseOptions(max_size=4 << 20)
environment = Environment.open(directory, options)
database = Database(environment)
database.set_bulk([(b"key%d" % number, b"value" * 20, 1 << 60) for number in range(5000)])
used = environment.handle.info()["last_pgno"]
environment.close()
rnd = random.Random(seed)
with open(directory / "data.mdb", "r+b") as file:
    for _ in range(used // 4):
        file.seek(rnd.randrange(2, used) * 4096)
        file.write(bytes(16) if seed % 2 else rnd.randbytes(4096))
try:
    environment = Environment.open(directory, options)
except Exception:
    sys.exit("a cache was not opened")
store = EmbeddedStore(Database(environment))
for number in range(5000):
    assert store.get(b"key%d" % number) in (None, b"value" * 20)
store.get_many([b"key%d" % number for number in range(5000)])
for number in range(5000):
    store.set(b"key%d" % number, b"new" * 30, None)
    assert store.get(b"key%d" % number) in (None, b"new" * 30)
store.keys()
environment.close()
store = EmbeddedStore(Database(Environment.open(directory, options)))
store.set(b"key", b"again", None)
assert store.get(b"key") == b"again"
"""


@pytest.mark.parametrize("seed", range(4))
def test_damaged_pages_reach_no_user_of_a_cache(tmp_path: Path, seed: int) -> None:
    """What is not seen at the open, because only the roots are looked at, is found later: the cache is empty then."""
    python("-c", _NOISE, tmp_path / "db", seed)
