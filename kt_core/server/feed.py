"""What a master tells those that follow it: the changes in its update log, as they are made.

Who is close behind is told from memory, at once, and all alike: what a transaction changed is made into frames once.
Who is far behind is told from the files, as fast as it takes what it is sent; there is never more than one piece under
way to it. Source: the Kyoto Tycoon protocol reference, section 9.2.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kt_core.errors import ProtocolError
from kt_core.server import log as logs
from kt_core.server.updates import Chunk, Position, UpdateLog
from kt_core.wire.kt_log import (
    ACK,
    HEADER_SIZE,
    Frames,
    Heartbeat,
    Progress,
    Subscribe,
    Subscribed,
    decode_header,
    encode_answer,
    encode_message,
    to_frames,
)

if TYPE_CHECKING:
    from kt_core.server.connection import Connection
    from kt_core.server.server import Server

logger = logging.getLogger("kt_core.server")

_PIECE: Final = 1 << 18
_PROGRESS_EVERY: Final = 256  # changes that were passed over
_IDLE: Final = 0.1  # seconds between heartbeats while there is nothing to be told
_BUSY: Final = 0.01  # and while there is
_SHARE: Final = 0.0001  # seconds between the turns of subscribers, for each: to wake one takes a tenth of that
_ALL: Final = Subscribe(0, -1)


class Reader:
    """Reads the log for one subscriber, from a timestamp on."""

    def __init__(self, log: UpdateLog, request: Subscribe) -> None:
        self._log = log
        self._request = request
        self._passed = 0  # since the subscriber was last sent something
        self._file: int | None = None
        self.position = self._begin()

    def _begin(self) -> Position:
        log, since = self._log, self._request.ts
        if since >= log.told:
            return log.end
        for position, chunk in reversed(list(log.recent.items())):
            if chunk.first <= since:
                return position
        numbers = log.numbers()
        for number in numbers:
            with suppress(OSError, ProtocolError):
                if log.header(number).ts > since:
                    return Position(number, HEADER_SIZE)
        return log.end

    @property
    def is_at_end(self) -> bool:
        """Whether there is nothing more by now."""
        return self.position == self._log.end

    def read_recent(self) -> bytes | None:
        """Return what the subscriber is sent of the next transaction, if that is remembered."""
        chunk = self._log.recent.get(self.position)
        if chunk is None:
            return None
        self.close()
        self.position = chunk.end
        request = self._request
        if chunk.sid is not None and chunk.first > request.ts and (chunk.sid == request.sid) is request.only:
            return self._sent(Frames(_frames(chunk), 0, 0, chunk.last, 0))
        return self._sent(to_frames(chunk.entries, request))

    def read_file(self) -> bytes:
        """Return what the subscriber is sent of the next changes in the files; `ProtocolError` if one is damaged."""
        number, offset = self.position
        if self._file is None:
            try:
                self._file = os.open(self._log.path(number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if number >= self._log.end.number:
                    raise
                logger.warning("%s was removed before all who follow this server had read it", self._log.path(number))
                self.position = self._following(number)
                return b""
        end = self._log.end
        bound = end.offset if number == end.number else decode_header(os.pread(self._file, HEADER_SIZE, 0)).size
        frames = to_frames(os.pread(self._file, min(_PIECE, bound - offset), offset), self._request)
        if not frames.size and _PIECE < frames.wanted <= bound - offset:
            frames = to_frames(os.pread(self._file, frames.wanted, offset), self._request)
        if frames.size:
            self.position = Position(number, offset + frames.size)
        elif number < end.number:
            self.close()
            self.position = self._following(number)
        elif offset < bound:
            raise ProtocolError(f"{self._log.path(number)} is damaged at {offset}")
        return self._sent(frames)

    def _following(self, number: int) -> Position:
        following = min((each for each in self._log.numbers() if each > number), default=number + 1)
        return Position(following, HEADER_SIZE)

    def _sent(self, frames: Frames) -> bytes:
        """Return frames, or a sign of progress where many changes were passed over."""
        if frames.data:
            self._passed = 0
            return frames.data
        self._passed += frames.passed
        if self._passed < _PROGRESS_EVERY:
            return b""
        self._passed = 0
        return encode_message(Progress(frames.ts))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _frames(chunk: Chunk) -> bytes:
    """Return all changes of a transaction as frames, made once however many are sent them."""
    if not chunk.frames:
        chunk.frames = to_frames(chunk.entries, _ALL).data
    return chunk.frames


class Subscription:
    """One subscriber: what it is sent, and when it is expected to answer."""

    def __init__(self, server: Server, connection: Connection, log: UpdateLog, request: Subscribe) -> None:
        self.request = request
        self._server = server
        self._connection = connection
        self._log = log
        self._reader = Reader(log, request)
        self._awakening: asyncio.Future[bool] | None = None
        self._beaten = 0.0  # when the last heartbeat was sent
        self._answered = True

    def wake(self) -> None:
        """Have it look for changes."""
        if self._awakening is not None and not self._awakening.done():
            self._awakening.set_result(True)

    def acknowledge(self, data: bytes) -> None:
        """Take what the subscriber has sent."""
        if data.strip(ACK):
            self._server.log.info("%s: %r is no answer to a heartbeat", self._connection.peer, data[:8])
            self._connection.abort()
        self._answered = True
        self.wake()

    async def run(self) -> None:
        """Tell the changes, until the server or the connection ends."""
        connection, loop = self._connection, self._server.loop
        pause = _IDLE
        try:
            while not (self._server.is_ending or connection.has_ended):
                data = self._next()
                if data is not None:
                    pause = _BUSY
                    connection.send(data)
                    await connection.taken()
                    await asyncio.sleep(0)  # others' turn
                    continue
                now = loop.time()
                if not self._answered and now > self._beaten + self._server.options.timeout:
                    self._server.log.info("%s: answers no heartbeat", connection.peer)
                    connection.abort()
                    return
                due = self._beaten + pause
                if self._answered and now >= due:
                    if self._beat(now):
                        pause = _IDLE
                    continue
                self._awakening = loop.create_future()
                await connection.wait_for(self._awakening, due - now if self._answered else _IDLE)
        finally:
            self._reader.close()

    def _next(self) -> bytes | None:
        """Return what comes next, of one transaction or more; None if there is nothing more by now."""
        reader = self._reader
        parts: list[bytes] = []
        size = 0
        while size < _PIECE and (data := reader.read_recent()) is not None:
            parts.append(data)
            size += len(data)
        if parts:
            return b"".join(parts)
        return None if reader.is_at_end else reader.read_file()

    def _beat(self, now: float) -> bool:
        """Say that everything is told, if it is."""
        ts = self._log.horizon()
        if not self._reader.is_at_end:  # something was committed before that
            return False
        self._connection.send(encode_message(Heartbeat(max(ts, self.request.ts))))
        self._beaten = now
        self._answered = False
        return True


class Feed:
    """The subscribers of a server that keeps an update log."""

    def __init__(self, server: Server, log: UpdateLog) -> None:
        self.subscriptions: set[Subscription] = set()
        self._server = server
        self._loop = server.loop
        self._log = log
        self._thread = threading.get_ident()
        self._scheduled = False
        self._next = 0.0  # when the subscribers are woken again at the earliest
        log.changed = self._changed

    async def serve(self, connection: Connection, request: Subscribe) -> None:
        """Serve a subscriber until it or the server ends."""
        if request.sid == self._log.sid and not request.only:
            logger.warning(
                "%s follows under the -sid of this server, %d: it is told nothing that begins here; give it another",
                connection.peer,
                request.sid,
            )
        self._log.exceed(request.ts)
        if 0 < request.ts < self._log.oldest():
            logger.warning(
                "%s follows from %d on, where the update log begins with %d: it may lack what was removed",
                connection.peer,
                request.ts,
                self._log.oldest(),
            )
        logger.log(logs.SYSTEM, "%s follows: ts=%d sid=%d", connection.peer, request.ts, request.sid)
        subscription = Subscription(self._server, connection, self._log, request)
        self.subscriptions.add(subscription)
        connection.subscription = subscription
        connection.send(encode_answer(Subscribed()))
        try:
            await subscription.run()
        except (ProtocolError, OSError) as error:
            logger.error("%s can be told no more: %s", connection.peer, error)
            connection.abort()
        finally:
            self.subscriptions.discard(subscription)
            logger.log(logs.SYSTEM, "%s follows no more: sid=%d", connection.peer, request.sid)

    def _changed(self) -> None:
        if self.subscriptions and not self._scheduled:
            self._scheduled = True
            if threading.get_ident() == self._thread:
                self._loop.call_soon(self._wake)
            else:
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        now = self._loop.time()
        if now < self._next:
            self._loop.call_later(self._next - now, self._wake)
            return
        self._scheduled = False
        self._next = now + _SHARE * len(self.subscriptions)
        for subscription in self.subscriptions:
            subscription.wake()
