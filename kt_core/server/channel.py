"""One client's connection, whatever it speaks: requests in, replies out, in order.

Most requests are answered at once; a change is answered when the turn of the event loop has made it, and a long piece
of work when it is done. What a client sends meanwhile waits, unread if it is much. A connection on which nothing moves
for too long in the midst of a request or a reply is to be closed: `is_stuck` tells.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from kt_core.errors import KTError, ProtocolError
from kt_core.server.call import Changing, Refused, Waiting
from kt_core.wire.exchange import NEED_DATA, Buffer, TooLarge

if TYPE_CHECKING:
    from kt_core.server.service import Service

_EARLY: Final = 1 << 16  # bytes that are read ahead of an answer
_LONGEST: Final = 1e9  # seconds; a loop takes no more of them


class Incoming(Protocol):
    """Decodes the requests of one protocol."""

    def feed(self, data: bytes, /) -> Any:
        """Take what has arrived; return a request, or `NEED_DATA`."""


class Channel(asyncio.Protocol):
    """The server's end of a connection; what it speaks is up to those that derive from it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._vigil = service.vigil
        self._buffer = Buffer()
        self._decoder: Incoming | None = None
        """Of a request that has begun."""
        self._early = b""  # received while an answer was awaited
        self._awaited = False
        self._blocked = False  # the client does not take its answers
        self._ended = False  # the client sends no more
        self._closing = False
        self._task: asyncio.Task[Any] | Waiting | None = None
        self.heard = 0.0
        """When something last moved while half a request or an untaken reply stood; 0 while none does."""
        self._untaken = 0  # bytes
        self._taking: asyncio.Future[None] | None = None
        self._hope: asyncio.Future[bool] | None = None  # of the request that waits for something
        self.peer = ""

    # -- what the protocols differ in ----------------------------------------------------------------------

    @abstractmethod
    def _choose(self, first: bytes) -> Incoming:
        """Return what decodes a request that begins with this byte."""

    @abstractmethod
    def _handle(self, request: Any) -> None:
        """Answer a request."""

    @abstractmethod
    def _refuse_size(self) -> bytes:
        """Return what is sent before the connection is closed for a request that is too large."""

    # -- what the event loop calls -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self._service.welcome(self, self._transport)

    def data_received(self, data: bytes) -> None:
        if not self._vigil.heard:
            self._vigil.hear()
        if self._awaited or self._blocked:
            self._keep(data)
        else:
            self._advance(data)

    def _keep(self, data: bytes) -> None:
        """Put aside what arrives while an answer is awaited."""
        self._early += data
        if len(self._early) > _EARLY:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        if self._hope is not None:  # nobody may be there to have what is waited for
            _settle(self._hope)
        if isinstance(self._task, Waiting):
            self._task.doubt()
        return self._awaited or self._blocked  # whether to keep the connection for what is to be sent yet

    def pause_writing(self) -> None:
        self._blocked = True
        self.heard = self._service.now

    def resume_writing(self) -> None:
        self._blocked = False
        self.heard = 0.0
        if self._taking is not None:
            if not self._taking.done():  # whoever waited may have gone
                self._taking.set_result(None)
            self._taking = None
        self._go_on()

    async def taken(self) -> None:
        """Wait until the client takes what it is sent."""
        if self._blocked:
            self._taking = self._service.loop.create_future()
            await self._taking

    @property
    def has_ended(self) -> bool:
        """Whether the client sends no more."""
        return self._ended

    async def wait_for(self, happening: asyncio.Future[bool], seconds: float) -> bool:
        """Wait for something, for so long and while the client may send more; return what came of it, or False."""
        timer = self._service.loop.call_later(min(seconds, _LONGEST), _settle, happening)
        self._hope = happening
        if self._ended:
            _settle(happening)
        try:
            return await happening
        finally:
            self._hope = None
            timer.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._service.part(self)
        if self._task is not None:
            self._task.cancel()

    def send(self, data: bytes) -> None:
        """Send part of an answer that goes on."""
        self._transport.write(data)

    # -- requests ----------------------------------------------------------------------------------------

    def is_stuck(self, since: float) -> bool:
        """Tell whether half a request or an untaken reply has stood still since then; `heard` is not 0."""
        untaken = self._transport.get_write_buffer_size()
        if untaken != self._untaken:
            self._untaken = untaken
            self.heard = self._service.now
        return self.heard < since

    def finish(self) -> None:
        """Answer what has arrived, and nothing that comes later; then close the connection."""
        if not self.eof_received():
            self.close()
        elif not self._closing:
            self._transport.pause_reading()

    def close(self) -> None:
        """Close the connection once what was sent is on its way."""
        self._closing = True
        self.heard = self._service.now
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._closing = True
        self._transport.abort()

    def _advance(self, data: bytes) -> None:
        """Handle the requests that are there, until one has to be waited for."""
        try:
            while not (self._awaited or self._blocked or self._closing):
                request = self._next(data)
                data = b""
                if request is NEED_DATA:
                    break
                self._handle(request)
        except TooLarge:
            self._transport.write(self._refuse_size())
            self.close()
        except ProtocolError as error:
            self._service.log.debug("%s: %s", self.peer, error)
            self.close()
        except Exception:
            self._fail()
        stands = self._decoder is not None or self._blocked or self._closing
        self.heard = self._service.now if stands else 0.0

    def _next(self, data: bytes) -> Any:
        decoder = self._decoder
        if decoder is None:
            buffer = self._buffer
            first = buffer.data[buffer.at : buffer.at + 1] or data[:1]
            if not first:
                return NEED_DATA
            decoder = self._decoder = self._choose(first)
        request = decoder.feed(data)
        if request is not NEED_DATA:
            self._decoder = None
        return request

    # -- answers -----------------------------------------------------------------------------------------

    def _answer(self, ask: Callable[[], Any], reply: Callable[[Any], None]) -> None:
        """Reply at once, or see to it that it is done when what the answer waits for has happened."""
        try:
            answer = ask()
        except (KTError, Refused) as error:
            answer = error
        if isinstance(answer, bytes):  # ahead of what takes longer to tell
            reply(answer)
        elif isinstance(answer, Changing):
            self._awaited = True
            self._service.turn.add_all(answer.served, answer.changes, partial(self._changed, answer.reply, reply))
        elif isinstance(answer, Waiting):
            self._awaited = True
            self._task = answer
            answer.begin(partial(self._came, reply))
        elif isinstance(answer, Coroutine):
            self._awaited = True
            self._task = task = self._service.loop.create_task(answer)
            task.add_done_callback(partial(self._done, reply))
        else:
            reply(answer)

    def _changed(self, make: Callable[[list[Any]], Any], reply: Callable[[Any], None], outcomes: list[Any]) -> None:
        self._answered(lambda: reply(_made(make, outcomes)))

    def _came(self, reply: Callable[[Any], None], outcome: Any) -> None:
        self._task = None
        self._answered(lambda: reply(outcome))

    def _done(self, reply: Callable[[Any], None], task: asyncio.Task[Any]) -> None:
        self._task = None
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, KTError | Refused):
                self._answered(lambda: reply(error))
            else:
                self._answered(lambda: reply(task.result()))

    def _answered(self, reply: Callable[[], None]) -> None:
        """Send an answer that was awaited, and go on."""
        self._awaited = False
        try:
            reply()
        except Exception:
            self._fail()
        self._go_on()

    def _fail(self) -> None:
        """End the connection because of a fault of ours, which must not cost the others theirs."""
        self._service.log.exception("%s: a request failed", self.peer)
        self.abort()

    def _go_on(self) -> None:
        """Take up what has arrived meanwhile."""
        self._advance(b"")  # what was read before goes first, else it would grow with every answer
        if self._early and not (self._awaited or self._blocked or self._closing):
            data, self._early = self._early, b""
            if len(data) > _EARLY and not self._ended:
                self._transport.resume_reading()
            self._advance(data)
        if self._ended and not (self._awaited or self._blocked or self._closing):
            self.close()


def _made(make: Callable[[list[Any]], Any], outcomes: list[Any]) -> Any:
    """Return the answer that outcomes make, or the error that one of them is, or that making it ended in."""
    failed = next((outcome for outcome in outcomes if isinstance(outcome, KTError)), None)
    if failed is not None:
        return failed
    try:
        return make(outcomes)
    except KTError as error:
        return error


def _settle(happening: asyncio.Future[bool]) -> None:
    if not happening.done():
        happening.set_result(False)
