"""Addresses, and a connection: the only place where blocking code touches a socket.

Any doubt about a connection closes it: after an error, a timeout or an interruption in mid-exchange the next
reply on it could be somebody else's.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kt_core.errors import ConnectionFailed, KTError, Timeout
from kt_core.wire.exchange import Flow, NeedData, Op

T = TypeVar("T")

CHUNK: Final = 1 << 16


@dataclass(frozen=True)
class Address:
    """Where a server listens: host and port, or the path of a unix socket."""

    host: str = "127.0.0.1"
    port: int = 1978
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, timeout: float | None) -> socket.socket:
        """Return a connected socket; OSError as the system gives it."""
        if self.path is None:
            return _without_delay(socket.create_connection((self.host, self.port), timeout))
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(timeout)
            connected.connect(self.path)
        except BaseException:
            connected.close()
            raise
        return connected

    async def connect_async(self) -> socket.socket:
        """Return a connected, non-blocking socket; OSError as the system gives it."""
        loop = asyncio.get_running_loop()
        if self.path is None:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            candidates: list[tuple[int, Any]] = [(family, address) for family, _, _, _, address in found]
        else:
            candidates = [(socket.AF_UNIX, self.path)]
        failure: OSError = OSError(f"{self.host} has no address")
        for family, address in candidates:
            connected = socket.socket(family, socket.SOCK_STREAM)
            try:
                connected.setblocking(False)
                await loop.sock_connect(connected, address)
            except OSError as error:
                connected.close()
                failure = error
            except BaseException:
                connected.close()
                raise
            else:
                return connected if self.path is not None else _without_delay(connected)
        raise failure


def _without_delay(connected: socket.socket) -> socket.socket:
    # A request of two segments would wait 40 ms for the other side's delayed acknowledgement.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class Connection:
    """One connection to a server, for one caller at a time.

    `timeout` is the seconds that a whole exchange may take, None for any time.
    """

    def __init__(
        self,
        address: Address,
        timeout: float | None,
        *,
        connect_timeout: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address
        self.timeout = timeout
        self.answered = False
        """Whether any byte of a reply has come since the last exchange began; if none has, another try is no loss."""
        self._clock = clock
        try:
            self._socket: socket.socket | None = address.connect(connect_timeout or timeout)
        except TimeoutError as error:
            raise Timeout(f"{address} does not accept a connection within {connect_timeout or timeout} s") from error
        except OSError as error:
            raise ConnectionFailed(f"{address} cannot be reached: {error}") from error

    @property
    def usable(self) -> bool:
        """Whether another exchange may begin."""
        return self._socket is not None

    def is_idle(self) -> bool:
        """Tell whether the server has neither closed the connection nor sent anything out of turn."""
        if self._socket is None:
            return False
        try:
            self._socket.setblocking(False)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        self.close()
        return False

    def run(self, op: Op[T]) -> T:
        """Send a request and return the reply; any error closes the connection."""
        connected = self._socket
        if connected is None:
            raise ConnectionFailed(f"the connection to {self.address} is closed")
        self.answered = False
        decoder = op.decoder
        deadline = None if self.timeout is None else self._clock() + self.timeout
        try:
            connected.settimeout(self.timeout)
            connected.sendall(op.payload)
            while data := connected.recv(CHUNK):
                self.answered = True
                reply = decoder.feed(data)
                if not isinstance(reply, NeedData):
                    if decoder.closing or decoder.rest:
                        self.close()
                    return reply
                if deadline is not None:
                    connected.settimeout(max(deadline - self._clock(), 1e-6))
        except KTError:
            self.close()
            raise
        except TimeoutError as error:
            self.close()
            raise Timeout(f"{self.address} did not answer within {self.timeout} s") from error
        except OSError as error:
            self.close()
            raise ConnectionFailed(f"the connection to {self.address} broke: {error}") from error
        except BaseException:
            self.close()
            raise
        self.close()
        raise ConnectionFailed(f"{self.address} closed the connection before its reply was whole")

    def drive(self, flow: Flow[T]) -> T:
        """Run the exchanges of a flow on this connection and return its result."""
        reply: Any = None
        while True:
            try:
                op = flow.send(reply)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = self.run(op)

    def close(self) -> None:
        """Close the connection; again is harmless."""
        connected, self._socket = self._socket, None
        if connected is not None:
            connected.close()
