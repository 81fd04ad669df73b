"""Listening sockets: what they are bound to, who may use them, and how connections are taken."""

from __future__ import annotations

import asyncio
import resource
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core.errors import Misconfigured
from kt_core.server.listener import Listener, tcp_socket, unix_socket
from tests.server.exchange import Wire
from tests.server.program import program


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def test_a_free_port_is_found() -> None:
    with tcp_socket("127.0.0.1", 0) as bound:
        host, port = bound.getsockname()
        assert host == "127.0.0.1"
        assert port > 0


def test_no_host_is_every_interface() -> None:
    with tcp_socket(None, 0) as bound:
        assert bound.getsockname()[0] in ("0.0.0.0", "::")


def test_a_port_can_be_taken_again_at_once() -> None:
    """As a server does that is restarted, while connections of the one before are still in memory."""
    with tcp_socket("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = bound.accept()
        accepted.close()
    with tcp_socket("127.0.0.1", port), client:
        pass


def test_a_port_that_is_taken_is_an_error_that_says_so(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    with pytest.raises(
        Misconfigured, match=rf"127\.0\.0\.1:{port} cannot be listened on .*in use.*another host or port"
    ):
        tcp_socket("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port"), [("127.0.0.1", 65536), ("127.0.0.1", -1), ("192.0.2.1", 0), ("no such host", 0)]
)
def test_an_address_that_is_none_is_an_error(host: str, port: int) -> None:
    with pytest.raises(Misconfigured, match="cannot be listened on"):
        tcp_socket(host, port)


# --- Unix sockets


def test_a_unix_socket_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with unix_socket(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_socket_that_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    unix_socket(path).close()
    with unix_socket(path) as bound:
        bound.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_socket_in_use_is_left_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with unix_socket(path) as bound:
        bound.listen()
        with pytest.raises(Misconfigured, match=r"sock cannot be listened on .*write another path"):
            unix_socket(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sock").write_text("something")
    with pytest.raises(Misconfigured):
        unix_socket(str(tmp_path / "sock"))
    assert (tmp_path / "sock").read_text() == "something"


@pytest.mark.parametrize("path", ["/nowhere/sock", "/tmp/" + "x" * 200])
def test_a_path_that_cannot_be_is_an_error(path: str) -> None:
    with pytest.raises(Misconfigured, match="write another path"):
        unix_socket(path)


# --- Taking connections


class Protocol(asyncio.Protocol):
    """Tells of each connection."""

    def __init__(self, made: asyncio.Queue[asyncio.BaseTransport]) -> None:
        self._made = made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made.put_nowait(transport)


def test_hundreds_that_wait_are_all_taken_and_nothing_is_left_of_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "sock"

    async def main() -> None:
        made: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()
        listener = Listener(asyncio.get_running_loop(), unix_socket(str(path)), lambda: Protocol(made))
        clients = [socket.socket(socket.AF_UNIX) for _ in range(300)]
        for client in clients:
            client.connect(str(path))
        transports = [await made.get() for _ in clients]
        listener.close()
        listener.close()
        for transport in transports:
            transport.close()
        for client in clients:
            client.close()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert not path.exists()


def test_a_server_out_of_descriptors_takes_connections_again_when_others_have_ended() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with program("%") as running:
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (40, limits[1]))
        *clients, last = [Wire(running.address) for _ in range(50)]
        assert clients[0].call("void").status == 200
        for client in clients:
            client.close()
        with last:
            assert last.call("void").status == 200
