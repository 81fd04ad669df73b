"""Raw exchanges with a server: bytes out, and exactly the bytes of the replies back."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any, Self

from kt_core.server import Server
from kt_core.wire import http, kt_rpc
from kt_core.wire.exchange import Decoder, NeedData
from kt_core.wire.kt_binary import GetReply, RemoveReply, ReplyDecoder, ScriptReply, SetReply
from kt_core.wire.kt_rpc import RpcReply, RpcRequest

_VARYING = re.compile(rb"^(Server|Date): [^\r]*", re.MULTILINE)
_REPLIES: dict[int, type] = {0xB4: ScriptReply, 0xB8: SetReply, 0xB9: RemoveReply, 0xBA: GetReply}
_PATIENCE = 20  # seconds; what takes longer hangs


class Wire:
    """A connection that speaks in bytes."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(_PATIENCE)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, _PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """Send bytes, and wait for nothing."""
        for piece in pieces:
            self.socket.sendall(piece)

    def end(self) -> None:
        """Say that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def read(self, size: int) -> bytes:
        """Return so many bytes, or fewer if the server hangs up."""
        received = bytearray()
        while len(received) < size and (data := self._receive(size - len(received))):
            received += data
        return bytes(received)

    def rest(self) -> bytes:
        """Return all that comes before the server hangs up."""
        received = bytearray()
        while data := self._receive(1 << 16):
            received += data
        return bytes(received)

    def _receive(self, size: int) -> bytes:
        try:
            return self.socket.recv(size)
        except ConnectionResetError:  # it hung up without reading all that was sent
            return b""

    def ask(self, request: bytes) -> bytes:
        """Send a request and return the whole reply, or what comes of it before the server hangs up."""
        self.send(request)
        return self.reply(request)

    def reply(self, request: bytes) -> bytes:
        """Return the whole reply to a request that has been sent."""
        decoder = _decoder(request)
        received = bytearray()
        while data := self._receive(1 << 16):
            received += data
            if not isinstance(decoder.feed(data), NeedData):
                assert not decoder.rest, "more than one reply"
                break
        return bytes(received)

    def call(self, procedure: str, parameters: Mapping[bytes, bytes] | None = None, **named: Any) -> RpcReply:
        """Call a procedure and return status and values; named parameters may be of any type that has a text."""
        request = rpc(procedure, parameters, **named)
        return decode_call(self.ask(request))


def _decoder(request: bytes) -> Decoder[object]:
    if request[0] >= 0x80:
        return ReplyDecoder(_REPLIES[request[0]])
    return http.ResponseDecoder(head=request.startswith(b"HEAD"))


def connect(server: Server) -> Wire:
    """Connect to a server by TCP."""
    return Wire(("127.0.0.1", server.port))


def rpc(procedure: str, parameters: Mapping[bytes, bytes] | None = None, **named: Any) -> bytes:
    """Return the request that calls a procedure."""
    more = {name.encode(): _text(value) for name, value in named.items()}
    return http.encode_request(kt_rpc.encode_request(RpcRequest(procedure, {**(parameters or {}), **more})))


def decode_call(reply: bytes) -> RpcReply:
    """Return what the reply to a call says; it has to be one reply exactly."""
    decoder = kt_rpc.RpcReplyDecoder()
    said = decoder.feed(reply)
    assert isinstance(said, RpcReply), reply
    assert decoder.rest == b""
    return said


def _text(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def neutral(reply: bytes) -> bytes:
    """Return a reply without what differs from one server, and from one second, to the next."""
    return _VARYING.sub(rb"\1: ...", reply)
