"""Requests of HTTP; most of what is answered to them is in the recordings."""

from __future__ import annotations

from collections.abc import Mapping

from kt_core.server.tyrant.server import TyrantServer
from kt_core.wire.http import Response, ResponseDecoder
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving


def ask(asker: Asker, first: bytes, headers: Mapping[bytes, bytes] = {}, body: bytes = b"") -> Response:
    """Send a request and return the response."""
    lines = [
        b"%b HTTP/1.1" % first,
        *(b"%b: %b" % header for header in headers.items()),
        b"Content-Length: %d" % len(body),
    ]
    asker.send(b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body)
    decoder = ResponseDecoder(head=first.startswith(b"HEAD"))
    while not isinstance(response := decoder.feed(asker.socket.recv(1 << 16)), Response):
        pass
    return response


def test_any_key_and_value(asker: Asker) -> None:
    for key, value in ((b"%00", b"\0"), (b"%C3%A9", bytes(range(256))), (b"", b"empty"), (b"a%2Fb?c=d", b"")):
        assert ask(asker, b"PUT /" + key, body=value).status == 201
        assert ask(asker, b"GET /" + key).body == value
        assert ask(asker, b"HEAD /" + key).headers[b"content-length"] == b"%d" % len(value)
        assert ask(asker, b"DELETE /" + key).status == 200
        assert ask(asker, b"GET /" + key).status == 404


def test_what_is_allowed_and_what_the_server_is(server: TyrantServer, asker: Asker) -> None:
    headers = ask(asker, b"OPTIONS /").headers
    assert headers[b"allow"] == b"OPTIONS, GET, HEAD, PUT, POST, DELETE"
    assert (headers[b"x-tt-version"], headers[b"x-tt-type"], headers[b"x-tt-rnum"]) == (
        b"1.1.41",
        b"on-memory tree",
        b"0",
    )
    with serving("*", mask=frozenset({"get", "misc"})) as other, connect(other) as masked:
        assert ask(masked, b"OPTIONS /").headers[b"allow"] == b"OPTIONS, HEAD, PUT, POST, DELETE"
        assert ask(masked, b"GET /k").status == 403
        assert ask(masked, b"POST /", {b"X-TT-MNAME": b"get"}).status == 403


def test_functions_of_a_script_are_called() -> None:
    script = "@function join(k, v) return k .. '=' .. v end function none() end"
    with serving("*", script=script) as server, connect(server) as asker:
        response = ask(asker, b"POST /k%20k", {b"X-TT-XNAME": b"join", b"X-TT-XOPTS": b"1"}, b"value")
        assert (response.status, response.body) == (200, b"k k=value")
        assert ask(asker, b"POST /k", {b"X-TT-XNAME": b"none"}).status == 500


def test_functions_of_the_database_are_called(asker: Asker) -> None:
    assert ask(asker, b"POST /", {b"X-TT-MNAME": b"putlist"}, b"a=k&b=%01&c=j&d=").status == 200
    assert ask(asker, b"POST /", {b"X-TT-MNAME": b"range"}, b"a=").body == b"res1=j&res2=&res3=k&res4=%01"
    assert ask(asker, b"POST /", {b"X-TT-MNAME": b"range"}).body == b"res1=j&res2=&res3=k&res4=%01"
