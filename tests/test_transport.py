"""One connection: exchanges, flows, and every way in which a server can fail it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kt_core.errors import ConnectionFailed, KTError, ProtocolError, ServerError, Timeout
from kt_core.transport import Address, Connection
from kt_core.wire.exchange import Flow, Op
from tests.peer import Behaviour, accepting_nobody, answer_late, ask, echo, hang_up_after, hang_up_on, peer, say
from tests.processes import python


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


def test_a_flow_may_catch_what_an_exchange_raises() -> None:
    def flow() -> Flow[list[object]]:
        seen: list[object] = []
        try:
            yield refused()
        except ServerError as error:
            seen.append(error.status)
        seen.append((yield ask(b"again")))
        return seen

    with peer(echo) as server:
        connection = Connection(server.address, 5)
        assert connection.drive(flow()) == [500, b"again"]
        connection.close()


def test_a_flow_is_told_of_what_it_does_not_catch() -> None:
    ended = []

    def flow() -> Flow[None]:
        try:
            yield refused()
        finally:
            ended.append(True)

    with peer(echo) as server:
        connection = Connection(server.address, 5)
        with pytest.raises(ServerError):
            connection.drive(flow())
        assert ended
        assert connection.usable
        connection.close()


def refused() -> Op[None]:
    def finish(reply: object) -> None:
        raise ServerError(500, "refused")

    return ask(b"x")._replace(finish=finish)


def test_what_a_reply_means_may_be_an_error_and_the_connection_in_order() -> None:
    with peer(echo) as server:
        connection = Connection(server.address, 5)
        with pytest.raises(ServerError):
            connection.run(refused())
        assert connection.run(ask(b"x")) == b"x"
        connection.close()


def test_nothing_is_awaited_where_no_reply_comes() -> None:
    with peer(say()) as server:
        connection = Connection(server.address, 0.05, connect_timeout=5)
        assert connection.run(Op(b"x", None, True, repr)) == "None"
        assert connection.usable
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
        connection = Connection(server.address, 0.05 if error is Timeout else 5, connect_timeout=5)
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


def test_a_request_may_be_larger_than_what_the_kernel_takes_at_once() -> None:
    size = 1 << 24

    def swallow(connected: socket.socket) -> None:
        missing = size + 1
        while missing:
            missing -= len(connected.recv(1 << 20))
        connected.sendall(b"all of it\n")
        connected.recv(1)

    with peer(swallow) as server:
        connection = Connection(server.address, 5)
        assert connection.run(ask(bytes(size))) == b"all of it"
        assert connection.usable
        connection.close()


def test_the_timeout_is_for_sending_too() -> None:
    enough = threading.Event()
    with peer(hang_up_on(enough)) as server:
        connection = Connection(server.address, 0.05, connect_timeout=5)
        with pytest.raises(Timeout):
            connection.run(ask(bytes(1 << 24)))
        assert not connection.usable
        enough.set()


class FullAtFirst(socket.socket):
    """A socket whose send buffer is full, until somebody waits for it."""

    def send(self, *arguments: object) -> int:
        raise BlockingIOError


@dataclass(frozen=True)
class AddressFor(Address):
    """An address that is connected to by another class of sockets."""

    kind: type[socket.socket] = socket.socket

    def connect(self, timeout: float | None) -> socket.socket:
        connected = self.kind(fileno=super().connect(timeout).detach())
        connected.settimeout(0)
        return connected


def test_a_full_buffer_is_waited_for() -> None:
    with peer(echo) as server:
        connection = Connection(AddressFor(server.address.host, server.address.port, kind=FullAtFirst), 5)
        assert connection.run(ask(b"x")) == b"x"
        connection.close()


def test_without_a_timeout_it_takes_any_time() -> None:
    with peer(answer_late) as server:
        connection = Connection(server.address, None, spin=0)
        assert connection.run(ask(b"x")) == b"x"
        connection.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_server_that_accepts_nobody(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "socket" if kind == "unix" else None
    with accepting_nobody(path) as (address, _), pytest.raises(Timeout, match=r"does not accept .* within 0\.05 s"):
        Connection(address, 5, connect_timeout=0.05)


def test_a_full_queue_is_waited_in(tmp_path: Path) -> None:
    with accepting_nobody(tmp_path / "socket") as (address, listener):
        threading.Timer(0.01, lambda: listener.accept()[0].close()).start()
        Connection(address, 5).close()


class SteppingClock:
    """Goes on by a step each time it is asked, and counts how often that is."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.asked = 0
        self._now = 0.0

    def __call__(self) -> float:
        self.asked += 1
        self._now += self.step
        return self._now


# How often an exchange with a timeout looks at the clock if it goes to sleep without polling.
ASLEEP_AT_ONCE = 2


class TestPolling:
    """A clock that stands still makes every reply come in time, and one that leaps makes it late."""

    IN_TIME, LATE = 0.0, 1.0

    def polled(self, connection: Connection, clock: SteppingClock, count: int) -> list[int]:
        """Return which of so many exchanges were polled for."""
        found = []
        for number in range(count):
            clock.asked = 0
            assert connection.run(ask(b"%d" % number)) == b"%d" % number
            if clock.asked > ASLEEP_AT_ONCE:
                found.append(number)
        return found

    @pytest.fixture
    def clock(self) -> SteppingClock:
        return SteppingClock(self.LATE)

    @pytest.fixture
    def connection(self, clock: SteppingClock) -> Iterator[Connection]:
        with peer(echo) as server:
            connection = Connection(server.address, 1e6, spin=0.5, clock=clock)
            yield connection
            connection.close()

    def test_it_pays_while_replies_come_in_time(self, connection: Connection, clock: SteppingClock) -> None:
        clock.step = self.IN_TIME
        assert self.polled(connection, clock, 5) == [0, 1, 2, 3, 4]

    def test_it_is_tried_less_and_less_often_in_vain(self, connection: Connection, clock: SteppingClock) -> None:
        assert self.polled(connection, clock, 256) == [0, 1, 3, 7, 15, 31, 63, 127, 191, 255]

    def test_one_late_reply_is_no_reason_to_give_it_up(self, connection: Connection, clock: SteppingClock) -> None:
        for _ in range(5):
            clock.step = self.LATE
            assert self.polled(connection, clock, 1) == [0]
            clock.step = self.IN_TIME
            assert self.polled(connection, clock, 2) == [0, 1]

    def test_it_begins_anew_when_it_pays_again(self, connection: Connection, clock: SteppingClock) -> None:
        self.polled(connection, clock, 7)
        clock.step = self.IN_TIME
        assert self.polled(connection, clock, 3) == [0, 1, 2]
        clock.step = self.LATE
        assert self.polled(connection, clock, 4) == [0, 1, 3]

    def test_a_reply_that_does_not_come_soon_is_slept_for(self) -> None:
        with peer(answer_late) as server:
            connection = Connection(server.address, 5, spin=1e-5)
            assert connection.run(ask(b"x")) == b"x"
            connection.close()

    def test_another_class_of_sockets_is_never_polled(self) -> None:
        """It lets other greenlets run while it waits."""

        class Green(socket.socket):
            def recv(self, *arguments: int) -> bytes:
                return super().recv(*arguments)

        clock = SteppingClock(self.IN_TIME)
        with peer(echo) as server:
            address = AddressFor(server.address.host, server.address.port, kind=Green)
            connection = Connection(address, 5, spin=0.5, clock=clock)
            assert self.polled(connection, clock, 3) == []
            connection.close()

    def test_one_processor_is_for_the_server(self) -> None:
        script = (
            "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])\nfrom kt_core.transport import SPIN"
        )
        assert python("-c", f"{script}\nprint(SPIN)") == "0.0\n"


def test_a_forked_child_closes_what_its_parent_goes_on_with() -> None:
    with peer(echo) as server:
        connection = Connection(server.address, 5)
        connection.rested = True
        child = os.fork()
        if child == 0:
            code = 1
            try:
                connection.run(ask(b"child"))
            except ConnectionFailed:
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert connection.run(ask(b"parent")) == b"parent"
        assert server.accepted == 1
        connection.close()


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
        assert sound.is_sound()
        assert sound.run(ask(b"x")) == b"x"
        assert closed.run(ask(b"x")) == b"x"
        while closed.is_sound():
            pass  # until the server's hang-up has arrived
        assert not closed.usable
        sound.close()
        assert not sound.is_sound()


@pytest.mark.parametrize(
    ("address", "text"),
    [(Address(), "127.0.0.1:1978"), (Address("::1", 1), "[::1]:1"), (Address(path="/run/kt"), "/run/kt")],
)
def test_an_address_names_itself(address: Address, text: str) -> None:
    assert str(address) == text
