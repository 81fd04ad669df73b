"""Small servers for the load generator: they answer its requests in each protocol, or as the test says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, MutableMapping

from kt_core.wire import tt_binary
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA
from kt_core.wire.kt_binary import (
    ErrorReply,
    GetBulk,
    GetReply,
    Reply,
    Request,
    RequestDecoder,
    SetBulk,
    SetReply,
    encode_reply,
)
from tests.peer import Behaviour

Records = MutableMapping[bytes, bytes]
# The pieces to send in the place of a right reply about a key; an empty one hangs up.
Answer = Callable[[bytes, bytes], Iterable[bytes]]


def rightly(key: bytes, reply: bytes) -> list[bytes]:
    return [reply]


def kyoto(records: Records, answer: Answer = rightly) -> Behaviour:
    """A Kyoto Tycoon server."""

    def behave(peer: socket.socket) -> None:
        decoder = RequestDecoder()
        while data := peer.recv(4096):
            message = decoder.feed(data)
            if message is not NEED_DATA:
                key, reply = _executed(message, records)
                if not _sent(peer, answer(key, encode_reply(reply))):
                    return

    return behave


def _executed(message: Request, records: Records) -> tuple[bytes, Reply]:
    if isinstance(message, SetBulk):
        ((_, key, value, _),) = message.records
        records[key] = value
        return key, SetReply(1)
    if isinstance(message, GetBulk):
        ((_, key),) = message.keys
        return key, GetReply([(0, key, records[key], 1_800_000_000)] if key in records else [])
    return b"", ErrorReply()


def tyrant(records: Records, answer: Answer = rightly) -> Behaviour:
    """A Tokyo Tyrant server."""

    def behave(peer: socket.socket) -> None:
        decoder = tt_binary.RequestDecoder()
        while data := peer.recv(4096):
            message = decoder.feed(data)
            if isinstance(message, tt.Put | tt.Get):
                reply: tt.Done | tt.Value | tt.Failed = tt.Done()
                if isinstance(message, tt.Put):
                    records[message.key] = message.value
                else:
                    reply = tt.Value(records[message.key]) if message.key in records else tt.Failed()
                if not _sent(peer, answer(message.key, tt_binary.encode_reply(reply))):
                    return

    return behave


def redis(records: Records, answer: Answer = rightly) -> Behaviour:
    """A Redis server; the requests are so short that each comes whole."""

    def behave(peer: socket.socket) -> None:
        while data := peer.recv(4096):
            command, key, *rest = data.split(b"\r\n")[2::2]
            if command == b"SET" and rest[1:] == [b"EX", b"86400"]:
                records[key] = rest[0]
                reply = b"+OK\r\n"
            elif command == b"GET" and not rest:
                value = records.get(key)
                reply = b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
            else:
                reply = b"-ERR unknown command\r\n"
            if not _sent(peer, answer(key, reply)):
                return

    return behave


def _sent(peer: socket.socket, pieces: Iterable[bytes]) -> bool:
    for piece in pieces:
        if not piece:
            return False
        peer.sendall(piece)
    return True
