"""Servers at fault: the right error, nobody gets another's answer, and nothing is done twice."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.errors import ConnectionFailed, KTError, ProtocolError, ServerError, Timeout
from kt_core.wire import http
from kt_core.wire.kt_binary import XT_MAX, GetReply, RemoveReply, SetReply, encode_reply
from kt_core.wire.kt_rpc import RpcReply
from kt_core.wire.kt_rpc import encode_reply as encode_rpc
from tests.kyoto.conftest import Connect
from tests.peer import Behaviour, Peer, peer, say


def found(value: bytes) -> bytes:
    """Return the reply to a fetch."""
    return encode_reply(GetReply([(0, b"k", value, XT_MAX)]))


def answered(status: int, **values: str) -> bytes:
    """Return the reply to a call."""
    reply = RpcReply(status, {name.encode(): value.encode() for name, value in values.items()})
    return http.encode_response(encode_rpc(reply), b"server", b"today")


STORED = encode_reply(SetReply(1))

# A call, the reply that it waits for first, and whether its first request is safe to be sent twice.
CALLS: dict[str, tuple[Callable[[Any], object], bytes, bool]] = {
    "get": (lambda client: client.get("k"), found(b"value"), True),
    "get_bulk": (lambda client: client.get_bulk(["k"]), found(b"value"), True),
    "set": (lambda client: client.set("k", "v"), STORED, True),
    "exists": (lambda client: client.exists("k"), answered(200, vsiz="5"), True),
    "incr": (lambda client: client.incr("k"), answered(200, num="1"), False),
    "append": (lambda client: client.append("k", "v"), answered(200), False),
    "remove": (lambda client: client.remove("k"), encode_reply(RemoveReply(1)), False),
    "status": (lambda client: client.status(), answered(200, count="1"), True),
    "touch": (lambda client: client.touch("k"), found(b"value"), True),
    "keys": (lambda client: client.keys(), answered(200), False),
}
calls = pytest.mark.parametrize(("call", "reply", "safe"), CALLS.values(), ids=CALLS)


def half_of(reply: bytes) -> Behaviour:
    """Send the first half of a reply and hang up."""

    def behave(connected: socket.socket) -> None:
        connected.recv(1 << 16)
        connected.sendall(reply[: len(reply) // 2])

    return behave


def one_half_of(reply: bytes) -> Behaviour:
    """Send the first half of a reply and nothing more."""
    return say(reply[: len(reply) // 2])


class Deaf:
    """Hang up after a request has been read, and count the requests."""

    def __init__(self) -> None:
        self.requests = 0

    def __call__(self, connected: socket.socket) -> None:
        if connected.recv(1 << 16):
            self.requests += 1


FAULTS: dict[str, tuple[Callable[[bytes], Behaviour], type[KTError]]] = {
    "hangs up": (lambda reply: Deaf(), ConnectionFailed),
    "breaks off": (half_of, ConnectionFailed),
    "is silent": (lambda reply: say(), Timeout),
    "stalls": (one_half_of, Timeout),
    "talks nonsense": (lambda reply: say(b"\0\n" * 100), ProtocolError),
    "talks of something else": (lambda reply: say(b"\xb4" + reply), ProtocolError),
    "talks another language": (lambda reply: say(b"+OK\r\n-ERR\r\n\r\n"), ProtocolError),
}


# A fault that takes its time is not waited for with every call.
CASES = [
    pytest.param(call, reply, *fault, id=f"{name} {fault_name}")
    for name, (call, reply, _) in CALLS.items()
    for fault_name, fault in FAULTS.items()
    if fault[1] is not Timeout or name in ("get", "incr", "get_bulk")
]


@pytest.mark.parametrize(("call", "reply", "fault", "error"), CASES)
def test_a_fault_is_told_and_the_connection_never_used_again(
    connect_to: Connect,
    call: Callable[[Any], object],
    reply: bytes,
    fault: Callable[[bytes], Behaviour],
    error: type[KTError],
) -> None:
    with peer(fault(reply), say(found(b"good"))) as server:
        client = connect_to(server.address, timeout=0.3 if error is Timeout else 10)
        with pytest.raises(error) as caught:
            call(client)
        assert caught.type is error
        assert client.get("k") == "good"
        assert server.accepted == 2
        client.close()


def test_an_answer_too_many_is_nobody_s(connect_to: Connect) -> None:
    """Not even the one for whom it came too early."""
    with peer(say(found(b"first") + found(b"second")), say(found(b"third"))) as server:
        client = connect_to(server.address, timeout=5)
        assert client.get("k") == "first"
        assert client.get("k") == "third"
        assert server.accepted == 2
        client.close()


def test_a_late_answer_is_nobody_s(connect_to: Connect) -> None:
    def answer_the_first_late(connected: socket.socket) -> None:
        connected.recv(1 << 16)
        connected.recv(1 << 16)  # until the client has lost patience
        connected.sendall(found(b"late"))

    with peer(answer_the_first_late, say(found(b"in time"))) as server:
        client = connect_to(server.address, timeout=0.3, connect_timeout=5)
        with pytest.raises(Timeout):
            client.get("k")
        assert client.get("k") == "in time"
        client.close()


def test_a_server_that_wants_to_end_is_left(connect_to: Connect) -> None:
    bye = answered(200, vsiz="1").replace(b"Server:", b"Connection: close\r\nServer:")
    with peer(say(bye), say(answered(200, vsiz="2"))) as server:
        client = connect_to(server.address, timeout=5)
        assert client.length("k") == 1
        assert client.length("k") == 2
        assert server.accepted == 2
        client.close()


def test_a_reply_without_what_was_asked_for(connect_to: Connect) -> None:
    with peer(say(answered(200), answered(200, num="5"))) as server:
        client = connect_to(server.address, timeout=5)
        with pytest.raises(ProtocolError, match="the reply has no 'num'"):
            client.incr("k")
        assert client.incr("k") == 5
        client.close()


def test_touch_begins_again_when_somebody_was_faster(connect_to: Connect) -> None:
    replies = found(b"old"), answered(450, ERROR="DB: 8: status conflict"), found(b"new"), answered(200)
    with peer(say(*replies)) as server:
        client = connect_to(server.address, timeout=5)
        assert client.touch("k", 10) is True
        client.close()


def test_touch_finds_that_somebody_has_removed_it(connect_to: Connect) -> None:
    replies = found(b"old"), answered(450, ERROR="DB: 8: status conflict"), encode_reply(GetReply(()))
    with peer(say(*replies)) as server:
        client = connect_to(server.address, timeout=5)
        assert client.touch("k", 10) is False
        client.close()


@pytest.mark.parametrize("status", [400, 500, 501, 503, 404])
def test_a_refusal_leaves_the_connection_in_order(connect_to: Connect, status: int) -> None:
    replies = answered(status, ERROR="DB: 4: no permission"), answered(200)
    with peer(say(*replies)) as server:
        client = connect_to(server.address, timeout=5)
        with pytest.raises(ServerError, match=f"{status}: DB: 4: no permission") as caught:
            client.add("k", "v")
        assert caught.value.status == status
        assert client.add("k", "v") is True
        assert server.accepted == 1
        client.close()


BINARY: dict[str, Callable[[Any], object]] = {
    "get": lambda client: client.get("k"),
    "get_bulk": lambda client: client.get_bulk(["k"]),
    "get_bulk_details": lambda client: client.get_bulk_details([(0, "k")]),
    "set": lambda client: client.set("k", "v"),
    "set_bulk": lambda client: client.set_bulk(k="v"),
    "remove": lambda client: client.remove("k"),
    "script": lambda client: client.script("name"),
}


@pytest.mark.parametrize("call", BINARY.values(), ids=BINARY)
def test_a_refusal_without_words(connect_to: Connect, call: Callable[[Any], object]) -> None:
    """After most of them the server hangs up, and so does the client."""
    with peer(say(b"\xbf", STORED), say(STORED)) as server:
        client = connect_to(server.address, timeout=5)
        with pytest.raises(ServerError, match="no words for why"):
            call(client)
        assert client.set("k", "v") == 1
        assert server.accepted == (1 if call is BINARY["script"] else 2)
        client.close()


def test_a_value_that_the_serializer_cannot_read_leaves_the_connection_in_order(connect_to: Connect) -> None:
    with peer(say(found(b"{"), found(b"{}"))) as server:
        client = connect_to(server.address, timeout=5, serializer="json")
        with pytest.raises(ValueError, match="Expecting"):
            client.get("k")
        assert client.get("k") == {}
        assert server.accepted == 1
        client.close()


class TestTheServerDiesBetweenRequestAndReply:
    """On a connection that has worked before, what is safe to do twice is tried once more."""

    def first_good_then_deaf(self, deaf: Deaf) -> Behaviour:
        def behave(connected: socket.socket) -> None:
            connected.recv(1 << 16)
            connected.sendall(STORED)
            deaf(connected)

        return behave

    @calls
    def test_only_what_is_safe_is_sent_again(
        self, connect_to: Connect, call: Callable[[Any], object], reply: bytes, safe: bool
    ) -> None:
        first, others = Deaf(), Deaf()
        with peer(self.first_good_then_deaf(first), others) as server:
            client = connect_to(server.address, timeout=5)
            client.set("k", "v")
            with pytest.raises(ConnectionFailed):
                call(client)
            assert wait_for_hang_ups(server, server.accepted)
            assert (first.requests, others.requests) == (1, int(safe))
            client.close()

    def test_a_safe_one_succeeds(self, connect_to: Connect) -> None:
        with peer(self.first_good_then_deaf(Deaf()), say(found(b"v"))) as server:
            client = connect_to(server.address, timeout=5)
            client.set("k", "v")
            assert client.get("k") == "v"
            client.close()


def wait_for_hang_ups(server: Peer, count: int) -> bool:
    """Wait until the server is done with so many connections."""
    return all(server.ended.acquire(timeout=10) for _ in range(count))


def test_a_server_that_is_not_there(connect_to: Connect) -> None:
    with peer(say()) as server:
        address = server.address
    client = connect_to(address, timeout=5)
    for call, _, _ in CALLS.values():
        with pytest.raises(ConnectionFailed, match="cannot be reached"):
            call(client)
