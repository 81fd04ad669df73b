"""Listening sockets: TCP and unix, and how connections are taken from them.

An event loop takes one connection each time it looks; where hundreds come at once and those before them keep the loop
busy, the last would wait for a second. Here all that wait are taken together.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kt_core.errors import Misconfigured

_BACKLOG: Final = 1024
_AT_ONCE: Final = 256  # connections taken before others get their turn
_RECOVER: Final = 0.1  # seconds, where the process has no descriptor left


class Listener:
    """A listening socket of an event loop; each connection gets a protocol of its own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, bound: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop = loop
        self._socket = bound
        self._protocol = protocol
        self._beginnings: set[asyncio.Task[object]] = set()
        bound.setblocking(False)
        bound.listen(_BACKLOG)
        loop.add_reader(bound, self._accept)

    def close(self) -> None:
        """Take no more connections, and leave no path of a unix socket behind."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            if self._socket.family == socket.AF_UNIX:
                Path(self._socket.getsockname()).unlink(missing_ok=True)
            self._socket.close()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError:  # out of descriptors: asked again at once, it would say so again at once
                self._loop.remove_reader(self._socket)
                self._loop.call_later(_RECOVER, self._resume)
                return
            accepted.setblocking(False)
            beginning = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, accepted))
            self._beginnings.add(beginning)
            beginning.add_done_callback(self._beginnings.discard)

    def _resume(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.add_reader(self._socket, self._accept)


def tcp_socket(host: str | None, port: int) -> socket.socket:
    """Return a socket bound to an address, or with no host to every one; `Misconfigured` if it cannot be."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address[0], port, *address[2:]))  # the port that was looked up is cut to 16 bits
        except BaseException:
            bound.close()
            raise
        return bound
    except (OSError, OverflowError) as error:
        raise Misconfigured(f"{host}:{port} cannot be listened on ({error}): write another host or port") from error


def unix_socket(path: str) -> socket.socket:
    """Return a bound socket that only this user may connect to; one that a dead server has left is replaced."""
    place = Path(path)
    bound = socket.socket(socket.AF_UNIX)
    try:
        if place.is_socket() and _is_abandoned(path):
            place.unlink()
        mask = os.umask(0o177)
        try:
            bound.bind(path)
        finally:
            os.umask(mask)
        return bound
    except OSError as error:
        bound.close()
        raise Misconfigured(f"{path} cannot be listened on ({error}): write another path") from error


def _is_abandoned(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False
