"""One client's connection in the protocols of Tokyo Tyrant, in whatever mixture it sends them.

The first byte of a request tells its protocol: the binary one, or text, which is memcached's or HTTP.
Source: the Tokyo Tyrant protocol reference, section 1.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kt_core.errors import KTError, ProtocolError
from kt_core.server.channel import Channel, Incoming
from kt_core.server.tyrant import commands, memcached, quick, replication, web
from kt_core.server.tyrant.counters import INDEX
from kt_core.wire import http
from kt_core.wire import tt_messages as tt
from kt_core.wire.memcached import TextDecoder, Words
from kt_core.wire.tt_binary import MAGIC, RequestDecoder, encode_reply
from kt_core.wire.tt_messages import Reply, Request

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

_GET, _PUT = bytes((quick.GET_COMMAND,)), bytes((quick.PUT_COMMAND,))


class TyrantConnection(Channel):
    """The server's end of a connection."""

    def __init__(self, server: TyrantServer) -> None:
        super().__init__(server)
        self._server = server
        self._lane = server.lane
        self._binary = RequestDecoder(buffer=self._buffer)
        self._text = TextDecoder(buffer=self._buffer)

    def data_received(self, data: bytes) -> None:
        lane = self._lane
        if lane is None or data[0] != MAGIC or self._awaited or self._blocked or self._decoder is not None:
            super().data_received(data)
            return
        if not self._vigil.heard:
            self._vigil.hear()
        command = data[1:2]
        if command == _GET and (reply := quick.get(lane, data)) is not None:
            self._transport.write(reply)
        elif command == _PUT and quick.put(lane, data, self._stored):
            self._awaited = True
        else:
            self._advance(data)

    def _stored(self, outcome: KTError | None) -> None:
        """Acknowledge the one record that was to be stored."""
        self._awaited = False
        if outcome is not None:
            self._complain(outcome)
        self._transport.write(quick.STORED if outcome is None else quick.NOT_FOUND)
        if self._early or self._ended:
            self._go_on()

    def _choose(self, first: bytes) -> Incoming:
        return self._binary if first[0] == MAGIC else self._text

    def _refuse_size(self) -> bytes:
        return b""

    def _handle(self, request: Request | Words | http.Request) -> None:
        server = self._server
        if isinstance(request, Words):
            self._answer(partial(memcached.answer, server, request), partial(self._reply_words, request))
        elif isinstance(request, http.Request):
            self._answer(partial(web.answer, server, request), partial(self._respond, request))
        elif isinstance(request, tt.Repl):
            server.counters[INDEX["cnt_repl"]] += 1
            if server.mask.forbids("repl"):
                self.close()
            else:
                self._answer(partial(replication.stream, server, request, self._send), lambda _: self.close())
        else:
            self._answer(partial(commands.answer, server, request), partial(self._reply, request))

    def _reply(self, request: Request, reply: Reply | KTError) -> None:
        if isinstance(reply, KTError):
            self._complain(reply)
            reply = commands.failure(request)
        if not isinstance(request, tt.PutNr):
            self._transport.write(encode_reply(reply))

    def _reply_words(self, request: Words, reply: bytes | KTError) -> None:
        if isinstance(reply, ProtocolError):
            self.close()
            return
        if isinstance(reply, KTError):
            self._complain(reply)
            reply = memcached.SERVER_ERROR
        if reply == memcached.CLIENT_ERROR or not memcached.is_silent(request):
            self._transport.write(reply)
        if reply == memcached.CLIENT_ERROR:
            self.close()

    def _respond(self, request: http.Request, response: bytes | KTError) -> None:
        if isinstance(response, ProtocolError):
            self.close()
            return
        if isinstance(response, KTError):
            self._complain(response)
            response = web.respond(500)
        self._transport.write(response)
        if not request.keep_alive:
            self.close()

    async def _send(self, data: bytes) -> None:
        """Send a part of a stream, once the client takes what it was sent before."""
        await self.taken()
        self._transport.write(data)

    def _complain(self, error: KTError) -> None:
        self._server.log.error("%s: %s", self.peer, error)
