"""What the server does with requests of HTTP: records under paths, and calls of functions.

Source: the Tokyo Tyrant protocol reference, section 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kt_core.errors import ProtocolError
from kt_core.server.call import Changing
from kt_core.server.tyrant import commands
from kt_core.server.tyrant.counters import GET, GET_MISS, INDEX, OUT, OUT_MISS, PUT, PUT_MISS
from kt_core.server.tyrant.database import change
from kt_core.server.tyrant.masks import HTTP
from kt_core.server.tyrant.stat import stat
from kt_core.wire import tt_messages as tt
from kt_core.wire.columns import decode_url, encode_url
from kt_core.wire.http import Request
from kt_core.wire.numbers import parse_integer

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

Answer = Any
"""The bytes of a response, or what it waits for."""

_REASONS: Final = {
    200: b"OK",
    201: b"Created",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    409: b"Conflict",
    500: b"Internal Server Error",
}
_BYTES: Final = b"application/octet-stream"
_FORM: Final = b"application/x-www-form-urlencoded"
_TOLD: Final = (
    "version libver protver os time pid sid type path rnum size bigend fd loadavg memsize memrss ru_real ru_user ru_sys"
)


def respond(status: int, body: bytes | None = None, kind: bytes = b"text/plain") -> bytes:
    """Return a response; without a body it has the name of its status as one."""
    if body is None:
        body = _REASONS[status] + b"\n"
    head = b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (status, _REASONS[status], kind, len(body)) + body


def answer(server: TyrantServer, request: Request) -> Answer:
    """Return the response to a request, or what it waits for; `ProtocolError` for a method that there is not."""
    method = _METHODS.get(request.method)
    if method is None:
        raise ProtocolError(f"there is no method {request.method!r}")
    return method(server, request, decode_url(request.target.removeprefix(b"/")))


def _get(server: TyrantServer, request: Request, key: bytes) -> bytes:
    server.counters[GET] += 1
    if server.mask.forbids("get", HTTP):
        return respond(403)
    value = server.database.look(server.database.records.read, key)
    if value is None:
        server.counters[GET_MISS] += 1
        return respond(404)
    return respond(200, value, _BYTES)


def _head(server: TyrantServer, request: Request, key: bytes) -> bytes:
    server.counters[INDEX["cnt_vsiz"]] += 1
    if server.mask.forbids("vsiz", HTTP):
        return b"HTTP/1.1 403 Forbidden\r\n\r\n"
    value = server.database.look(server.database.records.read, key)
    if value is None:
        return b"HTTP/1.1 404 Not Found\r\n\r\n"
    return respond(200, value, _BYTES)[: -len(value) or None]


def _put(server: TyrantServer, request: Request, key: bytes) -> Answer:
    records = server.database.records
    mode = parse_integer(request.headers.get(b"x-tt-pdmode", b"0"))
    operation = {1: records.put_keep, 2: records.put_cat}.get(mode, records.write)
    kinds: dict[int, type[tt.PutKeep | tt.PutCat]] = {1: tt.PutKeep, 2: tt.PutCat}
    message = kinds.get(mode, tt.Put)(key, request.body)
    server.counters[PUT] += 1
    if server.mask.forbids("put", HTTP):
        return respond(403)
    if server.database.read_only:
        return respond(500)

    def stored(results: list[bool]) -> bytes:
        server.note(message, results[0])
        server.counters[PUT_MISS] += not results[0]
        return respond(201) if results[0] else respond(409 if mode == 1 else 500)

    return Changing(server.database.served, (change(operation, key, request.body),), stored)


def _delete(server: TyrantServer, request: Request, key: bytes) -> Answer:
    server.counters[OUT] += 1
    if server.mask.forbids("out", HTTP):
        return respond(403)
    if server.database.read_only:
        return respond(404)

    def removed(results: list[bool]) -> bytes:
        server.note(tt.Out(key), results[0])
        server.counters[OUT_MISS] += not results[0]
        return respond(200 if results[0] else 404)

    return Changing(server.database.served, (change(server.database.records.remove, key),), removed)


def _post(server: TyrantServer, request: Request, key: bytes) -> Answer:
    script, function = request.headers.get(b"x-tt-xname"), request.headers.get(b"x-tt-mname")
    if script is not None:
        options = parse_integer(request.headers.get(b"x-tt-xopts", b"0"))
        return _call_script(server, tt.Ext(script, options, key, request.body))
    if function is not None:
        options = parse_integer(request.headers.get(b"x-tt-mopts", b"0"))
        given = [decode_url(pair.partition(b"=")[2]) for pair in request.body.split(b"&") if b"=" in pair]
        return _call_function(server, tt.Misc(function, options, given))
    return respond(400)


async def _call_script(server: TyrantServer, request: tt.Ext) -> bytes:
    server.counters[INDEX["cnt_ext"]] += 1
    if server.mask.forbids("ext", HTTP):
        return respond(403)
    result = await server.call_script(request)
    return respond(200, result, _BYTES) if result is not None else respond(500)


async def _call_function(server: TyrantServer, request: tt.Misc) -> bytes:
    server.counters[INDEX["cnt_misc"]] += 1
    if server.mask.forbids("misc", HTTP):
        return respond(403)
    found = await commands.call_function(server, request)
    if found is None:
        return respond(500)
    return respond(200, b"&".join(b"res%d=%b" % (at, encode_url(each)) for at, each in enumerate(found, 1)), _FORM)


def _options(server: TyrantServer, request: Request, key: bytes) -> bytes:
    server.counters[INDEX["cnt_stat"]] += 1
    if server.mask.forbids("stat", HTTP):
        return respond(403)
    allowed = [b"OPTIONS"] + [method for method, command in _COMMANDS.items() if not server.mask.forbids(command, HTTP)]
    told = dict(line.split(b"\t", 1) for line in stat(server).splitlines())
    lines = [b"Allow: " + b", ".join(allowed)]
    lines += [b"X-TT-%b: %b" % (name.upper().encode(), told[name.encode()]) for name in _TOLD.split()]
    return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


_METHODS: Final[dict[bytes, Callable[[TyrantServer, Request, bytes], Answer]]] = {
    b"GET": _get,
    b"HEAD": _head,
    b"PUT": _put,
    b"POST": _post,
    b"DELETE": _delete,
    b"OPTIONS": _options,
}
_COMMANDS: Final = {b"GET": "get", b"HEAD": "vsiz", b"PUT": "put", b"POST": "ext", b"DELETE": "out"}
