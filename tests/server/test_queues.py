"""Queues for memcached's clients: protocol reference, section 11."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from kt_core.server import Server
from tests.clock import Clock
from tests.fix_servers import free_port
from tests.server.exchange import Wire
from tests.server.exchange import connect as connect_to_all
from tests.server.memcaching import PLUGGED, ask, connect, hold, plugged, serving_memcached
from tests.server.program import program

STORED, END = b"STORED\r\n", b"END\r\n"
DELETED, NOT_FOUND = b"DELETED\r\n", b"NOT_FOUND\r\n"


def message(value: bytes, flags: int = 0) -> bytes:
    return b"VALUE q %d %d\r\n%b\r\n" % (flags, len(value), value)


def put(*values: bytes) -> bytes:
    return b"".join([b"set q 0 0 %d noreply\r\n%b\r\n" % (len(value), value) for value in values])


@pytest.fixture(scope="module", params=PLUGGED)
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Where queues are served, by one server of each kind."""
    with plugged(request.param, "opts=fq#qtout=0.2") as address:
        yield address


class TestEveryServer:
    @pytest.fixture
    def client(self, address: tuple[str, int]) -> Iterator[Wire]:
        with Wire(address) as client:
            ask(client, b"flush_all\r\n")
            yield client

    def test_messages_come_in_their_order_and_are_acknowledged(self, client: Wire) -> None:
        hold(
            client,
            [
                (b"set q 3 0 1\r\na\r\nset q 4 0 1\r\nb\r\n", STORED * 2),
                (b"get q\r\n", message(b"a", 3) + END),
                (b"get q\r\n", message(b"b", 4) + END),
                (b"get q\r\n", END),
                (b"delete q\r\ndelete q 0\r\ndelete q\r\n", DELETED * 2 + NOT_FOUND),
                (b"get\r\n", b"CLIENT_ERROR invalid parameters\r\n"),
                (b"get q none\r\n", END),
            ],
        )

    def test_two_at_once(self, client: Wire) -> None:
        client.send(put(b"a", b"b"))
        hold(client, [(b"get q q q\r\n", message(b"a") + message(b"b") + END), (b"delete q noreply\r\n", b"")])
        hold(client, [(b"delete q\r\n", DELETED), (b"delete q\r\n", NOT_FOUND)])

    def test_other_queues_and_other_records_are_others(self, client: Wire) -> None:
        hold(client, [(b"set qq 0 0 1\r\nx\r\nadd q 0 0 1\r\ny\r\n", STORED * 2), (b"get q\r\n", END)])
        hold(client, [(b"incr q 5\r\n", b"5\r\n"), (b"delete q\r\n", NOT_FOUND)])

    def test_what_is_not_acknowledged_is_given_to_the_next(self, client: Wire, address: tuple[str, int]) -> None:
        client.send(put(b"a", b"b"))
        with Wire(address) as first:
            hold(first, [(b"get q\r\n", message(b"a") + END)])
            hold(client, [(b"get q\r\n", message(b"b") + END), (b"delete q\r\n", DELETED)])
        reply = END
        while reply == END:
            reply = ask(client, b"get q\r\n")
        assert reply == message(b"a") + END

    def test_a_message_is_waited_for(self, client: Wire, address: tuple[str, int]) -> None:
        with Wire(address) as other:
            client.send(b"get q\r\n")
            other.send(put(b"late"))
            assert client.read(len(message(b"late"))) == message(b"late")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Server]:
    with serving_memcached(":", clock=clock, queue=True, queue_timeout=20) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Wire]:
    with connect(server) as client:
        yield client


def test_a_message_is_a_record_until_it_is_acknowledged(server: Server, client: Wire, clock: Clock) -> None:
    clock.seconds = 1795295378.5
    with connect_to_all(server) as wire:
        ask(client, b"set q 0 100 1\r\nv\r\n")
        hold(client, [(b"get q\r\n", message(b"v") + END)])
        (key,) = (name for name in wire.call("match_prefix", prefix="q").values if name != b"num")
        assert key.startswith(b"_q 01795295378500 ")
        assert len(key) == len("_q 01795295378500 0001")
        hold(client, [(b"delete q\r\n", DELETED)])
        assert wire.call("match_prefix", prefix="q").values == {b"num": b"0"}


def test_a_message_that_another_protocol_puts_is_found(server: Server, client: Wire) -> None:
    with connect_to_all(server) as wire:
        client.send(b"get q\r\n")
        wire.call("set", key="q 1", value="v")
        assert client.read(len(message(b"v"))) == message(b"v")


def test_an_expired_message_is_not_given(client: Wire, clock: Clock) -> None:
    ask(client, b"set q 0 1 1\r\na\r\n")
    clock.advance(3)
    client.send(put(b"b"))
    hold(client, [(b"get q\r\n", message(b"b") + END)])


def test_one_message_wakes_one(server: Server, client: Wire) -> None:
    first, second = connect(server), connect(server)
    for each in (first, second):
        each.send(b"get q\r\n")
    client.send(put(b"a"))
    client.send(put(b"b"))
    taken = sorted(each.read(len(message(b"a") + END)) for each in (first, second))
    assert taken == [message(b"a") + END, message(b"b") + END]
    first.close()
    second.close()


def test_a_client_that_ends_waits_no_more(client: Wire) -> None:
    client.send(b"get q\r\n")
    client.end()
    assert client.rest() == END


def test_every_message_is_given_once_whoever_asks(server: Server) -> None:
    count, received = 200, []

    def take() -> None:
        with connect(server) as client:
            while (reply := ask(client, b"get q\r\n")) != message(b"end") + END:
                received.append(reply)
                ask(client, b"delete q\r\n")

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    with connect(server) as client:
        for number in range(count):
            ask(client, b"set q 0 0 3\r\n%03d\r\n" % number)
        for _ in threads:
            ask(client, b"set q 0 0 3\r\nend\r\n")
    for thread in threads:
        thread.join()
    assert sorted(received) == [message(b"%03d" % number) + END for number in range(count)]


def test_a_server_that_is_killed_loses_no_message(tmp_path: object) -> None:
    flags = ["-port", "0", "-le", "-plsv", "ktplugservmemc.so", "-plex", f"port={free_port()}#opts=q"]
    path = f"{tmp_path}/x.kct"
    with program(path, flags=flags) as server, Wire((server.host, server.memcached)) as client:
        hold(client, [(b"set q 0 0 1\r\na\r\n", STORED), (b"get q\r\n", message(b"a") + END)])
        server.end(signal.SIGKILL)
        assert client.rest() == b""
    with program(path, flags=flags) as server, Wire((server.host, server.memcached)) as client:
        hold(client, [(b"get q\r\n", message(b"a") + END)])


def test_a_server_that_ends_does_not_wait_for_messages() -> None:
    with serving_memcached(":", queue=True, queue_timeout=100) as server:
        client = connect(server)
        client.send(b"get q\r\n")
        while not server.connections:
            time.sleep(0.001)
    assert client.rest() in (END, b"")
    client.close()
