"""The changes of a server come whole and in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kt_core import KyotoTycoon
from kt_core.errors import ConnectionFailed, InvalidInput, KTError, NotSupported, ProtocolError, Timeout
from kt_core.replication import (
    AsyncChanges,
    Changes,
    Clear,
    Heartbeat,
    LogRecord,
    Message,
    Progress,
    Remove,
    Set,
)
from kt_core.transport import Address
from kt_core.wire.exchange import NeedData
from kt_core.wire.kt_binary import XT_MAX, ErrorReply
from kt_core.wire.kt_log import ACK, Subscribed, SubscribeDecoder, encode_answer, encode_message
from tests.fix_servers import MASTERS, running, with_log
from tests.peer import Behaviour, peer

RECORDS = [
    LogRecord(11, 1, Set(0, b"key", b"value", XT_MAX)),
    LogRecord(12, 1, Set(3, b"k" * 200, b"v" * 300, 1_795_295_664)),
    LogRecord(13, 2, Remove(0, b"")),
    LogRecord(14, 1, Clear(0)),
]
HELLO = encode_answer(Subscribed())


class Awaited:
    """The awaited iterator, each step run to its end."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._changes = AsyncChanges(*arguments, **options)

    def __iter__(self) -> Awaited:
        return self

    def __next__(self) -> Message:
        return self._runner.run(self._changes.__anext__())

    def batch(self) -> list[Message]:
        return self._runner.run(self._changes.batch())

    @property
    def position(self) -> int:
        return self._changes.position

    def __enter__(self) -> Awaited:
        self._runner.run(self._changes.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._changes.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(params=[Changes, Awaited], ids=["waiting", "awaited"])
def subscribe(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return what makes an iterator of each kind, given an address."""

    def make(address: Address, **options: Any) -> Any:
        return request.param(address.host, address.port, path=address.path, **{"timeout": 10, **options})

    return make


def asked_of(connected: socket.socket) -> tuple[int, int, bool]:
    """Return the timestamp, the server and the flag of the subscription that comes."""
    decoder = SubscribeDecoder()
    while isinstance(request := decoder.feed(connected.recv(100)), NeedData):
        pass
    return request.ts, request.sid, request.only


def telling(*messages: Message, then: Callable[[socket.socket], object] = lambda connected: None) -> Behaviour:
    """Be a master with this log, which sends what the subscriber has not seen yet, and does something more then."""

    def behave(connected: socket.socket) -> None:
        since, _, _ = asked_of(connected)
        connected.sendall(HELLO + b"".join([encode_message(one) for one in messages if one.ts > since]))
        then(connected)

    return behave


def until_hung_up(connected: socket.socket) -> None:
    while connected.recv(100):
        pass


def take(changes: Iterator[Message], count: int) -> list[Message]:
    return [next(changes) for _ in range(count)]


# -- what comes ----------------------------------------------------------------------------------------------


def test_changes_come_in_order_and_move_the_position(subscribe: Callable[..., Any]) -> None:
    with peer(telling(*RECORDS, then=until_hung_up)) as master, subscribe(master.address, since=3) as changes:
        assert changes.position == 3
        for record in RECORDS:
            assert next(changes) == record
            assert changes.position == record.ts


def test_a_batch_is_all_that_has_arrived(subscribe: Callable[..., Any]) -> None:
    with peer(telling(*RECORDS, then=until_hung_up)) as master, subscribe(master.address) as changes:
        found: list[Message] = []
        while len(found) < len(RECORDS):
            found += changes.batch()
            assert changes.position == found[-1].ts
        assert found == RECORDS


def test_the_master_is_told_what_is_asked_for(subscribe: Callable[..., Any]) -> None:
    asked = []

    def note(connected: socket.socket) -> None:
        asked.append(asked_of(connected))
        connected.sendall(HELLO + encode_message(RECORDS[0]))
        until_hung_up(connected)

    with peer(note) as master:
        with subscribe(master.address) as changes:
            next(changes)
        with subscribe(master.address, since=7, sid=5, only=True) as changes:
            next(changes)
    assert asked == [(0, 0xFFFF, False), (7, 5, True)]


def test_heartbeats_are_answered_and_kept_from_who_did_not_ask(subscribe: Callable[..., Any]) -> None:
    answers = []

    def beat(connected: socket.socket) -> None:
        asked_of(connected)
        connected.sendall(HELLO)
        for ts in (5, 6):
            connected.sendall(encode_message(Heartbeat(ts)))
            answers.append(connected.recv(100))
        connected.sendall(encode_message(RECORDS[0]))
        until_hung_up(connected)

    with peer(beat) as master:
        with subscribe(master.address) as changes:
            assert next(changes) == RECORDS[0]
        with subscribe(master.address, heartbeats=True) as changes:
            assert take(changes, 3) == [Heartbeat(5), Heartbeat(6), RECORDS[0]]
    assert answers == [ACK] * 4


def test_a_heartbeat_does_not_move_the_position(subscribe: Callable[..., Any]) -> None:
    """It has the time of a clock that may be set back."""
    with (
        peer(telling(RECORDS[0], Heartbeat(99), then=until_hung_up)) as master,
        subscribe(master.address, heartbeats=True) as changes,
    ):
        assert take(changes, 2) == [RECORDS[0], Heartbeat(99)]
        assert changes.position == 11


@pytest.mark.parametrize("heartbeats", [False, True])
def test_what_was_left_out_moves_the_position(subscribe: Callable[..., Any], heartbeats: bool) -> None:
    with (
        peer(telling(RECORDS[0], Progress(12), Heartbeat(13), RECORDS[3], then=until_hung_up)) as master,
        subscribe(master.address, heartbeats=heartbeats) as changes,
    ):
        found = take(changes, 4 if heartbeats else 2)
        assert [one for one in found if isinstance(one, LogRecord)] == [RECORDS[0], RECORDS[3]]
        assert (Progress(12) in found) == heartbeats
        assert changes.position == 14


# -- what goes wrong -----------------------------------------------------------------------------------------


def test_a_connection_that_breaks_is_an_error_and_then_made_anew(subscribe: Callable[..., Any]) -> None:
    with peer(telling(*RECORDS[:2]), telling(*RECORDS, then=until_hung_up)) as master:
        with subscribe(master.address) as changes:
            assert take(changes, 2) == RECORDS[:2]
            with pytest.raises(ConnectionFailed, match="ended the stream"):
                next(changes)
            assert take(changes, 2) == RECORDS[2:]
        assert master.accepted == 2


def test_what_had_arrived_and_was_not_given_out_comes_again(subscribe: Callable[..., Any]) -> None:
    with peer(telling(*RECORDS), telling(*RECORDS, then=until_hung_up)) as master, subscribe(master.address) as changes:
        assert next(changes) == RECORDS[0]
        changes.close() if isinstance(changes, Changes) else changes._changes.close()
        found = [next(changes) for _ in range(3)]
        assert found == RECORDS[1:]


def test_cut_at_every_byte_nothing_is_lost_and_nothing_comes_twice(subscribe: Callable[..., Any]) -> None:
    log = [encode_message(record) for record in RECORDS]

    def cut(size: int) -> Behaviour:
        def behave(connected: socket.socket) -> None:
            since, _, _ = asked_of(connected)
            rest = HELLO + b"".join([data for data, record in zip(log, RECORDS, strict=True) if record.ts > since])
            connected.sendall(rest[:size])

        return behave

    for size in range(len(HELLO + b"".join(log))):
        behaviours = [cut(size), telling(*RECORDS, then=until_hung_up)]
        with peer(*behaviours) as master, subscribe(master.address, retry=0) as changes:
            assert take(changes, 4) == RECORDS


def test_with_retry_a_master_that_is_away_is_waited_for(subscribe: Callable[..., Any]) -> None:
    def hang_up(connected: socket.socket) -> None:
        connected.close()

    with (
        peer(hang_up, hang_up, telling(*RECORDS, then=until_hung_up)) as master,
        subscribe(master.address, retry=0.001) as changes,
    ):
        assert take(changes, 4) == RECORDS
        assert master.accepted == 3


def test_a_silent_master_is_given_up(subscribe: Callable[..., Any]) -> None:
    with peer(telling(then=until_hung_up)) as master, subscribe(master.address, timeout=0.05) as changes:
        with pytest.raises(Timeout, match="told nothing for"):
            next(changes)
        assert master.ended.acquire(timeout=10)


def test_nobody_there_is_an_error(subscribe: Callable[..., Any], tmp_path: Path) -> None:
    with subscribe(Address(path=str(tmp_path / "none"))) as changes, pytest.raises(ConnectionFailed, match="reached"):
        next(changes)


FAULTS: dict[str, tuple[bytes, type[KTError]]] = {
    "no log": (encode_answer(ErrorReply()), NotSupported),
    "no answer of a master": (b"HTTP/1.1 400", ProtocolError),
    "no message": (HELLO + b"\xb2", ProtocolError),
    "no change": (HELLO + b"\xb1" + bytes(8) + b"\0\0\0\5\0\1\0\0\xa7", ProtocolError),
}


@pytest.mark.parametrize(("said", "error"), FAULTS.values(), ids=FAULTS)
def test_what_no_master_says_is_an_error_and_hangs_up(
    subscribe: Callable[..., Any], said: bytes, error: type[KTError]
) -> None:
    def say(connected: socket.socket) -> None:
        asked_of(connected)
        connected.sendall(said)
        until_hung_up(connected)

    with peer(say) as master, subscribe(master.address, retry=0.001) as changes:
        with pytest.raises(error):
            next(changes)
        assert master.ended.acquire(timeout=10)
        assert master.accepted == 1


@pytest.mark.parametrize("options", [{"since": -1}, {"since": 1 << 64}, {"sid": 1 << 16}])
def test_numbers_that_do_not_fit_are_refused_at_once(options: dict[str, int]) -> None:
    for kind in (Changes, AsyncChanges):
        with pytest.raises(InvalidInput, match="16 bits"):
            kind(**options)  # type: ignore[arg-type]


def test_a_cancelled_wait_hangs_up() -> None:
    async def wait(address: Address) -> None:
        async with AsyncChanges(address.host, address.port) as changes:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await changes.__anext__()
            assert not changes.usable

    with peer(telling(then=until_hung_up)) as master:
        asyncio.run(wait(master.address))


# -- real masters --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=MASTERS)
def master(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Return the address of a server that keeps an update log, one of each kind."""
    with running(request.param, *with_log(tmp_path_factory.mktemp("log"))) as address:
        yield address


def test_a_real_master_tells_what_its_clients_do(subscribe: Callable[..., Any], master: Address) -> None:
    client = KyotoTycoon(master.host, master.port)
    with subscribe(master) as changes:
        client.set("a", "1")
        client.incr("n", 5)
        client.incr("n", 2)
        client.remove("never there")
        client.set("late", "2", expire_time=100)
        client.set("other", "3", db=1)
        client.clear()
        found = take(changes, 7)
    n5, n7 = (number.to_bytes(8, "big") for number in (5, 7))
    late = found[4].change.xt
    assert [(one.sid, one.change) for one in found] == [
        (1, Set(0, b"a", b"1", XT_MAX)),
        (1, Set(0, b"n", n5, XT_MAX)),
        (1, Set(0, b"n", n7, XT_MAX)),
        (1, Remove(0, b"never there")),
        (1, Set(0, b"late", b"2", late)),
        (1, Set(1, b"other", b"3", XT_MAX)),
        (1, Clear(0)),
    ]
    assert [one.ts for one in found] == sorted({one.ts for one in found})
    with subscribe(master, since=found[3].ts) as changes:
        assert take(changes, 3) == found[4:]
    client.close()


def test_a_server_without_a_log_says_so(subscribe: Callable[..., Any], kyoto: Address) -> None:
    with subscribe(kyoto) as changes, pytest.raises(NotSupported, match="-ulog DIRECTORY and -sid NUMBER"):
        next(changes)
