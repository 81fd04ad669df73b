"""Remote procedure calls of Kyoto Tycoon: a procedure's name and parameters, a status and values, over HTTP.

Source: the Kyoto Tycoon protocol reference, sections 2.2 to 2.5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar, cast

from kt_core.errors import ProtocolError
from kt_core.wire import http, tsv
from kt_core.wire.columns import DECODE, Encoding, decode_url, encode_url
from kt_core.wire.exchange import NEED_DATA, REPLY_LIMITS, REQUEST_LIMITS, Limits, NeedData, Op, TooLarge
from kt_core.wire.numbers import parse_integer

T = TypeVar("T")

_PREFIX = b"/rpc/"
_FORM = b"application/x-www-form-urlencoded"
_TSV = b"text/tab-separated-values"
_CONTENT_TYPES: dict[Encoding, bytes] = {
    "": _TSV,
    "B": _TSV + b"; colenc=B",
    "Q": _TSV + b"; colenc=Q",
    "U": _TSV + b"; colenc=U",
}
_COLENC = re.compile(rb";\s*colenc\s*=\s*\"?([BQU])\"?\s*(?:;|$)", re.IGNORECASE)
_SEPARATORS = re.compile(rb"[&;]")

_READING = {"void", "echo", "report", "status", "get", "check", "get_bulk", "ulog_list"} | {
    f"match_{way}" for way in ("prefix", "regex", "similar")
}
_SETTING = {"set", "set_bulk", "replace", "clear", "synchronize", "vacuum"}
# Procedures that do twice what they do once, and are answered alike.
IDEMPOTENT: Final = frozenset(_READING | _SETTING)


class RpcRequest(NamedTuple):
    """A call; the parameters include the reserved ones (DB, CUR, WAIT, WAITTIME, SIGNAL, SIGNALBROAD)."""

    procedure: str
    parameters: Mapping[bytes, bytes] = {}

    @property
    def database(self) -> int | bytes:
        """The index or the name of the database meant."""
        return parse_database(self.parameters.get(b"DB", b""))

    @property
    def cursor(self) -> int | None:
        """The cursor meant, if one is."""
        number = parse_integer(self.parameters.get(b"CUR", b"-1"))
        return number if number >= 0 else None


class RpcReply(NamedTuple):
    """What a call came to."""

    status: int = 200
    values: Mapping[bytes, bytes] = {}

    @property
    def error(self) -> str:
        """What the server says about a failure."""
        return self.values.get(b"ERROR", b"").decode("utf-8", "replace")


class Failure(Enum):
    """The failures that the original server answers with, as status and text."""

    NO_RECORD = 450, b"DB: 7: no record: no record"
    DUPLICATE = 450, b"DB: 6: record duplication: record duplication"
    CONFLICT = 450, b"DB: 8: logical inconsistency: status conflict"
    NOT_A_NUMBER = 450, b"DB: 8: logical inconsistency: logical inconsistency"
    BAD_REGEX = 450, b"DB: 8: logical inconsistency: compilation failed"
    COMMAND_FAILED = 500, b"DB: 8: logical inconsistency: postprocessing failed"
    UNORDERED = 501, b"DB: 1: not implemented: not implemented"
    READ_ONLY = 500, b"DB: 4: no permission: permission denied"
    NO_DATABASE = 400, b"no such database"
    NO_CURSOR = 400, b"no such cursor"
    INVALID = 400, b"invalid parameters"
    TIMED_OUT = 503, b"the condition timed out"
    NO_SCRIPTS = 501, b"the scripting extention is disabled"
    NO_SCRIPT = 501, b"no such scripting procedure"
    NO_UPDATE_LOG = 400, b"no update log allows no replication"
    NO_REPLICATION = 501, b"the RTS file is not set"

    def __init__(self, status: int, text: bytes) -> None:
        self.status = status
        self.text = text

    @property
    def reply(self) -> RpcReply:
        """The reply that says so."""
        return RpcReply(self.status, {b"ERROR": self.text})


# What the status is after a script returned a code, and else.
_SCRIPT_STATUSES = {1: 501, 2: 400, 3: 450, 4: 503}
_SCRIPT_STATUS = 500


def not_implemented(procedure: str) -> RpcReply:
    """Return the reply to a call of a procedure that does not exist."""
    return RpcReply(501, {b"ERROR": b"not implemented: " + _to_bytes(procedure)})


def script_failed(code: int) -> RpcReply:
    """Return the reply to a call of a script that returned this code."""
    return RpcReply(_SCRIPT_STATUSES.get(code, _SCRIPT_STATUS), {b"ERROR": b"the scripting procedure failed"})


def parse_database(text: bytes) -> int | bytes:
    """Return the index or the name of the database that a text means; the empty one means the first."""
    if text and not text[:1].isdigit():
        return text
    return parse_integer(text)


# --- Requests


def encode_request(request: RpcRequest) -> http.Request:
    """Return the call as a POST, its parameters as they are where that can be, else in base64."""
    encoding: Encoding = ""
    rows = request.parameters.items()
    body = tsv.encode(rows, encoding)
    if not body.count(b"\t") == body.count(b"\n") == len(rows) or b"\r" in body or b"\0" in body:
        encoding = "B"
        body = tsv.encode(rows, encoding)
    return http.Request(b"POST", _target(request.procedure), {b"content-type": _CONTENT_TYPES[encoding]}, body)


@lru_cache(256)
def _target(procedure: str) -> bytes:
    return _PREFIX + encode_url(_to_bytes(procedure))


def decode_request(request: http.Request, limits: Limits = REQUEST_LIMITS) -> RpcRequest | None:
    """Return the call that a request makes, whatever its method; None if its path is not that of a call."""
    path, _, query = request.target.partition(b"?")
    if not path.startswith(_PREFIX):
        return None
    parameters = dict(_decode_form(query, limits)) if query else {}
    content_type = request.headers.get(b"content-type", b"")
    if _has_kind(content_type, _TSV):
        _check_count(request.body.count(b"\n"), limits)
        parameters.update(tsv.decode_request(request.body, ""))
        if encoding := _encoding(content_type):  # of all parameters, those of the query too
            column = DECODE[encoding]
            parameters = {column(name): column(value) for name, value in sorted(parameters.items())}
    elif _has_kind(content_type, _FORM):
        parameters.update(_decode_form(request.body, limits))
    return RpcRequest(_procedure(path), parameters)


@lru_cache(256)
def _procedure(path: bytes) -> str:
    return _from_bytes(decode_url(path[len(_PREFIX) :]))


@lru_cache(256)
def _has_kind(content_type: bytes, kind: bytes) -> bool:
    return content_type.lower().startswith(kind)


def _decode_form(text: bytes, limits: Limits) -> Iterable[tsv.Row]:
    _check_count(text.count(b"&") + text.count(b";"), limits)
    for field in _SEPARATORS.split(text):
        name, _, value = field.partition(b"=")
        if field:
            yield decode_url(name), decode_url(value)


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.records:
        raise TooLarge(f"{count} parameters in one call; the limit is {limits.records}")


@lru_cache(256)
def _encoding(content_type: bytes) -> Encoding:
    found = _COLENC.search(content_type)
    return cast(Encoding, found[1].decode().upper()) if found else ""


def _to_bytes(procedure: str) -> bytes:
    return procedure.encode("utf-8", "surrogateescape")


def _from_bytes(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


# --- Replies


def encode_reply(reply: RpcReply, *, head: bool = False, keep_alive: bool = True) -> http.Response:
    """Return the response that carries a reply, in the encoding that the original server would choose."""
    rows = reply.values.items()
    encoding = tsv.choose_encoding(rows)
    body = None if head else tsv.encode_sorted(rows, encoding)
    return http.Response(reply.status, {b"content-type": _CONTENT_TYPES[encoding]}, body, keep_alive)


def decode_reply(response: http.Response) -> RpcReply:
    """Return the reply that a response carries; what is not of the procedure's making is an error text."""
    status, headers, body, _ = response
    content_type = headers.get(b"content-type", b"")
    if _has_kind(content_type, _TSV):
        return RpcReply(status, dict(tsv.decode_reply(body or b"", _encoding(content_type))))
    if status == 200:
        raise ProtocolError(f"a reply to a call of type {content_type!r}")
    return RpcReply(status, {b"ERROR": (body or b"").rstrip()})


class RpcReplyDecoder:
    """Decodes the replies to calls."""

    def __init__(self, limits: Limits = REPLY_LIMITS) -> None:
        self._responses = http.ResponseDecoder(limits=limits)

    @property
    def rest(self) -> bytes:
        return self._responses.rest

    @property
    def closing(self) -> bool:
        return self._responses.closing

    def feed(self, data: bytes) -> RpcReply | NeedData:
        response = self._responses.feed(data)
        return NEED_DATA if response is NEED_DATA else decode_reply(response)


def rpc_op(procedure: str, parameters: Mapping[bytes, bytes], finish: Callable[[RpcReply], T]) -> Op[T]:
    """Return the exchange that makes a call."""
    payload = http.encode_request(encode_request(RpcRequest(procedure, parameters)))
    idempotent = procedure in IDEMPOTENT and not (b"SIGNAL" in parameters or b"WAIT" in parameters)
    return Op(payload, RpcReplyDecoder(), idempotent, finish)
