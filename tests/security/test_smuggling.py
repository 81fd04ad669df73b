"""No request hides in another one: whoever frames it in two ways is refused, and none is cut or joined."""

from __future__ import annotations

import pytest

from tests.server.exchange import connect
from tests.server.running import serving

HIDDEN = b"PUT /smuggled HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"
FRAMES = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    b"Content-Length: 0, 44\r\n\r\n",
    b"Content-Length: +0\r\n\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 0x0\r\n\r\n",
    b"Content-Length:\r\n\r\n",
    b"Content-Length : 44\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\naXX\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_request_framed_in_two_ways_hides_no_other(frame: bytes) -> None:
    with serving() as server:
        with connect(server) as wire:
            wire.send(b"PUT /k HTTP/1.1\r\n" + frame + HIDDEN)
            wire.end()
            wire.rest()
        with connect(server) as wire:
            assert wire.call("get", key="smuggled").status == 450


@pytest.mark.parametrize("name", [b"x-kt-xt", b"anything"])
def test_what_a_client_sends_is_in_no_header_of_a_reply(name: bytes) -> None:
    with serving() as server, connect(server) as wire:
        wire.send(
            b"PUT /k%0d%0aInjected:%20yes HTTP/1.1\r\n" + name + b": 1%0d%0aInjected: yes\r\nContent-Length: 0\r\n\r\n"
        )
        wire.send(b"GET /k%0d%0aInjected:%20yes HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert b"\r\nInjected" not in wire.rest().partition(b"\r\n\r\n")[0]
