"""Connections: framing, order, what is malformed, who is slow, who leaves; on both kinds of event loops."""

from __future__ import annotations

import socket
import struct
import threading
import tracemalloc
from collections.abc import Iterator
from struct import pack
from typing import Any

import pytest

from kt_core.errors import KTError
from kt_core.server import Server
from kt_core.wire import http
from kt_core.wire.kt_binary import (
    NEVER_XT,
    XT_MAX,
    GetBulk,
    GetReply,
    PlayScript,
    RemoveBulk,
    SetBulk,
    encode_reply,
    encode_request,
)
from tests.server.exchange import connect, neutral, rpc
from tests.server.running import LOOPS, in_loop, serving

SET = encode_request(SetBulk([(0, b"k", b"v", NEVER_XT)]))
GET = encode_request(GetBulk([(0, b"k")]))
REMOVE = encode_request(RemoveBulk([(0, b"k")]))
FOUND = encode_reply(GetReply([(0, b"k", b"v", XT_MAX)]))
STORED, REMOVED, NOTHING = bytes.fromhex("b800000001"), bytes.fromhex("b900000001"), bytes.fromhex("ba00000000")
HEAD = b"HTTP/1.1 200 OK\r\nServer: ...\r\nDate: ...\r\nContent-Length: "
VOID = HEAD + b"0\r\nContent-Type: text/tab-separated-values\r\n\r\n"
ONE_STORED = HEAD + b"6\r\nContent-Type: text/tab-separated-values\r\n\r\nnum\t1\n"
VALUE = HEAD + b"1\r\n\r\nv"
DELETED = b"HTTP/1.1 204 No Content\r\nServer: ...\r\nDate: ...\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module", params=LOOPS)
def running(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server, on each kind of event loop."""
    with serving("%", "*", loop=request.param) as running:
        yield running


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """The same, empty; it answers afterwards whatever a test did, and has forgotten the connections."""
    with connect(running) as wire:
        for number in range(2):
            assert wire.call("clear", DB=number).status == 200
        yield running
        assert wire.call("void").status == 200
        while in_loop(running, lambda: len(running.connections)) > 1:
            pass


# --- Order, whatever the mixture

MIXTURE = [
    (SET, STORED),
    (GET, FOUND),
    (b"GET /k HTTP/1.1\r\n\r\n", VALUE),
    (encode_request(SetBulk([(0, b"j", b"w", NEVER_XT)], no_reply=True)), b""),
    (encode_request(PlayScript(b"f", [])), b"\xbf"),
    (b"GET /j HTTP/1.1\r\n\r\n", VALUE[:-1] + b"w"),
    (rpc("void"), VOID),
    (b"PUT /i HTTP/1.1\nContent-Length: 2\n\nuu", None),
    (encode_request(RemoveBulk([(0, b"j"), (0, b"none")])), REMOVED),
    (rpc("set_bulk", _k="1", atomic=""), ONE_STORED),
    (encode_request(GetBulk([(0, b"i"), (0, b"j"), (1, b"k")])), encode_reply(GetReply([(0, b"i", b"uu", XT_MAX)]))),
    (rpc("match_regex", regex="^none"), None),
    (b"HEAD /k HTTP/1.1\r\n\r\n", VALUE[:-1]),
    (b"DELETE /k HTTP/1.1\r\n\r\n", DELETED),
    (GET, NOTHING),
    (rpc("void"), VOID),
]
"""What is sent, and what comes back; None is for what another test looks at."""


@pytest.fixture
def replies(server: Server) -> bytes:
    with connect(server) as wire:
        replies = b""
        for sent, reply in MIXTURE:
            if reply == b"":
                wire.send(sent)
                continue
            said = neutral(wire.ask(sent))
            assert said == (said if reply is None else reply), sent
            replies += said
        wire.call("clear")
        return replies


def test_any_mixture_in_one_send_is_answered_in_order(server: Server, replies: bytes) -> None:
    with connect(server) as wire:
        wire.send(b"".join(sent for sent, _ in MIXTURE))
        wire.end()
        assert neutral(wire.rest()) == replies


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_any_mixture_in_pieces_of_any_size(server: Server, replies: bytes, size: int) -> None:
    everything = b"".join(sent for sent, _ in MIXTURE)
    with connect(server) as wire:
        wire.send(*(everything[start : start + size] for start in range(0, len(everything), size)))
        wire.end()
        assert neutral(wire.rest()) == replies


REQUESTS = {
    "set": (SET, STORED),
    "get": (GET, NOTHING),
    "set two": (
        encode_request(SetBulk([(0, b"a", b"1", 5), (1, b"b", b"2", 5)])),
        bytes.fromhex("b800000002"),
    ),
    "remove": (encode_request(RemoveBulk([(0, b"a"), (0, b"b")])), bytes.fromhex("b900000000")),
    "script": (encode_request(PlayScript(b"f", [(b"k", b"v")])), b"\xbf"),
    "call": (rpc("void"), VOID),
    "GET": (b"GET /rpc/void HTTP/1.1\nA: b\n\n", VOID),
    "chunks": (b"POST /rpc/void HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", VOID),
}


@pytest.mark.parametrize(("request_", "reply"), REQUESTS.values(), ids=REQUESTS)
def test_a_request_may_arrive_cut_in_two_anywhere(server: Server, request_: bytes, reply: bytes) -> None:
    with connect(server) as wire:
        for cut in range(1, len(request_)):
            wire.send(request_[:cut])
            in_loop(server, lambda: None)
            wire.send(request_[cut:])
            assert neutral(wire.reply(request_)) == reply
            wire.call("clear")


def test_thousands_of_requests_at_once(server: Server) -> None:
    with connect(server) as wire:
        threading.Thread(target=wire.send, args=((SET + GET + REMOVE + GET) * 2000,)).start()
        assert wire.read(2000 * len(STORED + FOUND + REMOVED + NOTHING)) == (STORED + FOUND + REMOVED + NOTHING) * 2000


# --- HTTP: section 2.1

KEPT = {
    "1.1": (b"GET /rpc/void HTTP/1.1\r\n\r\n", True),
    "1.1, close": (b"GET /rpc/void HTTP/1.1\r\nConnection: close\r\n\r\n", False),
    "1.1, Close": (b"GET /rpc/void HTTP/1.1\r\ncOnnection: CLOSE\r\n\r\n", False),
    "1.1, several": (b"GET /rpc/void HTTP/1.1\r\nConnection: close, x\r\n\r\n", True),
    "1.0": (b"GET /rpc/void HTTP/1.0\r\n\r\n", False),
    "1.0, keep": (b"GET /rpc/void HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True),
    "POST, close": (b"POST /rpc/set?key=k&value=v HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", False),
    "search, close": (b"GET /rpc/match_regex?regex=q HTTP/1.1\r\nConnection: close\r\n\r\n", False),
    "REST, close": (b"GET /k HTTP/1.1\r\nConnection: close\r\n\r\n", False),
}


@pytest.mark.parametrize(("request_", "kept"), KEPT.values(), ids=KEPT)
def test_when_a_connection_is_kept(server: Server, request_: bytes, kept: bool) -> None:
    with connect(server) as wire:
        wire.send(request_)
        reply = wire.reply(request_)
        assert (b"\r\nConnection: close\r\n" in reply) is not kept
        if kept:
            assert wire.call("void").status == 200
        else:
            assert wire.rest() == b""


def test_what_follows_a_close_is_not_answered(server: Server) -> None:
    with connect(server) as wire:
        wire.send(b"GET /rpc/void HTTP/1.1\r\nConnection: close\r\n\r\n" + SET)
        assert wire.rest().count(b"HTTP/1.1") == 1
    with connect(server) as wire:
        assert wire.call("get", key="k").status == 450


def test_a_body_is_waited_for_without_a_word(server: Server) -> None:
    with connect(server) as wire:
        wire.send(b"PUT /k HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        in_loop(server, lambda: None)
        wire.send(b"v")
        assert wire.reply(b"PUT").startswith(b"HTTP/1.1 201")


def test_the_body_of_a_get_is_dropped(server: Server) -> None:
    """The original takes it for another request."""
    with connect(server) as wire:
        wire.send(b"GET /rpc/void HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(SET), SET) + GET)
        wire.end()
        assert neutral(wire.rest()) == VOID + NOTHING


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: %d\r\n" % ((1 << 28) + 1), b"Transfer-Encoding: chunked\r\n\r\n10000001"],
)
def test_a_body_that_is_too_large_is_refused_before_it_comes(server: Server, framing: bytes) -> None:
    with connect(server) as wire:
        wire.send(b"PUT /k HTTP/1.1\r\n" + framing + b"\r\n")
        assert neutral(wire.rest()) == (
            b"HTTP/1.1 413 Request Entity Too Large\r\nServer: ...\r\nDate: ...\r\nConnection: close\r\n"
            b"Content-Length: 56\r\nContent-Type: text/plain\r\n\r\n"
            b"413 Request Entity Too Large (request entity too large)\n"
        )


# --- Malformed input: section 1.6 and 2.1

TOO_LONG = pack(">I", (1 << 28) + 1)
ONE = pack(">I", 1)
HEADS = {name: bytes.fromhex(opcode + "00000000") for name, opcode in [("set", "b8"), ("remove", "b9"), ("get", "ba")]}
MALFORMED = {
    **{f"opcode {opcode:02x}": (bytes((opcode,)) + bytes(20), b"") for opcode in (0, 0x80, 0xB0, 0xB2, 0xBF)},
    "subscription": (b"\xb1" + bytes(14), b"\xbf"),
    "key to set": (HEADS["set"] + ONE + b"\0\0" + TOO_LONG + ONE + bytes(8), b"\xbf"),
    "value to set": (HEADS["set"] + ONE + b"\0\0" + ONE + TOO_LONG + bytes(8), b"\xbf"),
    "key to remove": (HEADS["remove"] + ONE + b"\0\0" + TOO_LONG, b"\xbf"),
    "key to get": (HEADS["get"] + ONE + b"\0\0" + TOO_LONG, b"\xbf"),
    "number of records": (HEADS["set"] + b"\xff\xff\xff\xff", b"\xbf"),
    "key to set, no reply": (b"\xb8\0\0\0\1" + ONE + b"\0\0" + TOO_LONG + ONE + bytes(8), b""),
    "name of a script": (b"\xb4" + bytes(4) + TOO_LONG + ONE, b""),
    "key for a script": (b"\xb4" + bytes(4) + ONE + ONE + b"f" + TOO_LONG + ONE, b""),
    "value for a script": (b"\xb4" + bytes(4) + ONE + ONE + b"f" + ONE + TOO_LONG, b""),
    "no HTTP": (b"hello\r\n", b""),
    "blank line": (b"\r\nGET / HTTP/1.1\r\n\r\n", b""),
    "HTTP/2": (b"GET / HTTP/2.0\r\n\r\n", b""),
    "no version": (b"GET /\r\n\r\n", b""),
    "long line": (b"GET /" + b"a" * 9000, b""),
    "long header": (b"GET / HTTP/1.1\r\nA: " + b"a" * 9000, b""),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200, b""),
    "length in words": (b"PUT / HTTP/1.1\r\nContent-Length: one\r\n\r\n", b""),
    "two lengths": (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b""),
    "length and chunks": (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
    "chunk in words": (b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b""),
    "no length": (b"POST /rpc/void HTTP/1.1\r\n\r\nbody\r\n", None),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "reply"), MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("before", [b"", GET])
def test_malformed_input_costs_its_own_connection(
    server: Server, sent: bytes, reply: bytes | None, before: bytes
) -> None:
    with connect(server) as other, connect(server) as wire:
        wire.send(before + sent)
        assert neutral(wire.rest()) == (NOTHING if before else b"") + (VOID if reply is None else reply)
        assert other.call("void").status == 200


HALVES = {
    "head of a request": SET[:5],
    "record": SET[:-1],
    "opcode": SET[:1],
    "script": encode_request(PlayScript(b"f", [(b"k", b"v")]))[:-1],
    "request line": b"GET / HT",
    "headers": b"GET / HTTP/1.1\r\nA: b\r\n",
    "body": b"PUT /k HTTP/1.1\r\nContent-Length: 3\r\n\r\nab",
    "chunk": b"PUT /k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
@pytest.mark.parametrize("before", [b"", GET, SET])
def test_half_a_request_at_the_end_is_not_answered_and_what_was_before_it_is(
    server: Server, half: bytes, before: bytes
) -> None:
    with connect(server) as wire:
        wire.send(before + half)
        wire.end()
        assert wire.rest() == {b"": b"", GET: NOTHING, SET: STORED}[before]


def test_what_was_sent_before_the_client_left_is_done(server: Server) -> None:
    for number in range(50):
        with connect(server) as wire:
            wire.send(encode_request(SetBulk([(0, b"%d" % number, b"v", NEVER_XT)])))
            wire.end()
            assert wire.rest() == STORED
    for number in range(50):  # and where nobody waits for the reply
        with connect(server) as wire:
            wire.send(encode_request(SetBulk([(1, b"%d" % number, b"v", NEVER_XT)])))
            wire.end()
    with connect(server) as wire:
        while wire.call("status", DB=1).values[b"count"] != b"50":
            pass
        assert wire.call("status").values[b"count"] == b"50"


# --- The slow


@pytest.mark.parametrize("loop", LOOPS)
def test_half_a_request_and_a_reply_that_is_not_taken_end_with_the_timeout(loop: str) -> None:
    with serving("%", timeout=0.6, loop=loop) as server:
        idle, complete = connect(server), connect(server)
        halves = [connect(server) for _ in HALVES]
        for wire, half in zip(halves, HALVES.values(), strict=True):
            wire.send(half)
        complete.send(SET)
        with connect(server) as wire:
            wire.call("set", key="big", value=bytes(8 << 20))
        stuck = connect(server)
        stuck.send(encode_request(GetBulk([(0, b"big")])))
        stuck.read(1)  # the reply has begun
        for wire in halves:
            assert wire.rest() == b""
        while in_loop(server, lambda: len(server.connections)) > 2:
            pass
        assert complete.read(5) == STORED
        for wire in (idle, complete):
            assert wire.call("void").status == 200
        assert len(stuck.rest()) < 8 << 20
        for wire in (*halves, idle, complete, stuck):
            wire.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_a_reply_that_is_taken_slowly_is_sent_to_its_end(loop: str) -> None:
    with serving("%", timeout=0.6, loop=loop) as server, connect(server) as wire:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        value = bytes(8 << 20)
        wire.call("set", key="big", value=value)
        wire.send(encode_request(GetBulk([(0, b"big")])))
        whole = encode_reply(GetReply([(0, b"big", value, XT_MAX)]))
        received = b""
        pause = threading.Event()
        while len(received) < len(whole):
            pause.wait(0.025)  # in all longer than the timeout
            received += wire.read(min(1 << 18, len(whole) - len(received)))
        assert received == whole
        assert wire.ask(GET) == NOTHING


def test_a_thousand_half_sent_requests_keep_nobody_from_an_answer(server: Server) -> None:
    slow = [connect(server) for _ in range(1000)]
    for number, wire in enumerate(slow):
        wire.send(list(HALVES.values())[number % len(HALVES)])
    with connect(server) as wire:
        for _ in range(20):
            assert wire.ask(SET) == STORED
            assert wire.ask(GET) == FOUND
            assert wire.call("get", key="k") == (200, {b"value": b"v"})
    slow[1].send(SET[-1:])
    assert slow[1].read(5) == STORED
    for wire in slow:
        wire.close()


def test_from_a_client_that_takes_no_replies_no_more_is_read(server: Server) -> None:
    with connect(server) as wire:
        wire.ask(encode_request(SetBulk([(0, b"k", bytes(100_000), NEVER_XT)])))
        wire.socket.setblocking(False)
        in_loop(server, tracemalloc.start)
        try:
            sent = 0
            for _ in range(500):  # for gigabytes of replies
                try:
                    sent += wire.socket.send(GET * 1000)
                except BlockingIOError:
                    in_loop(server, lambda: None)
            with connect(server) as other:
                assert other.call("void").status == 200
            assert tracemalloc.get_traced_memory()[1] < 8 << 20
        finally:
            tracemalloc.stop()
        assert sent < 20 << 20


def test_what_a_client_sends_faster_than_it_can_be_done_is_not_read_either(server: Server) -> None:
    """Every change waits for its turn, and brings in no more than it takes away."""
    count = 8000
    with connect(server) as wire:
        in_loop(server, tracemalloc.start)
        try:
            requests = encode_request(SetBulk([(0, b"k", bytes(800), 0)])) * count
            threading.Thread(target=wire.send, args=(requests,)).start()
            assert wire.read(5 * count) == STORED * count
            assert tracemalloc.get_traced_memory()[1] < len(requests) + (2 << 20)
        finally:
            tracemalloc.stop()


# --- Too many


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_too_many_is_turned_away_until_another_has_ended(loop: str) -> None:
    with serving("%", max_connections=3, loop=loop) as server:
        wires = [connect(server) for _ in range(3)]
        for wire in wires:
            assert wire.call("void").status == 200
        with connect(server) as wire:
            assert wire.rest() == b""
        wires.pop().close()
        while in_loop(server, lambda: len(server.connections)) > 2:
            pass
        with connect(server) as wire:
            assert wire.call("void").status == 200
        for wire in wires:
            assert wire.call("void").status == 200
            wire.close()


# --- Faults of ours


class Faulty:
    """A database whose every part fails in another way."""

    name, durable, ordered = "faulty", False, True

    def __init__(self, error: type[Exception]) -> None:
        self._error = error
        self.find = self.change_all = self.expiry = self.xt = self.status = self._fail

    def _fail(self, *_: object) -> Any:
        raise self._error("on purpose")

    @property
    def database(self) -> Any:
        raise self._error("on purpose")

    operations = environment = database


TO_FAULTY = {
    "quick get": encode_request(GetBulk([(2, b"k")])),
    "quick set": encode_request(SetBulk([(2, b"k", b"v", 0)])),
    "get": encode_request(GetBulk([(2, b"k"), (2, b"j")])),
    "get from both": encode_request(GetBulk([(0, b"k"), (2, b"j")])),
    "set": encode_request(SetBulk([(2, b"k", b"v", 0), (2, b"j", b"v", 0)])),
    "set to both": encode_request(SetBulk([(0, b"k", b"v", 0), (2, b"j", b"v", 0)])),
    "remove": encode_request(RemoveBulk([(2, b"k")])),
    "call": rpc("get", key="k", DB=2),
    "call of a change": rpc("set", key="k", value="v", DB=2),
    "call of a bulk": rpc("set_bulk", _k="v", DB=2),
    "call of a search": rpc("match_prefix", prefix="", DB=2),
    "status": rpc("status", DB=2),
    "GET": b"GET /2/k HTTP/1.1\r\n\r\n",
    "PUT": b"PUT /2/k HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "pipelined behind a change": SET + rpc("get", key="k", DB=2),
}


@pytest.mark.parametrize("request_", TO_FAULTY.values(), ids=TO_FAULTY)
@pytest.mark.parametrize("error", [ZeroDivisionError, KTError])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_fault_costs_its_own_connection_only(request_: bytes, error: type[Exception], loop: str) -> None:
    with serving("%", "*", loop=loop) as server, connect(server) as other:
        server.databases.append(Faulty(error))  # type: ignore[arg-type]
        with connect(server) as wire:
            other.send(SET)
            wire.send(request_)
            wire.end()
            reply = wire.rest().removeprefix(STORED)
            assert reply in (b"", b"\xbf") or reply.startswith(b"HTTP/1.1 500 ")
            assert other.read(5) == STORED
        assert other.call("void").status == 200
        server.databases.pop()


def test_a_client_that_resets_its_connection_amid_everything(server: Server) -> None:
    for _ in range(20):
        wire = connect(server)
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.send(SET + rpc("match_regex", regex="^k") + GET * 10 + SET[:9])
        wire.close()
    with connect(server) as wire:
        assert wire.ask(SET) == STORED


def test_requests_are_logged_where_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "kt_core.server"), serving("%") as server, connect(server) as wire:
        port = wire.socket.getsockname()[1]
        wire.ask(http.encode_request(http.Request(b"GET", b"/rpc/get?key=none")))
        wire.ask(b"PUT /k HTTP/1.1\r\nContent-Length: 1\r\n\r\nv")
    said = [record.getMessage() for record in caplog.records]
    assert f"(127.0.0.1:{port}): GET /rpc/get HTTP/1.1: 450" in said
    assert f"(127.0.0.1:{port}): PUT /k HTTP/1.1: 201" in said
