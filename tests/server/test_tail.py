"""The end of the log in durable databases: failures of power, which take of the log what was not synchronized."""

from __future__ import annotations

import os
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest

from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import StoreFull
from kt_core.server.journal import LogJournal
from kt_core.server.marks import LOGGED, Marks
from kt_core.server.tail import Tail
from kt_core.server.updates import UpdateLog
from kt_core.wire.kt_log import HEADER_SIZE, LogHeader, encode_entry, encode_header, encode_payload
from tests.clock import Clock
from tests.server.exchange import connect
from tests.server.running import serving
from tests.server.test_journal import changes, entries, never

SID = 9
SECTOR = 64  # bytes that are on a disk or not; a small one tears more


class Disk:
    """What of the log's files would be left after a failure of power."""

    def __init__(self) -> None:
        self.synchronized: dict[int, bytes] = {}
        self.count = 0
        self.fails = False

    def synchronize(self, file: int) -> None:
        if self.fails:
            raise OSError(5, "broken")
        self.count += 1
        self.synchronized[os.fstat(file).st_ino] = os.pread(file, 1 << 24, 0)

    def fail(self, path: Path, chance: random.Random) -> None:
        """Leave of a file what was synchronized, and any of the rest."""
        now, sure = path.read_bytes(), self.synchronized.get(path.stat().st_ino, b"")
        size = chance.choice([len(sure), chance.randint(len(sure), max(len(now), len(sure))), len(now)])
        then = sure.ljust(size, b"\0")
        now = now.ljust(len(then), b"\0")
        share = chance.choice([0.0, 0.5, 1.0])
        starts = [0, *range(HEADER_SIZE, size, SECTOR)]
        left = [
            (now if chance.random() < share else then)[a:b] for a, b in zip(starts, [*starts[1:], size], strict=True)
        ]
        path.write_bytes(b"".join(left)[:size])


def _open(directory: Path, durability: Literal["commit", "process"]) -> Environment:
    return Environment.open(directory, DatabaseOptions(1 << 26, durability, "none", databases=2))


class Node:
    """Databases with one log: the first are durable."""

    def __init__(
        self, directory: Path, durable: int = 1, others: int = 0, *, limit: int = 1 << 20, clock: float = 0
    ) -> None:
        self.directory = directory / "log"
        self.disk = Disk()
        self.databases: list[Database] = []
        self._limit = limit
        self._clock = Clock(Clock().seconds + clock)
        self._stack = ExitStack()
        durabilities: list[Literal["commit", "process"]] = [*["commit"] * durable, *["process"] * others]  # type: ignore[list-item]
        self._environments = [
            Environment.open(
                directory / str(number), DatabaseOptions(1 << 26, durability, databases=2, eviction="none")
            )
            for number, durability in enumerate(durabilities)
        ]
        for environment in self._environments:
            self._stack.callback(environment.close)
        self.marks = [Marks(environment) for environment in self._environments]
        self.tails = [Tail(*each) for each in zip(self._environments[:durable], self.marks, strict=False)]
        self.start()

    def start(self) -> None:
        """Begin, as a server does."""
        log = self.log = UpdateLog(
            self.directory, SID, limit=self._limit, clock=self._clock, synchronize=self.disk.synchronize
        )
        log.recover(
            {number: marks.get(LOGGED) for number, marks in enumerate(self.marks)},
            [piece for tail in self.tails for piece in tail.pieces()],
        )
        for tail in self.tails:
            tail.clear()
        self.tails = [Tail(*each) for each in zip(self._environments[: len(self.tails)], self.marks, strict=False)]
        self.databases = []
        for number, (environment, marks) in enumerate(zip(self._environments, self.marks, strict=True)):
            own = self.tails[number] if number < len(self.tails) else None
            journal = LogJournal(environment, log, number, marks, own, expires=True)
            self.databases.append(Database(environment, 0, journal))

    def fall(self, chance: random.Random) -> None:
        """Lose what is not on the disk, and start again."""
        self.log.close()
        # Of what is not durable, any file may lack something.
        for number in self.log.numbers()[-1 if len(self.databases) > len(self.tails) else 0 :]:
            self.disk.fail(self.log.path(number), chance)
        self.start()

    def begin_nothing(self, value: bytes, *, withdraw: bool) -> None:
        """Write to the log what is never committed."""
        with self.log.lock:
            ts = self.log.stamp(1)
            entry = encode_entry(ts, encode_payload(SID, never(b"never", value)))
            self.log.append(entry, ts, SID, durable=True)
            if withdraw:
                self.log.withdraw()

    def keys(self) -> list[tuple[int, bytes]]:
        """Return the databases and keys of what the log tells."""
        told = list(entries(self.directory))
        assert [ts for ts, _, _ in told] == sorted({ts for ts, _, _ in told})
        return [(change.db, change.key) for _, _, change in told]  # type: ignore[union-attr]

    def close(self) -> None:
        self.log.close()
        self._stack.close()


@pytest.mark.parametrize("seed", range(int(os.environ.get("FALLS", "8"))))
def test_nothing_that_was_acknowledged_is_lost_and_nothing_invented(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    node = Node(tmp_path, 2, chance.choice([0, 1]), limit=chance.choice([1 << 20, 4000]))
    done: list[tuple[int, bytes]] = []
    for fall in range(3):
        for step in range(chance.choice([3, 50])):
            number = chance.randrange(len(node.databases))
            key = b"%d/%d" % (fall, step)
            node.databases[number].set(key, b"v" * chance.choice([1, 50, 50, 40_000 if step % 9 == 0 else 9]))
            done.append((number, key))
            if chance.random() < 0.1:
                node.begin_nothing(b"v" * chance.choice([1, 50]), withdraw=True)
        if chance.random() < 0.5:
            node.begin_nothing(b"v", withdraw=False)
        node.fall(chance)
        told = node.keys()
        assert [each for each in told if each[0] < 2] == [each for each in done if each[0] < 2]
        assert [each for each in told if each[0] == 2] == [each for each in done if each in told and each[0] == 2]
        done = told
    node.close()


def test_what_is_not_durable_may_be_lost_in_between(tmp_path: Path) -> None:
    node = Node(tmp_path, 1, 1)
    ends = []
    for number, key in enumerate((b"a", b"b", b"c")):
        node.databases[number % 2].set(key, b"v")
        ends.append(node.log.end.offset)
    node.log.close()
    path = node.log.path(1)
    path.write_bytes(path.read_bytes()[: ends[0]].ljust(ends[2], b"\0"))
    node.start()
    assert node.keys() == [(0, b"a"), (0, b"c")]
    node.close()


def test_the_log_rarely_waits_for_the_disk(tmp_path: Path) -> None:
    node = Node(tmp_path)
    before = node.disk.count
    for number in range(99):
        node.databases[0].set(b"%d" % number, b"v")
    assert node.disk.count - before == 3
    node.databases[0].set(b"large", bytes(100_000))
    assert node.disk.count - before == 4
    assert max(len(piece.entries) for piece in node.tails[0].pieces()) < 100
    node.close()


def test_what_was_withdrawn_is_off_the_disk_before_something_else_is_in_its_place(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.begin_nothing(b"v", withdraw=True)
    before = node.disk.count
    node.databases[0].set(b"a", b"v")
    node.databases[0].set(b"b", b"v")
    assert node.disk.count - before == 1
    node.close()


def test_after_a_failure_of_the_disk_nothing_is_changed_until_the_next_start(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.databases[0].set(b"a", b"v")
    node.disk.fails = True
    for _ in range(2):
        with pytest.raises(StoreFull, match="update log"):
            node.databases[0].set(b"large", bytes(100_000))
        node.disk.fails = False
    node.fall(random.Random(0))
    node.databases[0].set(b"b", b"v")
    assert node.keys() == [(0, b"a"), (0, b"b")]
    node.close()


def test_what_belongs_to_another_log_is_not_written_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = Node(tmp_path)
    for key in (b"a", b"b"):
        node.databases[0].set(key, b"v")
    node.log.close()
    mine = node.directory / "0000000001.ulog"
    other = Node(tmp_path / "other", clock=-5)
    other.databases[0].set(b"x", b"other")
    mine.write_bytes((other.directory / "0000000001.ulog").read_bytes())
    node.start()
    assert node.keys() == [(0, b"x")]
    assert "ends before the last change" in caplog.text
    assert node.tails[0].pieces() == []
    node.close()
    other.close()


def test_a_database_that_lost_its_last_transaction_has_the_log_lose_it(tmp_path: Path) -> None:
    directory, path = tmp_path / "a.kct", tmp_path / "log" / "0000000001.ulog"
    options = {"sid": SID, "log_directory": tmp_path / "log"}
    with serving(f"{directory}#max_size=4m", **options) as server, connect(server) as wire:
        wire.call("set", key="a", value="1")
        before = {each: each.read_bytes() for each in directory.iterdir()}
        header = path.read_bytes()[:HEADER_SIZE]
        wire.call("set", key="b", value="2")
    log = path.read_bytes()
    for each, content in before.items():
        each.write_bytes(content)
    path.write_bytes(header + log[HEADER_SIZE:])
    with serving(f"{directory}#max_size=4m", **options) as server, connect(server) as wire:
        assert wire.call("get", key="b").status == 450
        wire.call("set", key="c", value="3")
    assert changes(tmp_path / "log") == [never(b"a", b"1"), never(b"c", b"3")]


@pytest.mark.parametrize("header", [True, False])
def test_a_server_writes_the_lost_end_of_its_log_again(tmp_path: Path, header: bool) -> None:
    path = tmp_path / "log" / "0000000001.ulog"
    options = {"sid": SID, "log_directory": tmp_path / "log"}
    with serving(str(tmp_path / "a.kct"), **options) as server, connect(server) as wire:
        for number in range(5):
            wire.call("set", key=number, value="v")
    whole = path.read_bytes()
    told = changes(tmp_path / "log")
    assert len(told) == 5
    path.write_bytes(whole[: HEADER_SIZE + 70] if header else encode_header(LogHeader(HEADER_SIZE, 0)))
    for _ in range(2):
        with serving(str(tmp_path / "a.kct"), **options):
            pass
        assert path.read_bytes() == whole
    assert changes(tmp_path / "log") == told
