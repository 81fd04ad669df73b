"""What a master tells its subscribers: everything, once, in order, at once or as fast as they take it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kt_core.server import Server
from kt_core.server.feed import Reader
from kt_core.server.updates import UpdateLog
from kt_core.wire.kt_binary import NEVER_XT, ErrorReply, SetBulk, encode_request
from kt_core.wire.kt_log import (
    ACK,
    Heartbeat,
    LogRecord,
    Message,
    Progress,
    Remove,
    Set,
    StreamDecoder,
    Subscribe,
    Subscribed,
    encode_entry,
    encode_payload,
    encode_subscribe,
)
from tests.clock import Clock
from tests.server.exchange import Wire, connect
from tests.server.running import in_loop, serving

SID = 9


class Subscriber:
    """A client that follows a server."""

    def __init__(self, server: Server, ts: int = 0, sid: int = 2, *, only: bool = False) -> None:
        self.wire = connect(server)
        self._decoder = StreamDecoder()
        self.wire.send(encode_subscribe(Subscribe(ts, sid, only)))
        self.first = self._next()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def _next(self) -> Message | Subscribed | ErrorReply | None:
        message = self._decoder.feed(b"")
        while not isinstance(message, Message | Subscribed | ErrorReply):
            data = self.wire.socket.recv(1 << 16)
            if not data:
                return None
            message = self._decoder.feed(data)
        return message

    def next(self, *, acknowledge: bool = True) -> Message | None:
        """Return the next message; None when the server has hung up."""
        message = self._next()
        if acknowledge and isinstance(message, Heartbeat):
            self.wire.send(ACK)
        assert not isinstance(message, Subscribed | ErrorReply)
        return message

    def until_idle(self) -> list[LogRecord]:
        """Return the changes up to the next heartbeat."""
        found: list[LogRecord] = []
        while not isinstance(message := self.next(), Heartbeat):
            assert isinstance(message, LogRecord)
            found.append(message)
        return found


def store(wire: Wire, *keys: bytes) -> None:
    assert wire.ask(encode_request(SetBulk([(0, key, b"v", NEVER_XT) for key in keys])))[0] == 0xB8


def keys(records: list[LogRecord]) -> list[bytes]:
    return [record.change.key for record in records if isinstance(record.change, Set | Remove)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving("%", sid=SID, log_directory=tmp_path / "log", log_limit=4000) as server:
        yield server


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    with connect(server) as wire:
        yield wire


def test_changes_are_told_as_they_are_made(server: Server, wire: Wire) -> None:
    store(wire, b"before")
    with Subscriber(server) as subscriber:
        assert subscriber.first == Subscribed()
        assert keys(subscriber.until_idle()) == [b"before"]
        for key in (b"a", b"b", b"c"):
            store(wire, key)
            message = subscriber.next()
            while isinstance(message, Heartbeat):
                message = subscriber.next()
            assert isinstance(message, LogRecord)
            assert (message.sid, message.change) == (SID, Set(0, key, b"v", (1 << 40) - 1))


def test_each_subscriber_is_told_what_comes_after_its_timestamp(server: Server, wire: Wire) -> None:
    names = [b"%d" % number for number in range(20)]
    for name in names:
        store(wire, name * 50)  # over several files
    with Subscriber(server) as subscriber:
        told = subscriber.until_idle()
    assert keys(told) == [name * 50 for name in names]
    assert [record.ts for record in told] == sorted({record.ts for record in told})
    for index, record in enumerate(told):
        for ts in (record.ts - 1, record.ts):
            with Subscriber(server, ts) as subscriber:
                assert subscriber.until_idle() == told[index + (ts == record.ts) :]


def test_after_a_restart_it_is_told_from_the_files(tmp_path: Path) -> None:
    path = str(tmp_path / "a.kct#durability=process")
    for number in range(3):
        with serving(path, sid=SID, log_directory=tmp_path / "log", log_limit=100) as server, connect(server) as wire:
            store(wire, b"a%d" % number, b"b%d" % number)
            with Subscriber(server) as subscriber:
                told = subscriber.until_idle()
            assert keys(told) == [b"%b%d" % (name, each) for each in range(number + 1) for name in (b"a", b"b")]
            with Subscriber(server, told[-2].ts) as subscriber:
                assert subscriber.until_idle() == told[-1:]


def test_it_is_not_told_what_it_did_itself(server: Server, wire: Wire) -> None:
    store(wire, b"a")
    with Subscriber(server, sid=SID) as subscriber:
        assert subscriber.until_idle() == []
    with Subscriber(server, sid=SID, only=True) as subscriber:
        assert keys(subscriber.until_idle()) == [b"a"]
    with Subscriber(server, sid=2, only=True) as subscriber:
        assert subscriber.until_idle() == []


def test_a_sign_of_progress_stands_for_many_changes_that_it_is_not_told(server: Server, wire: Wire) -> None:
    store(wire, *[b"%d" % number for number in range(300)])
    with Subscriber(server, sid=SID) as subscriber:
        message = subscriber.next()
        assert isinstance(message, Progress)
        with Subscriber(server) as other:
            assert message.ts in [record.ts for record in other.until_idle()][255:]


def test_a_server_without_a_log_says_so() -> None:
    with serving("%") as server, Subscriber(server) as subscriber:
        assert subscriber.first == ErrorReply()
        assert subscriber.next() is None


def test_a_heartbeat_that_is_not_answered_ends_it(tmp_path: Path) -> None:
    with (
        serving("%", sid=SID, log_directory=tmp_path / "log", timeout=0.3) as server,
        Subscriber(server) as subscriber,
    ):
        assert isinstance(subscriber.next(acknowledge=False), Heartbeat)
        assert subscriber.next(acknowledge=False) is None


def test_until_it_is_answered_there_is_no_other_and_changes_are_told_all_the_same(server: Server, wire: Wire) -> None:
    with Subscriber(server) as subscriber:
        assert isinstance(subscriber.next(acknowledge=False), Heartbeat)
        for _ in range(3):
            time.sleep(0.05)
            store(wire, b"a")
        assert [type(subscriber.next()) for _ in range(3)] == [LogRecord] * 3
        subscriber.wire.send(ACK)
        assert isinstance(subscriber.next(), Heartbeat)


def test_another_answer_ends_it(server: Server) -> None:
    with Subscriber(server) as subscriber:
        assert isinstance(subscriber.next(acknowledge=False), Heartbeat)
        subscriber.wire.send(b"\xb0")
        assert subscriber.next() is None


def test_it_ends_with_the_server(tmp_path: Path) -> None:
    with serving("%", sid=SID, log_directory=tmp_path / "log") as server:
        subscriber = Subscriber(server)
    with subscriber:
        while (message := subscriber.next()) is not None:
            assert isinstance(message, Heartbeat)


def test_who_does_not_take_what_it_is_told_costs_little_and_is_ended(tmp_path: Path) -> None:
    with (
        serving("%", sid=SID, log_directory=tmp_path / "log", timeout=0.5) as server,
        connect(server) as wire,
        Subscriber(server),
    ):
        for number in range(30):
            wire.call("set", key=number, value=bytes(1 << 20))
        connections = in_loop(server, lambda: list(server.connections))
        for connection in connections:
            assert in_loop(server, connection._transport.get_write_buffer_size) < 4 << 20
        deadline = time.monotonic() + 20
        while len(server.connections) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_many_subscribers(server: Server, wire: Wire) -> None:
    with ExitStack() as stack:
        subscribers = [stack.enter_context(Subscriber(server, sid=sid)) for sid in range(50)]
        names = [b"%d" % number for number in range(200)]
        for name in names:
            store(wire, name)
        for sid, subscriber in enumerate(subscribers):
            told: list[bytes] = []
            while sid != SID and len(told) < len(names):
                told += keys(subscriber.until_idle())
            assert told == ([] if sid == SID else names)


def test_one_under_the_number_of_the_server_is_warned_of(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Subscriber(server, sid=SID) as subscriber:
        subscriber.next()
    assert "under the -sid of this server" in caplog.text


def test_one_that_comes_too_late_is_warned_of(server: Server, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        store(wire, b"%d" % number * 300)
    with Subscriber(server) as subscriber:
        first = subscriber.until_idle()[0]
    wire.call("ulog_remove")
    with caplog.at_level(logging.WARNING), Subscriber(server, first.ts) as subscriber:
        assert subscriber.until_idle()
    assert "it may lack what was removed" in caplog.text


def test_timestamps_from_a_clock_that_is_ahead_do_not_hide_changes(server: Server, wire: Wire) -> None:
    ahead = int((server.clock() + 2) * 1e9)
    with Subscriber(server, ahead) as subscriber:
        assert subscriber.until_idle() == []
        store(wire, b"a")
        told: list[bytes] = []
        while not told:
            told = keys(subscriber.until_idle())
        assert told == [b"a"]


# --- Reading the log


def read_all(reader: Reader) -> bytes:
    data = b""
    while not reader.is_at_end:
        data += reader.read_file()
    reader.close()
    return data


def test_a_file_that_was_removed_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = UpdateLog(tmp_path, 1, limit=20, clock=Clock())
    log.recover({})
    frames: list[bytes] = []
    for key in (b"a", b"b", b"c"):
        with log.lock:
            ts = log.stamp(1)
            payload = encode_payload(1, Remove(0, key))
            log.append(encode_entry(ts, payload), ts, 1, durable=False)
            log.commit()
        frames.append(b"\xb1" + encode_entry(ts, payload)[1:-1])
    reader = Reader(log, Subscribe(0, 2))
    log.remove(log.header(2).ts)
    assert read_all(reader) == frames[2]
    assert "was removed before" in caplog.text
    log.close()


def test_a_log_that_is_gone_is_an_error(tmp_path: Path) -> None:
    log = UpdateLog(tmp_path, 1, limit=20, clock=Clock())
    log.recover({})
    log.path(1).unlink()
    with pytest.raises(FileNotFoundError):
        Reader(log, Subscribe(0, 2)).read_file()
    log.close()


def test_a_change_that_is_larger_than_what_is_read_at_once(tmp_path: Path) -> None:
    log = UpdateLog(tmp_path, 1, limit=1 << 30, clock=Clock())
    log.recover({})
    payload = encode_payload(1, Set(0, b"k", bytes(1 << 20), 0))
    with log.lock:
        log.append(encode_entry(log.stamp(1), payload), log.last, 1, durable=False)
        log.commit()
    assert read_all(Reader(log, Subscribe(0, 2))).endswith(payload)
    log.close()
