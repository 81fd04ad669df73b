"""Requests however they arrive, and what they cost others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kt_core.server.tyrant.server import TyrantServer
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import encode_request
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving

MIXTURE = [
    (encode_request(tt.Put(b"k", b"v")), b"\0"),
    (encode_request(tt.PutNr(b"n", b"x")), b""),
    (encode_request(tt.Get(b"k")), b"\0\0\0\0\1v"),
    (b"get k n\r\n", b"VALUE k 0 1\r\nv\r\nVALUE n 0 1\r\nx\r\nEND\r\n"),
    (b"set m 0 0 2\r\nab\r\n", b"STORED\r\n"),
    (
        b"HEAD /m HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\n",
    ),
    (encode_request(tt.PutKeep(b"k", b"w")), b"\1"),
    (encode_request(tt.Misc(b"get", 0, [b"k"])), b"\0\0\0\0\1\0\0\0\1v"),
    (encode_request(tt.Misc(b"get", 0, [b"none"])), b"\1\0\0\0\0"),
    (encode_request(tt.MGet([b"none", b"k"])), b"\0\0\0\0\1\0\0\0\1\0\0\0\1kv"),
    (encode_request(tt.Get(b"none")), b"\1"),
    (encode_request(tt.Out(b"k")), b"\0"),
]
SENT = b"".join(sent for sent, _ in MIXTURE)
TOLD = b"".join(told for _, told in MIXTURE)


def test_requests_of_all_protocols_in_one_piece_are_answered_in_order(asker: Asker) -> None:
    asker.send(SENT)
    assert asker.read(len(TOLD)) == TOLD


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, 50), min_size=1))
def test_how_requests_are_cut_makes_no_difference(server: TyrantServer, cuts: list[int]) -> None:
    with connect(server) as asker:
        asker.tell(tt.Vanish())
        asker.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at, number = 0, 0
        while at < len(SENT):
            size = cuts[number % len(cuts)]
            asker.send(SENT[at : at + size])
            at, number = at + size, number + 1
        assert asker.read(len(TOLD)) == TOLD


def test_whoever_sends_no_more_still_gets_the_replies(server: TyrantServer) -> None:
    with connect(server) as asker:
        asker.send(SENT)
        asker.end()
        assert asker.rest() == TOLD


@pytest.mark.parametrize(
    "sent",
    [
        b"\xc8\xff",
        b"\xc8\x30\xff\xff\xff\xff",
        b"\xc8\x31\x7f\xff\xff\xff",
        b"\xc8\x90\0\0\x04\0" + bytes(8),
        b"\xc8\x13\0\0\0\1\0\0\0\1\xff\xff\xff\xffkv",
        b"nothing\r\n",
        b"x" * 9000,
        b"set k 0 0 3\r\nabcd\r\n",
        b"set k 0 0 999999999999\r\n",
        b"FOO /k HTTP/1.1\r\n\r\n",
        b"PUT /k HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_the_connection_without_a_word(server: TyrantServer, sent: bytes) -> None:
    with connect(server) as asker:
        asker.send(sent)
        assert asker.rest() == b""


PIECES = st.lists(
    st.sampled_from([sent for sent, _ in MIXTURE])
    | st.binary(max_size=40)
    | st.sampled_from([b"\xc8", b"\xc8\x90\0\0"]),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES)
def test_any_bytes_are_survived(server: TyrantServer, asker: Asker, pieces: list[bytes]) -> None:
    with connect(server) as other:
        with suppress(OSError):  # it may have hung up already
            other.send(*pieces)
            other.end()
        other.rest()
    assert asker.ask_for(tt.RNum()) is not None


@pytest.fixture
def impatient() -> Iterator[TyrantServer]:
    """A server that waits for half a second, and takes three connections."""
    with serving("*", timeout=0.5, max_connections=3, max_reply=100_000) as server:
        yield server


def test_half_a_request_is_not_waited_for_for_ever_but_the_next_one_is(impatient: TyrantServer) -> None:
    with connect(impatient) as half, connect(impatient) as idle:
        half.send(b"\xc8\x10\0\0\0\1\0\0")
        assert half.rest() == b""
        assert idle.tell(tt.RNum()) == bytes(9)


def test_too_many_connections_are_turned_away(impatient: TyrantServer) -> None:
    askers = [connect(impatient) for _ in range(3)]
    assert all(asker.tell(tt.RNum()) == bytes(9) for asker in askers)
    with connect(impatient) as another:
        assert another.rest() == b""
    for asker in askers:
        asker.close()


def test_a_small_request_fetches_no_more_than_there_is_memory_for(impatient: TyrantServer) -> None:
    with connect(impatient) as asker:
        asker.tell(tt.Put(b"k", b"v" * 40_000))
        assert len(asker.tell(tt.MGet([b"k"] * 2))) > 80_000
        assert asker.tell(tt.MGet([b"k"] * 3)) == b"\1\0\0\0\0"
        assert asker.call("getlist", *[b"k"] * 3) is None
        asker.send(b"get k k k\r\n")
        assert asker.read(25) == b"SERVER_ERROR unexpected\r\n"
