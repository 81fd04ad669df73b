"""One connection: exchanges, flows, and every way in which a server can fail it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from kt_core.errors import ConnectionFailed, KTError, ProtocolError, Timeout
from kt_core.transport import Address, Connection
from kt_core.wire.exchange import Flow
from tests.peer import Behaviour, ask, echo, hang_up_after, peer, say


def test_an_exchange_over_tcp_and_over_a_unix_socket(tmp_path: Path) -> None:
    for path in (None, tmp_path / "socket"):
        with peer(echo, path=path) as server:
            connection = Connection(server.address, 5)
            assert [connection.run(ask(b"%d" % number)) for number in range(3)] == [b"0", b"1", b"2"]
            assert connection.usable
            connection.close()
            connection.close()
            assert not connection.usable


def test_a_reply_may_come_in_pieces() -> None:
    def dribble(connected: socket.socket) -> None:
        connected.recv(1000)
        for byte in b"a long reply\n":
            connected.sendall(bytes((byte,)))
        connected.recv(1000)

    with peer(dribble) as server:
        connection = Connection(server.address, 5)
        assert connection.run(ask(b"x")) == b"a long reply"
        connection.close()


def test_a_flow_is_sent_each_reply() -> None:
    def flow() -> Flow[list[bytes]]:
        first = yield ask(b"first")
        second = yield ask(first + b" and second")
        return [first, second]

    with peer(echo) as server:
        connection = Connection(server.address, 5)
        assert connection.drive(flow()) == [b"first", b"first and second"]
        connection.close()


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (hang_up_after(0), ConnectionFailed),
        (say(b"half of"), Timeout),
        (say(b"!nonsense\n"), ProtocolError),
        (say(), Timeout),
    ],
    ids=["hangs up", "half a reply", "nonsense", "silence"],
)
def test_a_failed_exchange_closes_the_connection(behaviour: Behaviour, error: type[KTError]) -> None:
    with peer(behaviour) as server:
        connection = Connection(server.address, 0.05, connect_timeout=5)
        with pytest.raises(error):
            connection.run(ask(b"x"))
        assert not connection.usable
        with pytest.raises(ConnectionFailed, match="closed"):
            connection.run(ask(b"x"))


def test_bytes_behind_a_reply_close_the_connection() -> None:
    """They belong to no request: the next reply could be anybody's."""
    with peer(say(b"reply\nand more")) as server:
        connection = Connection(server.address, 5)
        assert connection.run(ask(b"x")) == b"reply"
        assert not connection.usable


def test_a_reply_that_announces_the_end_closes_the_connection() -> None:
    with peer(say(b".bye\n")) as server:
        connection = Connection(server.address, 5)
        assert connection.run(ask(b"x")) == b".bye"
        assert not connection.usable


def test_the_timeout_is_for_the_whole_exchange() -> None:
    """A server that sends a byte now and then does not hold a caller for ever."""
    now = [0.0]

    def clock() -> float:
        now[0] += 0.04
        return now[0]

    def dribble(connected: socket.socket) -> None:
        connected.recv(1000)
        while True:
            connected.sendall(b"x")

    with peer(dribble) as server:
        connection = Connection(server.address, 0.1, connect_timeout=5, clock=clock)
        with pytest.raises(Timeout, match=r"within 0\.1 s"):
            connection.run(ask(b"x"))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(*listener.getsockname())
    with pytest.raises(ConnectionFailed, match=str(address)):
        Connection(address, 1)
    with pytest.raises(OSError, match="cannot be reached"):
        Connection(Address(path="/nowhere/at/all"), 1)


def test_an_idle_connection_tells_what_happened_to_it() -> None:
    with peer(echo, hang_up_after(1), say(b"1\n", b"out of turn")) as server:
        sound, closed = Connection(server.address, 5), Connection(server.address, 5)
        assert sound.is_idle()
        assert sound.run(ask(b"x")) == b"x"
        assert closed.run(ask(b"x")) == b"x"
        while closed.is_idle():
            pass  # until the server's hang-up has arrived
        assert not closed.usable
        sound.close()
        assert not sound.is_idle()


@pytest.mark.parametrize(
    ("address", "text"),
    [(Address(), "127.0.0.1:1978"), (Address("::1", 1), "[::1]:1"), (Address(path="/run/kt"), "/run/kt")],
)
def test_an_address_names_itself(address: Address, text: str) -> None:
    assert str(address) == text
