"""One client's connection in the protocols of Kyoto Tycoon, in whatever mixture it sends them.

The first byte of a request tells its protocol.
Source: the Kyoto Tycoon protocol reference, sections 0, 1.6, 1.7 and 2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kt_core.errors import InvalidInput, KTError
from kt_core.server import binary, quick, rest, signals
from kt_core.server.call import Call, Refused, failed
from kt_core.server.channel import Channel, Incoming
from kt_core.server.counters import SCRIPT
from kt_core.server.procedures import PROCEDURES, UNKNOWN, Procedure
from kt_core.wire import http, kt_binary, kt_log, kt_rest, kt_rpc
from kt_core.wire.exchange import TooLarge
from kt_core.wire.kt_binary import GET_BULK, PLAY_SCRIPT, SET_BULK

if TYPE_CHECKING:
    from kt_core.server.cursors import ServedCursor
    from kt_core.server.feed import Subscription
    from kt_core.server.scripting.scripts import Scripts
    from kt_core.server.server import Server
    from kt_core.wire.kt_items import Pair

_EARLY: Final = 1 << 16  # bytes that are read ahead of an answer
_LONG: Final = 1 << 16  # bytes of a body that take so long to decode that others get their turn meanwhile
# What the log calls them.
_NAMES: Final[Mapping[type[Any], str]] = {
    kt_binary.SetBulk: "bin_set_bulk",
    kt_binary.RemoveBulk: "bin_remove_bulk",
    kt_binary.GetBulk: "bin_get_bulk",
    kt_binary.PlayScript: "bin_play_script",
}


class Connection(Channel):
    """The server's end of a connection."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._server = server
        self._lanes = server.lanes
        self._binary = kt_binary.RequestDecoder(buffer=self._buffer)
        self._http = http.RequestDecoder(buffer=self._buffer)
        self._quick = not server.logs_requests
        self.cursors: dict[int, ServedCursor] = {}
        self.subscription: Subscription | None = None
        """Once the client follows what this server changes."""

    def data_received(self, data: bytes) -> None:
        if not self._vigil.heard:
            self._vigil.hear()
        if self._awaited or self._blocked:
            if self.subscription is None:
                self._keep(data)
            else:
                self.subscription.acknowledge(data)
        elif self._decoder is not None or not self._quick:
            self._advance(data)
        elif data[0] == GET_BULK and (reply := quick.get(self._lanes, data)) is not None:
            self._transport.write(reply)
        elif data[0] == SET_BULK and quick.put(self._lanes, data, self._stored):
            self._awaited = True
        elif data[0] == PLAY_SCRIPT and self._server.scripts is not None and (call := quick.call(data)) is not None:
            self._play(self._server.scripts, *call)
        else:
            self._advance(data)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.cursors.clear()

    def _choose(self, first: bytes) -> Incoming:
        if first == kt_log.ACK:
            return kt_log.SubscribeDecoder(buffer=self._buffer)
        return self._binary if first >= b"\x80" or first == b"\0" else self._http

    def _refuse_size(self) -> bytes:
        if self._decoder is self._http:
            return self._server.encode(http.TOO_LARGE_RESPONSE)
        return kt_binary.encode_reply(kt_binary.ErrorReply())

    def _stored(self, outcome: KTError | None) -> None:
        """Acknowledge the one record that was to be stored."""
        self._awaited = False
        if outcome is None:
            self._transport.write(quick.STORED)
        else:
            self._refuse(outcome)
        if self._early or self._ended:
            self._go_on()

    def _handle(self, request: kt_binary.Request | http.Request | kt_log.Subscribe) -> None:
        if isinstance(request, kt_log.Subscribe):
            self._subscribe(request)
            return
        if not isinstance(request, http.Request):
            self._answer(partial(binary.answer, self._server, request), partial(self._reply_binary, request))
            return
        decode: Callable[[], Any] = partial(kt_rpc.decode_request, request)
        if len(request.body) > _LONG:
            decode = partial(self._server.in_thread, decode)
        self._answer(decode, partial(self._handle_http, request))

    def _subscribe(self, request: kt_log.Subscribe) -> None:
        feed = self._server.feed
        if feed is None:
            self._server.log.info("%s: no update log allows no replication", self.peer)
            self._transport.write(kt_log.encode_answer(kt_binary.ErrorReply()))
            self.close()
        else:
            self._answer(partial(feed.serve, self, request), lambda _: self.close())

    def _handle_http(self, request: http.Request, call: kt_rpc.RpcRequest | TooLarge | None) -> None:
        server = self._server
        if call is None:
            wanted = kt_rest.decode_request(request)
            self._answer(partial(rest.answer, server, wanted, request.target), partial(self._reply_rest, request))
        elif isinstance(call, TooLarge):
            self._respond(request._replace(keep_alive=False), http.TOO_LARGE_RESPONSE)
        else:
            self._make_call(request, call)

    def _make_call(self, request: http.Request, call: kt_rpc.RpcRequest) -> None:
        server = self._server
        procedure = PROCEDURES.get(call.procedure, UNKNOWN)
        ask = partial(procedure.answer, Call(server, self.cursors, call))
        reply = partial(self._reply_call, request, call, procedure)
        if b"WAIT" not in call.parameters:
            self._answer(ask, reply)
            return

        def go_on(failure: kt_rpc.RpcReply | None) -> None:
            if failure is None:
                self._answer(ask, reply)
            else:
                self._tell(request, failure)

        self._answer(partial(signals.wait, server.conditions, self, call.parameters), go_on)

    def _play(self, scripts: Scripts, name: bytes, pairs: list[Pair]) -> None:
        self._server.counters[SCRIPT] += 1
        self._awaited = True
        self._task = call = scripts.call(name, pairs, binary.script_reply)
        call.begin(self._played)

    def _played(self, reply: kt_binary.Reply | bytes) -> None:
        """Answer a call of a script."""
        self._task = None
        self._awaited = False
        self._transport.write(reply if isinstance(reply, bytes) else kt_binary.encode_reply(reply))
        if self._early or self._ended:
            self._go_on()

    def _reply_binary(self, request: kt_binary.Request, reply: kt_binary.Reply | bytes | KTError) -> None:
        heard = isinstance(request, kt_binary.GetBulk) or not request.no_reply
        done = not isinstance(reply, KTError | kt_binary.ErrorReply)
        if self._server.logs_requests:
            self._server.log.info("(%s): %s: %d", self.peer, _NAMES[type(request)], done)
        if isinstance(reply, KTError):
            self._refuse(reply, heard)
        elif not done and not isinstance(request, kt_binary.PlayScript):
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
        self,
        request: http.Request,
        call: kt_rpc.RpcRequest,
        procedure: Procedure,
        outcome: kt_rpc.RpcReply | Refused | KTError,
    ) -> None:
        if isinstance(outcome, KTError) and not isinstance(outcome, InvalidInput):
            self._server.log.error("%s: %s", self.peer, outcome)
        reply = outcome if isinstance(outcome, kt_rpc.RpcReply) else failed(outcome)
        if not isinstance(outcome, Refused):
            self._server.count(procedure.counts, missed=reply.status != 200)
        if b"SIGNAL" in call.parameters:
            reply = signals.signal(self._server.conditions, call.parameters, reply)
        self._tell(request, reply)

    def _tell(self, request: http.Request, reply: kt_rpc.RpcReply) -> None:
        self._respond(
            request, kt_rpc.encode_reply(reply, head=request.method == b"HEAD", keep_alive=request.keep_alive)
        )

    def _reply_rest(self, request: http.Request, reply: kt_rest.RestReply | KTError) -> None:
        if isinstance(reply, KTError):
            self._server.log.error("%s: %s", self.peer, reply)
            reply = kt_rest.RestReply(500, error=failed(reply).values[b"ERROR"])
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
