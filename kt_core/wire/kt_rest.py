"""The REST interface of Kyoto Tycoon: a record under a path, its expiry and the outcome in headers.

Source: the Kyoto Tycoon protocol reference, section 8. Which database index exists, and which methods do, is for
the server to say.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from kt_core.errors import InvalidInput, ProtocolError
from kt_core.wire import http
from kt_core.wire.columns import decode_url, encode_url
from kt_core.wire.dates import format_date, parse_date
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX
from kt_core.wire.kt_rpc import Failure, parse_database

Mode: TypeAlias = Literal["set", "add", "replace"]
_MODES: dict[bytes, Mode] = {b"set": "set", b"add": "add", b"replace": "replace"}


class RestRequest(NamedTuple):
    """A request for a record; the expiry is a negative absolute second, or `NEVER_XT`."""

    method: bytes
    database: int | bytes
    key: bytes
    value: bytes = b""
    xt: int = NEVER_XT
    mode: Mode = "set"


class RestReply(NamedTuple):
    """The outcome; the expiry is an absolute second, or `XT_MAX`, and the size what a HEAD tells of the value."""

    status: int
    value: bytes = b""
    xt: int = XT_MAX
    error: bytes = b""
    location: bytes = b""
    size: int | None = None


DELETED = RestReply(204)
NO_DATABASE = RestReply(400, Failure.NO_DATABASE.text + b"\n")
NO_RECORD = RestReply(404, error=Failure.NO_RECORD.text)
NOT_ADDED = RestReply(450, error=Failure.DUPLICATE.text)
NOT_REPLACED = RestReply(450, error=Failure.NO_RECORD.text)
NOT_IMPLEMENTED = RestReply(501)


def stored(port: int, target: bytes) -> RestReply:
    """Return the reply to a PUT that stored its record."""
    return RestReply(201, location=b"http://localhost:%d%b" % (port, target))


# --- Paths and expiries


def encode_path(database: int | bytes, key: bytes) -> bytes:
    """Return the path of a record."""
    if database == 0:
        return b"/" + encode_url(key)
    name = b"%d" % database if isinstance(database, int) else encode_url(database)
    if name == b"rpc":  # else the path would be a call's
        name = b"%72pc"
    return b"/%b/%b" % (name, encode_url(key))


def decode_path(target: bytes) -> tuple[int | bytes, bytes]:
    """Return the database and the key that a path means; its first slash inside separates them."""
    path = target.partition(b"?")[0].removeprefix(b"/")
    name, slash, key = path.partition(b"/")
    if not slash:
        return 0, decode_url(path)
    return parse_database(decode_url(name)), decode_url(key.removeprefix(b"/"))


def parse_header_xt(text: bytes) -> int:
    """Return the expiry that a request's header gives; whatever is no time to come after 1970 means never."""
    second = parse_date(text)
    return -second if second is not None and 0 < second < XT_MAX else NEVER_XT


# --- Requests


def encode_request(request: RestRequest) -> http.Request:
    """Return the HTTP request; `InvalidInput` if the expiry is relative, for which there is no header."""
    method, database, key, value, xt, mode = request
    headers = {}
    if xt != NEVER_XT:
        if xt >= 0:
            raise InvalidInput(f"an expiry of {xt} seconds from now: here it has to be a point in time, negated")
        headers[b"x-kt-xt"] = format_date(-xt)
    if mode != "set":
        headers[b"x-kt-mode"] = mode.encode()
    return http.Request(method, encode_path(database, key), headers, value)


def decode_request(request: http.Request) -> RestRequest:
    """Return what a request that is no call asks for."""
    database, key = decode_path(request.target)
    xt = parse_header_xt(request.headers.get(b"x-kt-xt", b""))
    mode = _MODES.get(request.headers.get(b"x-kt-mode", b"").lower(), "set")
    return RestRequest(request.method, database, key, request.body, xt, mode)


# --- Replies


def encode_reply(reply: RestReply, *, head: bool = False, keep_alive: bool = True) -> http.Response:
    """Return the HTTP response; the answer to a HEAD tells the length of the value only."""
    status, value, xt, error, location, size = reply
    headers = {}
    if location:
        headers[b"location"] = location
    if error:
        headers[b"x-kt-error"] = error
    if xt < XT_MAX:
        headers[b"x-kt-xt"] = format_date(xt)
    if head and status != NO_DATABASE.status:  # where the original tells no length
        headers[b"content-length"] = b"%d" % (len(value) if size is None else size)
    return http.Response(status, headers, None if head else value, keep_alive)


def decode_reply(response: http.Response) -> RestReply:
    """Return the outcome that a response tells."""
    status, headers, value, _ = response
    xt = XT_MAX
    if (text := headers.get(b"x-kt-xt")) is not None:
        second = parse_date(text)
        if second is None:
            raise ProtocolError(f"an expiry {text!r}")
        xt = second
    size = None
    if value is None and status != NO_DATABASE.status:
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            raise ProtocolError(f"a length {length!r}")
        size = int(length[:20])
    error, location = headers.get(b"x-kt-error", b""), headers.get(b"location", b"")
    return RestReply(status, value or b"", xt, error, location, size)
