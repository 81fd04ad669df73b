"""Following a Kyoto Tycoon server: the changes in its update log as an iterator, waited for or awaited.

::

    with Changes("db1", since=position) as changes:
        for record in changes:
            print(record.ts, record.change)  # Set(db, key, value, xt), Remove(db, key) or Clear(db)
            position = changes.position

The server, which needs ``-ulog`` and ``-sid``, tells what it has logged after a timestamp, and goes on with each change
as it is made; there is no end. After an error, iterating goes on from `position` with a new connection, so nothing is
left out and nothing told twice. Source: the Kyoto Tycoon protocol reference, section 9.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Container
from types import TracebackType
from typing import Final, Self

from kt_core.errors import ConnectionFailed, NotSupported, Timeout
from kt_core.transport import CHUNK, Address, BaseConnection
from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.kt_binary import ErrorReply
from kt_core.wire.kt_log import (
    ACK,
    Change,
    Clear,
    Heartbeat,
    LogRecord,
    Message,
    Progress,
    Remove,
    Set,
    StreamDecoder,
    Subscribe,
    Subscribed,
    encode_subscribe,
)

__all__ = [
    "NOBODY",
    "AsyncChanges",
    "Change",
    "Changes",
    "Clear",
    "Heartbeat",
    "LogRecord",
    "Message",
    "Progress",
    "Remove",
    "Set",
]

NOBODY: Final = 0xFFFF
"""The number of no server: whoever subscribes with it is told every change."""


class _Stream(BaseConnection):
    """A subscription, and what has arrived of it.

    `since` is a timestamp as the server has them, nanoseconds since 1970: what comes after it is told, and with 0 all
    that is still in the log. Changes that began at the server `sid` are left out; with `only`, just those are told.
    With `heartbeats` the iterator also gives a `Heartbeat` whenever nothing is left to be told, and a `Progress` where
    something was left out. `timeout` is the seconds of silence after which the server is given up (one that has
    nothing to tell says so ten times a second), `connect_timeout` what connecting may take, None for the same.
    With `retry` a connection that fails is made anew after so many seconds; else that is an error. `plain` are the
    databases that the server opened with ``ktopts=p``.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 1978,
        *,
        path: str | None = None,
        since: int = 0,
        sid: int = NOBODY,
        only: bool = False,
        heartbeats: bool = False,
        timeout: float | None = 10.0,
        connect_timeout: float | None = None,
        retry: float | None = None,
        plain: Container[int] = (),
    ) -> None:
        super().__init__(Address(host, port, path), timeout, connect_timeout)
        self.position = since
        """The timestamp of the last change that was given out: what to subscribe from to go on later."""
        self._subscribed = Subscribe(since, sid, only)
        encode_subscribe(self._subscribed)  # numbers that do not fit are told of at once
        self._heartbeats = heartbeats
        self._retry = retry
        self._plain = plain
        self._arrived: deque[Message] = deque()
        self._begin()

    def _begin(self) -> bytes:
        """Forget what has arrived, and return the request to begin with."""
        self._decoder = StreamDecoder(plain=self._plain)
        self._arrived.clear()
        return encode_subscribe(self._subscribed._replace(ts=self.position))

    def _take(self, data: bytes) -> bytes:
        """Keep what has arrived, and return what is to be answered."""
        if not data:
            raise ConnectionFailed(f"{self.address} ended the stream of its changes")
        answer = b""
        message = self._decoder.feed(data)
        while message is not NEED_DATA:
            if isinstance(message, ErrorReply):
                raise NotSupported(f"{self.address} keeps no update log: start it with -ulog DIRECTORY and -sid NUMBER")
            if isinstance(message, Heartbeat):
                answer += ACK
            if not isinstance(message, Subscribed):
                self._arrived.append(message)
            message = self._decoder.feed(b"")
        return answer

    def _give(self) -> Message | None:
        """Return the next message that is wanted, if it has arrived."""
        while self._arrived:
            message = self._arrived.popleft()
            # A heartbeat's time is the server's clock: were that set back, what it logs next would come before it.
            if not isinstance(message, Heartbeat):
                self.position = message.ts
            if self._heartbeats or isinstance(message, LogRecord):
                return message
        return None

    def _give_all(self) -> list[Message]:
        return list(iter(self._give, None))

    def _silent(self) -> Timeout:
        return Timeout(f"{self.address} has told nothing for {self.timeout} s")

    def _fails(self, error: OSError) -> ConnectionFailed | Timeout:
        """Hang up, and return what to raise."""
        self.close()
        if isinstance(error, ConnectionFailed | Timeout):
            return error
        if isinstance(error, TimeoutError):
            return self._silent()
        return ConnectionFailed(f"the connection to {self.address} broke: {error}")


class Changes(_Stream):
    """The changes of a server, for one thread at a time; `close` hangs up, and iterating again connects anew."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        """Wait for the next change."""
        while (message := self._give()) is None:
            self._wait()
        return message

    def batch(self) -> list[Message]:
        """Return all that has arrived, having waited for some; `position` is then behind the last of it."""
        while not (messages := self._give_all()):
            self._wait()
        return messages

    def _wait(self) -> None:
        while True:
            try:
                return self._receive()
            except (ConnectionFailed, Timeout):
                if self._retry is None:
                    raise
                time.sleep(self._retry)

    def _receive(self) -> None:
        connected = self._socket
        try:
            if connected is None:
                request = self._begin()
                try:
                    connected = self._socket = self.address.connect(self.connect_timeout)
                except OSError as error:
                    raise self._unreachable(error) from error
                connected.settimeout(self.timeout)
                connected.sendall(request)
            answer = self._take(connected.recv(CHUNK))
            if answer:
                connected.sendall(answer)
        except OSError as error:
            raise self._fails(error) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncChanges(_Stream):
    """The same, awaited, for one task at a time: ``async with AsyncChanges(...) as changes``, and ``async for``."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while (message := self._give()) is None:
            await self._wait()
        return message

    async def batch(self) -> list[Message]:
        """Return all that has arrived, having waited for some; `position` is then behind the last of it."""
        while not (messages := self._give_all()):
            await self._wait()
        return messages

    async def _wait(self) -> None:
        while True:
            try:
                return await self._receive()
            except (ConnectionFailed, Timeout):
                if self._retry is None:
                    raise
                await asyncio.sleep(self._retry)

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        connected = self._socket
        try:
            if connected is None:
                request = self._begin()
                try:
                    async with asyncio.timeout(self.connect_timeout):
                        connected = self._socket = await self.address.connect_async()
                except OSError as error:
                    raise self._unreachable(error) from error
                await loop.sock_sendall(connected, request)
            async with asyncio.timeout(self.timeout):
                data = await loop.sock_recv(connected, CHUNK)
            answer = self._take(data)
            if answer:
                await loop.sock_sendall(connected, answer)
        except OSError as error:
            raise self._fails(error) from error
        except BaseException:
            self.close()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
