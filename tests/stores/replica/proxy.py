"""A proxy before a master, which can be told to break every connection or to hold back what the master says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kt_core.transport import Address


class Proxy:
    """Passes everything on, each direction of each connection in a thread."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(*self._listener.getsockname()[:2])
        self.accepted = 0
        self.cut_after: int | None = None
        """Bytes that the master may say on each connection from now on before it is broken."""
        self.flowing = threading.Event()
        self.flowing.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Break every connection."""
        for pair in self._pairs:
            for connected in pair:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self.flowing.set()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        for connected in (self._listener, *(each for pair in self._pairs for each in pair)):
            connected.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                master = socket.create_connection((self._target.host, self._target.port))
            except OSError:
                client.close()
                continue
            self._pairs.append((client, master))
            for arguments in ((client, master, None), (master, client, self.cut_after)):
                thread = threading.Thread(target=self._pass, args=arguments, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, most: int | None) -> None:
        with suppress(OSError):
            while most != 0 and (data := source.recv(1 << 16 if most is None else most)):
                most = None if most is None else most - len(data)
                self.flowing.wait(10)
                sink.sendall(data)
        for connected in (source, sink):
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


@contextmanager
def before(target: Address) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
