"""Whatever bytes arrive: the server answers or hangs up, never waits for ever, and others are answered meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kt_core.server import Server
from kt_core.wire import http
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, PlayScript, RemoveBulk, SetBulk, encode_request
from tests.server.exchange import Wire, connect, rpc

VALID = [
    encode_request(SetBulk([(0, b"k", b"value", NEVER_XT)])),
    encode_request(SetBulk([(0, b"k", b"value", 5), (1, b"j", b"", -5)], no_reply=True)),
    encode_request(GetBulk([(0, b"k")])),
    encode_request(GetBulk([(0, b"k"), (1, b"j"), (9, b"")])),
    encode_request(RemoveBulk([(0, b"k"), (1, b"j")])),
    encode_request(PlayScript(b"name", [(b"k", b"v")])),
    rpc("get", key="k"),
    rpc("set", {b"key": b"\t", b"value": b"\n"}, xt=5),
    rpc("increment", key="n", num="1", orig="set"),
    rpc("increment_double", key="d", num="1.5e3"),
    rpc("set_bulk", _a="1", _b="2", atomic=""),
    rpc("match_prefix", prefix="", max=3),
    rpc("cur_jump", CUR=1),
    rpc("cur_get", CUR=1, step=""),
    rpc("echo", {bytes(range(256)): bytes(range(256))}),
    rpc("report"),
    rpc("status"),
    http.encode_request(http.Request(b"PUT", b"/1/k%20", {b"x-kt-xt": b"2d", b"x-kt-mode": b"add"}, b"value")),
    b"GET /k HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"HEAD /0/k HTTP/1.1\r\n\r\n",
    b"DELETE /k HTTP/1.1\r\nContent-Length: 2\r\n\r\nxx",
    b"POST /rpc/echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
    b"3\r\na=1\r\n0\r\n\r\n",
]
INTERESTING = [
    bytes(4),
    b"\xff" * 4,
    b"\x7f" + b"\xff" * 3,
    b"\x80" + bytes(3),
    b"\x10\0\0\1",
    b"\r\n",
    b"\n\n",
    b"%",
    b"9" * 30,
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Valid requests with some places written over, left out or doubled."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        piece = draw(st.sampled_from(INTERESTING) | st.binary(max_size=6))
        end = at + draw(st.sampled_from([0, len(piece), 1, 9]))
        data[at:end] = piece
    return bytes(data)


PIECES = st.lists(st.sampled_from(VALID) | mutated() | st.binary(max_size=40), min_size=1, max_size=6)


def resident() -> int:
    """Return the bytes of memory that this process takes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.fixture
def other(server: Server) -> Iterator[Wire]:
    """Somebody else's connection; the server has taken little memory when the test is over."""
    before = resident()
    with connect(server) as other:
        yield other
        assert other.call("void").status == 200
    assert resident() - before < 64 << 20


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES)
def test_any_bytes_are_survived(server: Server, other: Wire, pieces: list[bytes]) -> None:
    with connect(server) as wire:
        with suppress(OSError):  # it may have hung up already
            wire.send(*pieces)
            wire.end()
        wire.rest()
    assert other.call("void").status == 200


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    requests=st.lists(st.sampled_from(VALID), min_size=1, max_size=12), cuts=st.lists(st.integers(1, 60), min_size=1)
)
def test_how_requests_are_cut_makes_no_difference(
    server: Server, other: Wire, requests: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(request for request in requests if b"report" not in request)
    replies = []
    for pieces in ([data], _cut(data, cuts)):
        for database in range(2):
            other.call("clear", DB=database)
        with connect(server) as wire:
            wire.send(*pieces)
            wire.end()
            replies.append(wire.rest())
    assert replies[0] == replies[1]


def _cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    while at < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    return pieces


def test_noise_on_many_connections_at_once(server: Server, other: Wire) -> None:
    rnd = random.Random(1)
    wires = [connect(server) for _ in range(100)]
    for _ in range(10):
        for wire in wires:
            piece = rnd.choice(VALID)[: rnd.randrange(1, 100)] if rnd.random() < 0.5 else rnd.randbytes(20)
            with suppress(OSError):
                wire.send(piece)
        assert other.call("void").status == 200
    for wire in wires:
        wire.close()
