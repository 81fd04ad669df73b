"""Servers that follow each other: every change arrives once and in its order, and they go on where they were."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import Misconfigured
from kt_core.server import Server
from kt_core.wire.kt_binary import XT_MAX
from kt_core.wire.kt_log import (
    ACK,
    Heartbeat,
    LogRecord,
    Message,
    Progress,
    Set,
    Subscribe,
    SubscribeDecoder,
    encode_message,
)
from tests.server.exchange import Wire, connect
from tests.server.listening import Listening
from tests.server.nodes import await_
from tests.server.running import in_loop, serving
from tests.server.test_journal import entries

NEVER = XT_MAX


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


class Place:
    """Where servers are that follow each other."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path = path
        self._stack = stack

    def server(self, sid: int, *databases: str, master: int | None = None, log: bool = True, **options: Any) -> Any:
        """Return a server that may follow one on another port, with its files under its number."""
        more: dict[str, Any] = {"sid": sid, "time_path": self.path / f"rts{sid}"}
        if log:
            more["log_directory"] = self.path / f"log{sid}"
        if master is not None:
            more["master"] = ("127.0.0.1", master)
        return serving(*(databases or ("%", "*")), **{**more, **options})

    def start(self, sid: int, *databases: str, **options: Any) -> Server:
        """Start one that runs to the end of the test."""
        started: Server = self._stack.enter_context(self.server(sid, *databases, **options))
        return started

    def time(self, sid: int) -> int:
        """Return what the time file of a server says."""
        return int((self.path / f"rts{sid}").read_text())


def records(server: Server, number: int = 0) -> dict[bytes, tuple[bytes, int]]:
    served = server.databases[number]
    return {key: (value, served.xt(expiry)) for key, (value, expiry) in served.database.scan()}


def arrives(server: Server, key: bytes, value: bytes | None, number: int = 0) -> None:
    await_(lambda: server.databases[number].database.get(key) == value)


def change(server: Server, *calls: tuple[str, dict[str, Any]]) -> None:
    with connect(server) as wire:
        for procedure, parameters in calls:
            assert wire.call(procedure, **parameters).status == 200


def put(server: Server, key: str, value: str = "v", **more: Any) -> None:
    change(server, ("set", {"key": key, "value": value, **more}))


# --- Following a server


def test_every_change_arrives(place: Place) -> None:
    master = place.start(1, "%", "%#ktopts=p")
    put(master, "before")
    slave = place.start(2, "%", "%#ktopts=p", master=master.port, log=False)
    change(
        master,
        ("set", {"key": "k", "value": "v", "xt": 100}),
        ("append", {"key": "a", "value": "1"}),
        ("append", {"key": "a", "value": "2"}),
        ("increment", {"key": "n", "num": 5}),
        ("set", {"key": "gone", "value": "v"}),
        ("remove", {"key": "gone"}),
        ("set", {"key": "z" * 600, "value": "long"}),
        ("set", {"key": "p", "value": "plain", "DB": 1}),
        ("set", {"key": "last", "value": "v"}),
    )
    arrives(slave, b"last", b"v")
    assert records(slave) == records(master)
    assert len(records(slave)) == 6
    assert records(slave, 1) == records(master, 1) != {}
    change(master, ("clear", {"DB": 1}), ("set", {"key": "more", "value": "v"}))
    arrives(slave, b"more", b"v")
    assert records(slave, 1) == {}


def test_a_chain(place: Place) -> None:
    first = place.start(1)
    second = place.start(2, master=first.port)
    third = place.start(3, master=second.port)
    put(first, "a")
    put(second, "b")
    for key in (b"a", b"b"):
        arrives(third, key, b"v")
    assert second.databases[0].database.get(b"b")
    assert first.databases[0].database.get(b"b") is None


def test_two_that_follow_each_other(place: Place) -> None:
    first = place.start(1)
    second = place.start(2, master=first.port)
    change(first, ("tune_replication", {"host": "127.0.0.1", "port": second.port}))
    for number in range(20):
        put(first, f"first{number}")
        put(second, f"second{number}")
    for server in (first, second):
        await_(lambda server=server: len(records(server)) == 40)  # type: ignore[misc]
    assert records(first) == records(second)
    put(first, "end")
    arrives(second, b"end", b"v")
    logs = [server.updates for server in (first, second)]
    sizes = [log.end for log in logs if log is not None]
    put(second, "other end")
    arrives(first, b"other end", b"v")
    assert sizes[0].offset < 3000  # nothing goes round and round


def test_it_goes_on_where_it_was(place: Place) -> None:
    master = place.start(1)
    path = str(place.path / "s.kct")
    for number in range(3):
        with place.server(2, path, "*", master=master.port) as slave:
            put(master, f"during{number}")
            arrives(slave, b"during%d" % number, b"v")
        put(master, f"between{number}")
    with place.server(2, path, "*", master=master.port) as slave:
        arrives(slave, b"between2", b"v")
        assert records(slave) == records(master)
        with connect(slave) as wire:
            wire.call("set", key="during0", value="changed here")
    with place.server(2, path, "*", master=master.port) as slave:
        put(master, "end")
        arrives(slave, b"end", b"v")
        assert slave.databases[0].database.get(b"during0") == b"changed here"  # what was done is not done again


def test_one_in_memory_begins_anew_with_all_that_the_master_has(place: Place) -> None:
    master = place.start(1)
    put(master, "a")
    for _ in range(2):
        with place.server(2, master=master.port) as slave:
            arrives(slave, b"a", b"v")


def test_the_time_file_counts_where_the_database_knows_nothing(place: Place) -> None:
    master = place.start(1)
    put(master, "before")
    (log,) = [master.updates]
    assert log is not None
    path = str(place.path / "s.kct")
    with place.server(2, path, log=False, time_path=None) as slave:
        put(slave, "restored from a copy")
    (place.path / "rts2").write_text(f"{log.told:020d}\n")
    put(master, "after")
    with place.server(2, path, master=master.port) as slave:
        arrives(slave, b"after", b"v")
        assert set(records(slave)) == {b"after", b"restored from a copy"}


def test_the_time_file_says_how_far_it_is(place: Place) -> None:
    master = place.start(1)
    with place.server(2, master=master.port) as slave:
        assert (place.path / "rts2").read_text() == "0" * 20 + "\n"
        put(master, "a")
        arrives(slave, b"a", b"v")
    log = master.updates
    assert log is not None
    assert place.time(2) >= log.told
    assert len((place.path / "rts2").read_text()) == 21


def test_an_embedded_database_follows_by_the_time_file(place: Place) -> None:
    master = place.start(1, "%")
    location = f"embedded://{place.path}/e"
    for name in ("a", "b"):
        put(master, name)
        with place.server(2, location, master=master.port, log=False) as slave:
            arrives(slave, name.encode(), b"v")
    assert place.time(2) > 0


def test_the_master_comes_back(place: Place) -> None:
    path = str(place.path / "m.kct#durability=process")
    with place.server(1, path) as master:
        port = master.port
        slave = place.start(2, "%", master=port)
        put(master, "a")
        arrives(slave, b"a", b"v")
    with place.server(1, path, port=port) as master:
        put(master, "b")
        arrives(slave, b"b", b"v")


def test_a_master_that_comes_back_with_nothing_leaves_the_slave_what_it_has(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with place.server(1) as master:
        port = master.port
        slave = place.start(2, master=port)
        put(master, "a")
        arrives(slave, b"a", b"v")
    with caplog.at_level(logging.WARNING), place.server(1, port=port) as master:
        assert "has nothing to do with the changes" in caplog.text
        put(master, "b")
        arrives(slave, b"b", b"v")
        assert set(records(slave)) == {b"a", b"b"}
        change(master, ("clear", {}), ("set", {"key": "c", "value": "v"}))
        arrives(slave, b"c", b"v")
        assert set(records(slave)) == {b"c"}


def test_a_slave_that_has_no_room_waits_until_there_is(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    master = place.start(1, "%")
    slave = place.start(2, "%#max_size=1m", master=master.port)
    for number in range(30):
        put(master, f"{number:02d}", "x" * 30_000)
    await_(lambda: "is full" in caplog.text)
    full = sorted(records(slave))
    assert full == [b"%02d" % number for number in range(len(full))]
    change(slave, *[("remove", {"key": f"{number:02d}"}) for number in range(len(full))])
    arrives(slave, b"%02d" % len(full), b"x" * 30_000)


def test_tuning(place: Place) -> None:
    first, second = place.start(1), place.start(3)
    slave = place.start(2)
    with connect(slave) as wire:
        assert not [name for name in wire.call("report").values if name.startswith(b"repl_")]
        put(first, "a")
        wire.call("tune_replication", host="127.0.0.1", port=first.port)
        arrives(slave, b"a", b"v")
        told = wire.call("report").values
        assert told[b"repl_master_host"] == b"127.0.0.1"
        assert told[b"repl_master_port"] == b"%d" % first.port
        assert told[b"repl_interval"] == b"0.000000"
        assert {b"repl_timestamp", b"repl_delay"} <= told.keys()

        wire.call("tune_replication")
        assert not [name for name in wire.call("report").values if name.startswith(b"repl_")]
        put(first, "unheard")
        put(second, "before")
        wire.call("tune_replication", host="127.0.0.1", port=second.port, ts="now", iv=0.01)
        assert wire.call("report").values[b"repl_interval"] == b"0.010000"
        await_(lambda: second.feed is not None and second.feed.subscriptions)
        put(second, "b")
        arrives(slave, b"b", b"v")
        assert set(records(slave)) == {b"a", b"b"}

        wire.call("tune_replication", host="127.0.0.1", port=first.port, ts=0)
        arrives(slave, b"unheard", b"v")
        wire.call("tune_replication", host="127.0.0.1")
        assert wire.call("report").values[b"repl_master_port"] == b"1978"


def test_without_a_time_file_nothing_is_followed() -> None:
    with serving("%") as server, connect(server) as wire:
        reply = wire.call("tune_replication", host="127.0.0.1")
        assert (reply.status, reply.values[b"ERROR"]) == (501, b"the RTS file is not set")


def test_a_time_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="-rts"), serving("%", sid=1, time_path=tmp_path / "none" / "rts"):
        pass


# --- Following a master of the test


@contextmanager
def following(place: Place, *databases: str, **options: Any) -> Iterator[tuple[Server, Listening]]:
    """A server that follows the test."""
    with Listening() as master, place.server(2, *databases, master=master.port, **options) as slave:
        yield slave, master


def again(slave: Server, master: Listening) -> None:
    """Have it come back at once, with what its databases know."""
    assert slave.slave is not None
    in_loop(slave, partial(slave.slave.follow, "127.0.0.1", master.port))


def subscribe(connection: Wire | Any) -> Subscribe:
    """Take a subscription."""
    request = SubscribeDecoder().feed(connection.read(15))
    assert isinstance(request, Subscribe)
    connection.send(ACK)
    return request


def tell(*messages: Message) -> bytes:
    return b"".join(map(encode_message, messages))


def stored(ts: int, key: bytes, db: int = 0, sid: int = 1) -> LogRecord:
    return LogRecord(ts, sid, Set(db, key, b"v", NEVER))


def test_it_asks_from_where_it_is_and_answers_heartbeats(place: Place) -> None:
    with following(place) as (slave, master):
        with master.accept() as connection:
            assert subscribe(connection) == Subscribe(0, 2)
            connection.send(tell(stored(10, b"a"), Progress(20), Heartbeat(30)))
            assert connection.read(1) == ACK
            arrives(slave, b"a", b"v")
        with master.accept() as connection:
            assert subscribe(connection) == Subscribe(30, 2)
    assert place.time(2) == 30


def test_a_stream_that_is_cut_anywhere_is_taken_up_where_it_was_cut(place: Place) -> None:
    def stream(cut: int) -> list[Message]:
        return [stored(10 * cut, b"%04d" % cut), Heartbeat(10 * cut + 1)]

    with following(place, str(place.path / "s.kct#durability=process")) as (slave, master):
        size = len(tell(*stream(1)))
        whole = size - len(tell(Heartbeat(0)))
        for cut in range(1, size):
            with master.accept() as connection:
                assert subscribe(connection).ts == 10 * (cut - 1)
                connection.send(tell(*stream(cut))[:cut])
                connection.end()
                assert connection.rest() == b""
            again(slave, master)
            with master.accept() as connection:
                assert subscribe(connection).ts == 10 * (cut - (cut < whole))
                connection.send(tell(*stream(cut)))
                assert connection.read(1) == ACK
                arrives(slave, b"%04d" % cut, b"v")
            again(slave, master)
        assert len(records(slave)) == size - 1


def test_records_of_databases_that_are_not_there_are_passed_over(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with following(place, "%") as (slave, master), master.accept() as connection:
        subscribe(connection)
        connection.send(tell(stored(10, b"a", db=5), stored(11, b"a", db=5), stored(12, b"b")))
        arrives(slave, b"b", b"v")
    assert caplog.text.count("the master has a database 5") == 1


def test_what_began_here_is_not_done_again(place: Place) -> None:
    with following(place, "%") as (slave, master), master.accept() as connection:
        subscribe(connection)
        connection.send(tell(stored(10, b"a", sid=2), stored(11, b"b")))
        arrives(slave, b"b", b"v")
        assert set(records(slave)) == {b"b"}


def test_what_was_done_is_not_done_again(place: Place) -> None:
    with following(place, "%") as (slave, master):
        with master.accept() as connection:
            subscribe(connection)
            connection.send(tell(stored(10, b"a"), stored(11, b"b")))
            arrives(slave, b"b", b"v")
        with master.accept() as connection:
            assert subscribe(connection).ts == 11
            with connect(slave) as wire:
                wire.call("clear")
            connection.send(tell(stored(10, b"a"), stored(11, b"b"), stored(12, b"c")))
            arrives(slave, b"c", b"v")
            assert set(records(slave)) == {b"c"}


def test_one_database_that_is_behind_takes_no_other_back(place: Place) -> None:
    names = [str(place.path / f"{name}.kct#durability=process") for name in "ab"]
    with following(place, *names) as (slave, master), master.accept() as connection:
        subscribe(connection)
        connection.send(tell(stored(10, b"b", db=1), stored(20, b"a"), stored(21, b"a"), stored(22, b"last")))
        arrives(slave, b"last", b"v")
        with connect(slave) as wire:
            wire.call("remove", key="a")
    with following(place, *names) as (slave, master), master.accept() as connection:
        assert subscribe(connection).ts == 10
        for message in (stored(20, b"a"), stored(21, b"a"), stored(22, b"last")):
            connection.send(tell(message, Heartbeat(message.ts)))
            assert connection.read(1) == ACK
        connection.send(tell(stored(23, b"next")))
        arrives(slave, b"next", b"v")
        assert slave.databases[0].database.get(b"a") is None


def test_where_a_change_began_is_told_on(place: Place) -> None:
    with following(place, "%") as (slave, master), master.accept() as connection:
        subscribe(connection)
        connection.send(tell(*[stored(ts, b"%d" % ts, sid=ts % 3 + 5) for ts in range(10, 20)]))
        arrives(slave, b"19", b"v")
        put(slave, "own")
        log = slave.updates
        assert log is not None
        told = [(sid, each.key) for _, sid, each in entries(log.directory) if isinstance(each, Set)]
    assert told == [*[(ts % 3 + 5, b"%d" % ts) for ts in range(10, 20)], (2, b"own")]


@pytest.mark.parametrize("answer", [b"\xbf", b"\xb0", b"HTTP", ACK + b"\xff", ACK + b"\xb1" + bytes(8) + b"\0\0\0\1x"])
def test_a_master_that_makes_no_sense_is_asked_again(place: Place, answer: bytes) -> None:
    with following(place, "%") as (slave, master):
        with master.accept() as connection:
            connection.read(15)
            connection.send(answer)
            assert connection.read(1) == b""
        with master.accept() as connection:
            subscribe(connection)
            connection.send(tell(stored(10, b"a")))
            arrives(slave, b"a", b"v")


def test_it_takes_its_time_if_it_is_to(place: Place) -> None:
    with following(place, "%", follow_interval=10_000.0) as (slave, master), master.accept() as connection:
        subscribe(connection)
        connection.send(tell(stored(10, b"a")))
        arrives(slave, b"a", b"v")
        connection.send(tell(stored(11, b"b")))
        time.sleep(0.05)
        assert slave.databases[0].database.get(b"b") is None
