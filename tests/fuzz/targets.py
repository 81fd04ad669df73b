"""What is fuzzed: every decoder that bytes from a socket reach, on either side.

The first byte of an input says in pieces of which size the rest is fed. `ProtocolError` is the answer to bytes that are
wrong; whatever else is raised is a fault, and so is a message that depends on the pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from io import BytesIO
from typing import Any, Final

from kt_core.errors import ProtocolError, ServerError
from kt_core.kyoto import quick as kyoto
from kt_core.tyrant import quick as tyrant
from kt_core.wire import http, kt_log, kt_rest, kt_rpc, tt_binary
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, Decoder, Op
from kt_core.wire.kt_binary import (
    ErrorReply,
    GetReply,
    RemoveReply,
    ReplyDecoder,
    RequestDecoder,
    ScriptReply,
    SetReply,
)
from kt_core.wire.kt_log import Subscribe, Subscribed, SubscribeDecoder, encode_subscribe
from kt_core.wire.kt_snapshot import encode_record, read_header, read_records
from kt_core.wire.memcached import TextDecoder, WordsDecoder
from kt_core.wire.tt_log import LogDecoder, StreamDecoder, encode_log_record, encode_stream_record
from tests.fuzz.files import FILES
from tests.fuzz.readers import READERS
from tests.fuzz.servers import SERVERS

Target = Callable[[bytes], None]


def _messages(decoder: Decoder[Any], pieces: list[bytes]) -> list[Any]:
    """Return what a decoder makes of pieces; None at the end is for a refusal."""
    found: list[Any] = []
    try:
        for piece in pieces:
            message = decoder.feed(piece)
            while message is not NEED_DATA:
                found.append(message)
                if decoder.closing:
                    return found
                message = decoder.feed(b"")
    except ProtocolError:
        found.append(None)
    return found


def _fuzz(make: Callable[[], Decoder[Any]], use: Callable[[Any], object], data: bytes) -> None:
    size, rest = data[0] + 1 if data else 1, data[1:]
    whole = _messages(make(), [rest])
    pieces = _messages(make(), [rest[start : start + size] for start in range(0, len(rest), size)])
    assert whole == pieces, (whole, pieces)
    for message in whole:
        if message is not None:
            with suppress(ProtocolError):
                use(message)


def _reply(kind: Any, data: bytes) -> None:
    """Feed a reply to one request, which is all that a decoder of replies is asked for."""
    decoder = ReplyDecoder(kind)
    with suppress(ProtocolError):
        decoder.feed(data)


def _quick(data: bytes) -> None:
    """Feed a reply to whoever asks for what most ask for: at once it says the same as in pieces."""
    size, rest = data[0] + 1 if data else 1, data[2:]
    asks = _QUICK[data[1] % len(_QUICK) if len(data) > 1 else 0]
    assert _outcome(asks(), [rest]) == _outcome(asks(), [rest[at : at + size] for at in range(0, len(rest), size)])


def _outcome(op: Op[Any], pieces: list[bytes]) -> Any:
    """Return what comes of an exchange and what is left, or that it fails, or that it goes on."""
    assert op.decoder is not None
    try:
        for number, piece in enumerate(pieces, 1):
            reply = op.decoder.feed(piece)
            if reply is not NEED_DATA:
                return op.finish(reply), op.decoder.rest + b"".join(pieces[number:])
    except (ProtocolError, ServerError):
        return None
    return NEED_DATA


def _serve(request: http.Request) -> None:
    """Do what a server does with a request before it looks at its databases."""
    call = kt_rpc.decode_request(request)
    if call is None:
        kt_rest.decode_request(request)
        return
    kt_rpc.encode_reply(kt_rpc.RpcReply(200, call.parameters))
    _ = call.database, call.cursor


def _read(response: http.Response) -> None:
    """Do what a client does with a response, of whichever kind."""
    for decode in (kt_rpc.decode_reply, kt_rest.decode_reply):
        with suppress(ProtocolError):
            decode(response)


def _snapshot(data: bytes) -> None:
    """Read a snapshot file."""
    file = BytesIO(data[1:])
    with suppress(ProtocolError):
        read_header(file.read)
        for key, value, xt in read_records(file.read, expires=data[:1] > b"\0"):
            encode_record(key, value, xt)


def _encode_streamed(message: Any) -> None:
    """Encode what a master has sent."""
    encode = kt_log.encode_answer if isinstance(message, Subscribed | ErrorReply) else kt_log.encode_message
    encode(message)


def _log(data: bytes) -> None:
    """Read a file of an update log, change by change and as it is told to those that follow."""
    body = data[1:]
    _fuzz(kt_log.EntryDecoder, lambda entry: kt_log.encode_entry(*entry), data)
    with suppress(ProtocolError):
        kt_log.decode_header(body)
    with suppress(ProtocolError):
        frames = kt_log.to_frames(body, Subscribe(0, 1 << 16))
        told: list[bytes] = []
        for ts, payload in filter(None, _messages(kt_log.EntryDecoder(), [body])):
            if len(payload) < kt_log.ORIGIN.size:
                break
            told += [kt_log.encode_frame(ts, payload)] * (ts > 0)
        assert frames.data == b"".join(told)


_QUICK: Final[Sequence[Callable[[], Op[Any]]]] = (
    lambda: kyoto.get(0, b"k"),
    lambda: kyoto.fetch(0, [b"k", b"j"], dict),
    lambda: kyoto.fetch_texts(0, [b"k", b"j"]),
    lambda: kyoto.put(0, b"k", b"v"),
    lambda: tyrant.get(b"k", lambda found: found),
    lambda: tyrant.put(b"k", b"v"),
)

TARGETS: Final[Mapping[str, Target]] = {
    "binary_requests": partial(_fuzz, RequestDecoder, lambda _: None),
    "http_requests": partial(_fuzz, http.RequestDecoder, _serve),
    "http_responses": partial(_fuzz, http.ResponseDecoder, _read),
    "head_responses": partial(_fuzz, partial(http.ResponseDecoder, head=True), _read),
    **{
        f"{name}_replies": partial(_reply, kind)
        for name, kind in {"set": SetReply, "remove": RemoveReply, "get": GetReply, "script": ScriptReply}.items()
    },
    "tyrant_requests": partial(_fuzz, tt_binary.RequestDecoder, tt_binary.encode_request),
    **{
        f"tyrant_{name}_replies": partial(_fuzz, partial(tt_binary.ReplyDecoder, kind), tt_binary.encode_reply)
        for name, kind in {"value": tt.Value, "record": tt.Records, "element": tt.Elements, "double": tt.Double}.items()
    },
    "memcached_requests": partial(_fuzz, WordsDecoder, lambda _: None),
    "text_requests": partial(_fuzz, TextDecoder, lambda _: None),
    "snapshots": _snapshot,
    "subscriptions": partial(_fuzz, SubscribeDecoder, encode_subscribe),
    "streams": partial(_fuzz, partial(kt_log.StreamDecoder, plain={1}), _encode_streamed),
    "logs": _log,
    "tyrant_logs": partial(_fuzz, LogDecoder, encode_log_record),
    "tyrant_streams": partial(_fuzz, StreamDecoder, encode_stream_record),
    "quick_replies": _quick,
    **FILES,
    **READERS,
    **SERVERS,
}
