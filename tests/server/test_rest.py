"""The REST interface, down to the bytes: protocol reference, section 8."""

from __future__ import annotations

import pytest

from kt_core.server import Server
from kt_core.wire import http
from tests.clock import Clock
from tests.server.exchange import Wire, connect, neutral
from tests.server.running import serving

HEAD = b"Server: ...\r\nDate: ...\r\n"
NONE = b"Content-Length: 0\r\n"
NO_RECORD = b"X-Kt-Error: DB: 7: no record: no record\r\n\r\n"
CREATED = b"HTTP/1.1 201 Created\r\n" + HEAD + NONE + b"Location: http://localhost:PORT"
MISSING = b"HTTP/1.1 404 Not Found\r\n" + HEAD + NONE + NO_RECORD
DELETED = b"HTTP/1.1 204 No Content\r\n" + HEAD + NONE + b"\r\n"
NOT_IMPLEMENTED = b"HTTP/1.1 501 Not Implemented\r\n" + HEAD + NONE + b"\r\n"
NO_DATABASE = b"HTTP/1.1 400 Bad Request\r\n" + HEAD + b"Content-Length: 17\r\n\r\nno such database\n"


def found(value: bytes, *, head: bool = False, date: bytes = b"") -> bytes:
    """Return the reply to a GET, or to a HEAD."""
    length = b"Content-Length: %d\r\n" % len(value)
    xt = b"X-Kt-Xt: " + date + b"\r\n" if date else b""
    return b"HTTP/1.1 200 OK\r\n" + HEAD + length + xt + b"\r\n" + (b"" if head else value)


def request(method: bytes, target: bytes, body: bytes = b"", **headers: bytes) -> bytes:
    named = {b"x-kt-" + name.encode(): value for name, value in headers.items()}
    return http.encode_request(http.Request(method, target, named, body))


def created(target: bytes) -> bytes:
    return CREATED + target + b"\r\n\r\n"


def refused(text: bytes) -> bytes:
    return b"HTTP/1.1 450 Logical Inconsistency\r\n" + HEAD + NONE + b"X-Kt-Error: " + text + b"\r\n\r\n"


PUT = (request(b"PUT", b"/k", b"v"), created(b"/k"))
SEQUENCES: dict[str, list[tuple[bytes, bytes]]] = {
    "missing": [
        (request(b"GET", b"/k"), MISSING),
        (request(b"HEAD", b"/k"), MISSING),
        (request(b"DELETE", b"/k"), MISSING),
    ],
    "put and get": [PUT, (request(b"GET", b"/k"), found(b"v")), (request(b"HEAD", b"/k"), found(b"v", head=True))],
    "put again": [PUT, (request(b"PUT", b"/k", b"w"), created(b"/k")), (request(b"GET", b"/k"), found(b"w"))],
    "empty": [(request(b"PUT", b"/"), created(b"/")), (request(b"GET", b"/"), found(b""))],
    "binary": [
        (request(b"PUT", b"/%00%ff", b"\0\r\n\r\n\xff"), created(b"/%00%ff")),
        (request(b"GET", b"/%00%FF"), found(b"\0\r\n\r\n\xff")),
    ],
    "delete": [PUT, (request(b"DELETE", b"/k"), DELETED), (request(b"GET", b"/k"), MISSING)],
    "add": [
        (request(b"PUT", b"/k", b"v", mode=b"add"), created(b"/k")),
        (request(b"PUT", b"/k", b"w", mode=b"ADD"), refused(b"DB: 6: record duplication: record duplication")),
        (request(b"GET", b"/k"), found(b"v")),
    ],
    "replace": [
        (request(b"PUT", b"/k", b"v", mode=b"replace"), refused(b"DB: 7: no record: no record")),
        PUT,
        (request(b"PUT", b"/k", b"w", mode=b"Replace"), created(b"/k")),
        (request(b"GET", b"/k"), found(b"w")),
    ],
    "unknown mode": [(request(b"PUT", b"/k", b"v", mode=b"append"), created(b"/k"))],
    "other methods": [
        (request(method, b"/k", b"v"), NOT_IMPLEMENTED) for method in (b"POST", b"OPTIONS", b"PATCH")
    ],
    "databases": [
        (request(b"PUT", b"/1/k", b"one"), created(b"/1/k")),
        (request(b"PUT", b"/%25/k", b"zero"), created(b"/%25/k")),
        (request(b"GET", b"/k"), found(b"zero")),
        (request(b"GET", b"/0/k"), found(b"zero")),
        (request(b"GET", b"/*/k"), found(b"one")),
        (request(b"GET", b"/1//k"), found(b"one")),
        (request(b"GET", b"/k?x=/1"), found(b"zero")),
        (request(b"GET", b"/2/k"), NO_DATABASE),
        (request(b"PUT", b"/none/k", b"v"), NO_DATABASE),
        (request(b"DELETE", b"http://h/k"), NO_DATABASE),
        (request(b"POST", b"/none/k"), NO_DATABASE),
    ],
    "slashes": [
        (request(b"PUT", b"/a%2Fb", b"v"), created(b"/a%2Fb")),
        (request(b"GET", b"//a/b"), found(b"v")),
        (request(b"GET", b"/0/a/b"), found(b"v")),
        (request(b"GET", b"/a/b"), NO_DATABASE),
    ],
}  # fmt: skip


@pytest.mark.parametrize("exchanges", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences(wire: Wire, server: Server, exchanges: list[tuple[bytes, bytes]]) -> None:
    for sent, reply in exchanges:
        expected = reply.replace(b"PORT", b"%d" % server.port)
        assert (sent, neutral(wire.ask(sent))) == (sent, expected)


def test_a_head_of_an_unknown_database_has_no_body_nor_its_length(wire: Wire) -> None:
    expected = b"HTTP/1.1 400 Bad Request\r\n" + HEAD + b"\r\n"
    assert neutral(wire.ask(request(b"HEAD", b"/none/k"))) == expected


NOW = 1795295378  # Sat, 21 Nov 2026 21:09:38 GMT
EXPIRIES = {
    "seconds": (b"1795295706", b"Sat, 21 Nov 2026 21:15:06 GMT"),
    "hexadecimal": (b"0x6b0209a8", b"Sat, 21 Nov 2026 21:14:16 GMT"),
    "RFC 1123": (b"Sat, 21 Nov 2026 21:16:46 GMT", b"Sat, 21 Nov 2026 21:16:46 GMT"),
    "ISO 8601": (b"2026-11-21T21:18:26Z", b"Sat, 21 Nov 2026 21:18:26 GMT"),
    "with an offset": (b"2026-11-22T06:18:26+09:00", b"Sat, 21 Nov 2026 21:18:26 GMT"),
    "slashes": (b"2026/11/21 21:20:06", b"Sat, 21 Nov 2026 21:20:06 GMT"),
    "this very second": (b"1795295378", b"Sat, 21 Nov 2026 21:09:38 GMT"),
    "the past": (b"100", None),
    "two days after 1970": (b"2d", None),
    "zero": (b"0", b""),
    "negative": (b"-5", b""),
    "nonsense": (b"soon", b""),
    "empty": (b"", b""),
    "beyond the end": (b"1099511627775", b""),
    "the last": (b"1099511627774", b"Mon, 20 Feb 36812 00:36:14 GMT"),
}


@pytest.mark.parametrize(("text", "date"), EXPIRIES.values(), ids=EXPIRIES)
def test_an_expiry_is_a_point_in_time(wire: Wire, clock: Clock, text: bytes, date: bytes | None) -> None:
    clock.seconds = NOW + 0.5
    wire.ask(request(b"PUT", b"/k", b"v", xt=text))
    for head in (False, True):
        reply = neutral(wire.ask(request(b"HEAD" if head else b"GET", b"/k")))
        if date is None:
            assert reply.startswith(b"HTTP/1.1 404")
        else:
            assert reply == found(b"v", head=head, date=date)


def test_a_put_without_an_expiry_makes_it_never(wire: Wire) -> None:
    wire.call("set", key="k", value="v", xt=100)
    wire.ask(request(b"PUT", b"/k", b"w"))
    assert wire.call("get", key="k") == (200, {b"value": b"w"})


def test_an_expired_record_is_missing_and_can_be_added(wire: Wire, clock: Clock) -> None:
    wire.call("set", key="k", value="v", xt=1)
    clock.advance(3)
    assert wire.ask(request(b"GET", b"/k")).startswith(b"HTTP/1.1 404")
    assert wire.ask(request(b"DELETE", b"/k")).startswith(b"HTTP/1.1 404")
    assert wire.ask(request(b"PUT", b"/k", b"w", mode=b"add")).startswith(b"HTTP/1.1 201")


def test_a_value_of_many_megabytes(wire: Wire) -> None:
    value = bytes(range(256)) * (20 << 12)
    assert wire.ask(request(b"PUT", b"/k", value)).startswith(b"HTTP/1.1 201")
    assert neutral(wire.ask(request(b"GET", b"/k"))) == found(value)
    assert neutral(wire.ask(request(b"HEAD", b"/k"))) == found(value, head=True)


def test_what_does_not_fit_is_an_error() -> None:
    with serving("%#max_size=1m") as server, connect(server) as wire:
        reply = wire.ask(request(b"PUT", b"/k", bytes(200_000)))
        assert reply.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
        assert b"\r\nX-Kt-Error: DB: 9: system error: the record has 200016 bytes" in reply
        assert wire.ask(request(b"PUT", b"/k", b"v")).startswith(b"HTTP/1.1 201")
