"""One client's connection: requests in, replies out, in order, whatever mixture of protocols it sends.

The first byte of a request tells its protocol. Most are answered at once; a change is answered when the turn of the
event loop has made it, and a long piece of work when it is done. What a client sends meanwhile waits, unread if it is
much.
Source: the Kyoto Tycoon protocol reference, sections 0, 1.6, 1.7 and 2.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from kt_core.errors import InvalidInput, KTError, ProtocolError
from kt_core.server import binary, quick, rest
from kt_core.server.call import Call, Changing, Refused, failed
from kt_core.server.procedures import PROCEDURES, UNKNOWN, Procedure
from kt_core.wire import http, kt_binary, kt_rest, kt_rpc
from kt_core.wire.exchange import NEED_DATA, Buffer, NeedData, TooLarge
from kt_core.wire.kt_binary import GET_BULK, SET_BULK

if TYPE_CHECKING:
    from kt_core.server.cursors import ServedCursor
    from kt_core.server.server import Server

_EARLY: Final = 1 << 16  # bytes that are read ahead of an answer
_LONG: Final = 1 << 16  # bytes of a body that take so long to decode that others get their turn meanwhile


class Connection(asyncio.Protocol):
    """The server's end of a connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._vigil = server.vigil
        self._lanes = server.lanes
        self._buffer = Buffer()
        self._binary = kt_binary.RequestDecoder(buffer=self._buffer)
        self._http = http.RequestDecoder(buffer=self._buffer)
        self._decoder: kt_binary.RequestDecoder | http.RequestDecoder | None = None  # of a request that has begun
        self._early = b""  # received while an answer was awaited
        self._awaited = False
        self._blocked = False  # the client does not take its answers
        self._ended = False  # the client sends no more
        self._closing = False
        self._task: asyncio.Task[Any] | None = None
        self.cursors: dict[int, ServedCursor] = {}
        self.heard = 0.0
        """When something last moved while half a request or an untaken reply stood; 0 while none does."""
        self._untaken = 0  # bytes
        self.peer = ""

    # -- what the event loop calls -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self._server.welcome(self, self._transport)

    def data_received(self, data: bytes) -> None:
        if not self._vigil.heard:
            self._vigil.hear()
        if self._awaited or self._blocked:
            self._early += data
            if len(self._early) > _EARLY:
                self._transport.pause_reading()
        elif self._decoder is not None:
            self._advance(data)
        elif data[0] == GET_BULK and (reply := quick.get(self._lanes, data)) is not None:
            self._transport.write(reply)
        elif data[0] == SET_BULK and quick.put(self._lanes, data, self._stored):
            self._awaited = True
        else:
            self._advance(data)

    def eof_received(self) -> bool:
        self._ended = True
        return self._awaited or self._blocked  # whether to keep the connection for what is to be sent yet

    def pause_writing(self) -> None:
        self._blocked = True
        self.heard = self._server.now

    def resume_writing(self) -> None:
        self._blocked = False
        self.heard = 0.0
        self._go_on()

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._server.part(self)
        if self._task is not None:
            self._task.cancel()
        self.cursors.clear()

    # -- requests ----------------------------------------------------------------------------------------

    def is_stuck(self, since: float) -> bool:
        """Tell whether half a request or an untaken reply has stood still since then; `heard` is not 0."""
        untaken = self._transport.get_write_buffer_size()
        if untaken != self._untaken:
            self._untaken = untaken
            self.heard = self._server.now
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
        self.heard = self._server.now
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
                if isinstance(request, NeedData):
                    break
                self._handle(request)
        except TooLarge:
            response = kt_binary.encode_reply(kt_binary.ErrorReply())
            if self._decoder is self._http:
                response = self._server.encode(http.TOO_LARGE_RESPONSE)
            self._transport.write(response)
            self.close()
        except ProtocolError as error:
            self._server.log.debug("%s: %s", self.peer, error)
            self.close()
        except Exception:
            self._fail()
        stands = self._decoder is not None or self._blocked or self._closing
        self.heard = self._server.now if stands else 0.0

    def _next(self, data: bytes) -> kt_binary.Request | http.Request | NeedData:
        decoder = self._decoder
        if decoder is None:
            buffer = self._buffer
            first = buffer.data[buffer.at : buffer.at + 1] or data[:1]
            if not first:
                return NEED_DATA
            decoder = self._decoder = self._binary if first >= b"\x80" or first == b"\0" else self._http
        request = decoder.feed(data)
        if request is not NEED_DATA:
            self._decoder = None
        return request

    def _stored(self, outcome: KTError | None) -> None:
        """Acknowledge the one record that was to be stored."""
        self._awaited = False
        if outcome is None:
            self._transport.write(quick.STORED)
        else:
            self._refuse(outcome)
        if self._early or self._ended:
            self._go_on()

    def _handle(self, request: kt_binary.Request | http.Request) -> None:
        if not isinstance(request, http.Request):
            self._answer(partial(binary.answer, self._server, request), partial(self._reply_binary, request))
            return
        decode: Callable[[], Any] = partial(kt_rpc.decode_request, request)
        if len(request.body) > _LONG:
            decode = partial(self._server.in_thread, decode)
        self._answer(decode, partial(self._handle_http, request))

    def _handle_http(self, request: http.Request, call: kt_rpc.RpcRequest | TooLarge | None) -> None:
        server = self._server
        if call is None:
            wanted = kt_rest.decode_request(request)
            self._answer(partial(rest.answer, server, wanted, request.target), partial(self._reply_rest, request))
        elif isinstance(call, TooLarge):
            self._respond(request._replace(keep_alive=False), http.TOO_LARGE_RESPONSE)
        else:
            procedure = PROCEDURES.get(call.procedure, UNKNOWN)
            reply = partial(self._reply_call, request, procedure)
            self._answer(partial(procedure.answer, Call(server, self.cursors, call)), reply)

    # -- answers -----------------------------------------------------------------------------------------

    def _answer(self, ask: Callable[[], Any], reply: Callable[[Any], None]) -> None:
        """Reply at once, or see to it that it is done when what the answer waits for has happened."""
        try:
            answer = ask()
        except (KTError, Refused) as error:
            answer = error
        if isinstance(answer, Changing):
            self._awaited = True
            self._server.turn.add_all(answer.served, answer.changes, partial(self._changed, answer.reply, reply))
        elif isinstance(answer, Coroutine):
            self._awaited = True
            self._task = self._server.loop.create_task(answer)
            self._task.add_done_callback(partial(self._done, reply))
        else:
            reply(answer)

    def _changed(self, make: Callable[[list[Any]], Any], reply: Callable[[Any], None], outcomes: list[Any]) -> None:
        failed = next((outcome for outcome in outcomes if isinstance(outcome, KTError)), None)
        self._answered(lambda: reply(make(outcomes) if failed is None else failed))

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
        self._server.log.exception("%s: a request failed", self.peer)
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

    def _reply_binary(self, request: kt_binary.Request, reply: kt_binary.Reply | bytes | KTError) -> None:
        heard = isinstance(request, kt_binary.GetBulk) or not request.no_reply
        if isinstance(reply, KTError):
            self._refuse(reply, heard)
        elif isinstance(reply, kt_binary.ErrorReply) and not isinstance(request, kt_binary.PlayScript):
            self._refuse("a request failed", heard)
        elif heard:
            self._transport.write(reply if isinstance(reply, bytes) else kt_binary.encode_reply(reply))

    def _refuse(self, reason: object, heard: bool = True) -> None:
        """Say that a binary request failed, which ends the connection."""
        self._server.log.error("%s: %s", self.peer, reason)
        if heard:
            self._transport.write(kt_binary.encode_reply(kt_binary.ErrorReply()))
        self.close()

    def _reply_call(
        self, request: http.Request, procedure: Procedure, outcome: kt_rpc.RpcReply | Refused | KTError
    ) -> None:
        if isinstance(outcome, KTError) and not isinstance(outcome, InvalidInput):
            self._server.log.error("%s: %s", self.peer, outcome)
        reply = outcome if isinstance(outcome, kt_rpc.RpcReply) else failed(outcome)
        if not isinstance(outcome, Refused):
            self._server.count(procedure.counts, missed=reply.status != 200)
        self._respond(
            request, kt_rpc.encode_reply(reply, head=request.method == b"HEAD", keep_alive=request.keep_alive)
        )

    def _reply_rest(self, request: http.Request, reply: kt_rest.RestReply | KTError) -> None:
        if isinstance(reply, KTError):
            self._server.log.error("%s: %s", self.peer, reply)
            reply = kt_rest.RestReply(500, error=str(reply).encode())
        self._respond(
            request, kt_rest.encode_reply(reply, head=request.method == b"HEAD", keep_alive=request.keep_alive)
        )

    def _respond(self, request: http.Request, response: http.Response) -> None:
        server = self._server
        self._transport.write(server.encode(response))
        if server.logs_requests:
            server.log.info("(%s): %s: %d", self.peer, http.first_line(request), response.status)
        if not request.keep_alive:
            self.close()
