"""A server for tests that does to each connection what the test says, and a codec of lines to talk to it with."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kt_core.errors import ProtocolError
from kt_core.transport import Address
from kt_core.wire.exchange import NEED_DATA, NeedData, Op

Behaviour = Callable[[socket.socket], None]


class Line:
    """Decodes one line; one that begins with ``!`` is no line of this protocol, after ``.`` the peer hangs up."""

    def __init__(self) -> None:
        self._data = b""
        self.rest = b""
        self.closing = False

    def feed(self, data: bytes, /) -> bytes | NeedData:
        self._data += data
        line, end, self.rest = self._data.partition(b"\n")
        if line.startswith(b"!"):
            raise ProtocolError("not a line")
        self.closing = line.startswith(b".")
        return line if end else NEED_DATA


def ask(line: bytes, *, idempotent: bool = True) -> Op[bytes]:
    """An exchange of one line for another."""
    return Op(line + b"\n", Line(), idempotent, lambda reply: reply)


def echo(peer: socket.socket) -> None:
    """Answer every line with itself until the client hangs up."""
    while data := peer.recv(1000):
        peer.sendall(data)


def hang_up_after(count: int) -> Behaviour:
    """Answer some lines, then close the connection."""

    def behave(peer: socket.socket) -> None:
        for _ in range(count):
            peer.sendall(peer.recv(1000))

    return behave


def say(*pieces: bytes) -> Behaviour:
    """Send these pieces in answer to one line each, then wait for the client to hang up."""

    def behave(peer: socket.socket) -> None:
        for piece in pieces:
            peer.recv(1000)
            peer.sendall(piece)
        while peer.recv(1000):
            pass

    return behave


def answer_late(peer: socket.socket) -> None:
    """Answer every line with itself, but never at once."""
    while data := peer.recv(1000):
        time.sleep(0.001)
        peer.sendall(data)


def hang_up_on(event: threading.Event) -> Behaviour:
    """Read nothing until the test has seen enough, then close the connection."""

    def behave(peer: socket.socket) -> None:
        event.wait()

    return behave


class Peer:
    """The running server: `accepted` counts its connections, `ended` has a permit for each that it has closed."""

    def __init__(self, listener: socket.socket, behaviours: tuple[Behaviour, ...]) -> None:
        self._listener = listener
        self._behaviours = behaviours
        self.accepted = 0
        self.ended = threading.Semaphore(0)
        self.address = (
            Address(path=listener.getsockname())
            if listener.family == socket.AF_UNIX
            else Address(*listener.getsockname()[:2])
        )

    def serve(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            behave = self._behaviours[min(self.accepted, len(self._behaviours) - 1)]
            self.accepted += 1
            threading.Thread(target=self._behave, args=(behave, connected), daemon=True).start()

    def _behave(self, behave: Behaviour, connected: socket.socket) -> None:
        with connected, suppress(OSError):  # the client may be faster to hang up
            behave(connected)
        self.ended.release()


@contextmanager
def peer(*behaviours: Behaviour, path: Path | None = None) -> Iterator[Peer]:
    """Run a server: the first connection gets the first behaviour, and so on; the last is for all further ones."""
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0))
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen()
    running = Peer(listener, behaviours)
    thread = threading.Thread(target=running.serve, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@contextmanager
def accepting_nobody(path: Path | None = None) -> Iterator[tuple[Address, socket.socket]]:
    """Listen with a queue that is full; the listener is for who wants to make room in it."""
    family, name = (socket.AF_INET, ("127.0.0.1", 0)) if path is None else (socket.AF_UNIX, str(path))
    with ExitStack() as sockets:
        listener = sockets.enter_context(socket.socket(family))
        listener.bind(name)
        listener.listen(0)
        waiting = sockets.enter_context(socket.socket(family))
        waiting.connect(listener.getsockname())
        yield Address(path=str(path)) if path else Address(*listener.getsockname()), listener
