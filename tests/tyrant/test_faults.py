"""Servers at fault: the right error, nobody gets another's answer, and nothing is done twice."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import ConnectionFailed, KTError, ProtocolError, Timeout
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import TooLarge
from kt_core.wire.tt_binary import encode_reply
from tests.kyoto.test_faults import Deaf, half_of, one_half_of, wait_for_hang_ups
from tests.peer import Behaviour, peer, say
from tests.tyrant.conftest import Connect

GOOD = encode_reply(tt.Value(b"good"))

# A call, the reply that it waits for first, and whether its first request is safe to be sent twice.
CALLS: dict[str, tuple[Callable[[Any], object], bytes, bool]] = {
    "get": (lambda client: client.get("k"), GOOD, True),
    "get_bulk": (lambda client: client.get_bulk(["k"]), encode_reply(tt.Records([(b"k", b"v")])), True),
    "exists": (lambda client: client.exists("k"), encode_reply(tt.Integer(5)), True),
    "incr": (lambda client: client.incr("k"), encode_reply(tt.Integer(5)), False),
    "seize": (lambda client: client.seize("k"), GOOD + encode_reply(tt.Done()), False),
    "status": (lambda client: client.status(), encode_reply(tt.Value(b"rnum\t1\n")), True),
    "remove_bulk": (lambda client: client.remove_bulk(["k"]), encode_reply(tt.Elements([])), False),
    "script": (lambda client: client.script("f"), GOOD, False),
}
FAULTS: dict[str, tuple[Callable[[bytes], Behaviour], type[KTError]]] = {
    "hangs up": (lambda reply: Deaf(), ConnectionFailed),
    "breaks off": (half_of, ConnectionFailed),
    "is silent": (lambda reply: say(), Timeout),
    "stalls": (one_half_of, Timeout),
    "has another status": (lambda reply: say(b"\2" + reply), ProtocolError),
    "talks another language": (lambda reply: say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ProtocolError),
    "announces too much": (lambda reply: say(b"\0\xff\xff\xff\xff"), TooLarge),
}
calls = pytest.mark.parametrize(("call", "reply", "safe"), CALLS.values(), ids=CALLS)

# A fault that takes its time is not waited for with every call; a number has no size to be too large.
CASES = [
    pytest.param(call, reply, *fault, id=f"{name} {fault_name}")
    for name, (call, reply, _) in CALLS.items()
    for fault_name, fault in FAULTS.items()
    if (fault[1] is not Timeout or name in ("get", "seize"))
    and (fault_name != "announces too much" or name not in ("exists", "incr"))
]


@pytest.mark.parametrize(("call", "reply", "fault", "error"), CASES)
def test_a_fault_is_told_and_the_connection_never_used_again(
    connect_to: Connect,
    call: Callable[[Any], object],
    reply: bytes,
    fault: Callable[[bytes], Behaviour],
    error: type[KTError],
) -> None:
    with peer(fault(reply), say(GOOD)) as server:
        client = connect_to(server.address, timeout=0.3 if error is Timeout else 10)
        with pytest.raises(error) as caught:
            call(client)
        assert caught.type is error
        assert client.get("k") == "good"
        assert server.accepted == 2
        client.close()


@calls
def test_only_what_is_safe_is_sent_again(
    connect_to: Connect, call: Callable[[Any], object], reply: bytes, safe: bool
) -> None:
    first, others = Deaf(), Deaf()

    def good_then_deaf(connected: socket.socket) -> None:
        connected.recv(1 << 16)
        connected.sendall(GOOD)
        first(connected)

    with peer(good_then_deaf, others) as server:
        client = connect_to(server.address, timeout=5)
        client.get("k")
        with pytest.raises(ConnectionFailed):
            call(client)
        assert wait_for_hang_ups(server, server.accepted)
        assert (first.requests, others.requests) == (1, int(safe))
        client.close()


def test_more_than_was_asked_for_is_nobodys_answer(connect_to: Connect) -> None:
    with peer(say(GOOD + GOOD), say(encode_reply(tt.Value(b"second")))) as server:
        client = connect_to(server.address, timeout=5)
        assert client.get("k") == "good"
        assert client.get("k") == "second"
        assert server.accepted == 2
        client.close()


def test_a_unix_socket_is_as_good(connect_to: Connect, tmp_path: Path) -> None:
    with peer(say(GOOD), path=tmp_path / "socket") as server:
        client = connect_to(server.address, timeout=5)
        assert client.get("k") == "good"
        client.close()


def test_a_server_that_is_not_there(connect_to: Connect) -> None:
    with peer(say()) as server:
        address = server.address
    client = connect_to(address, timeout=5)
    for call, _, _ in CALLS.values():
        with pytest.raises(ConnectionFailed, match="cannot be reached"):
            call(client)
