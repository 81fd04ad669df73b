"""Server programs: started at an address of their own, waited for, and gone at the end."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from bench.servers import Address, Program, bundled

SERVER = """
import socket, sys
address, answer = sys.argv[1:]
if "/" in address:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
else:
    listener = socket.create_server(("127.0.0.1", int(address)))
while True:
    peer, _ = listener.accept()
    with peer:
        peer.recv(100)
        peer.sendall(answer.encode())
"""


def program(where: str) -> Program:
    return Program("answerer", (sys.executable, "-c", SERVER, where), b"ping", b"pong")


def ask(address: Address, over_socket: bool) -> bytes:
    with (
        socket.socket(socket.AF_UNIX) if over_socket else socket.socket() as client,
    ):
        client.connect(address.socket if over_socket else ("127.0.0.1", address.port))
        client.sendall(b"ping")
        return client.recv(100)


@pytest.mark.parametrize("where", ["{socket}", "{port}"])
def test_a_server_answers_while_it_is_wanted(where: str) -> None:
    with program(where).run("pong!") as address:
        assert program(where).has_socket == (where == "{socket}")
        assert ask(address, program(where).has_socket) == b"pong!"
    with pytest.raises(OSError):
        ask(address, program(where).has_socket)


def test_a_server_that_ends_is_told() -> None:
    with (
        pytest.raises(RuntimeError, match=r"answerer did not answer at its address \(exit code 3\)"),
        Program("answerer", (sys.executable, "-c", "raise SystemExit(3)"), b"ping", b"pong").run(),
    ):
        pass


def test_a_server_that_is_not_installed_is_told() -> None:
    with (
        pytest.raises(FileNotFoundError, match="absent is not on PATH"),
        Program("absent", ("absent-server",), b"ping", b"pong").run(),
    ):
        pass


def test_the_path_of_a_database_may_have_braces(tmp_path: Path) -> None:
    assert bundled("/a/{b}.kct").command[-1].format(socket="", port=0, folder="") == "/a/{b}.kct"
