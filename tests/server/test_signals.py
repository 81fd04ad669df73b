"""Calls that wait for a condition, and calls that signal it: protocol reference, section 2.5."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from kt_core.server import Server
from kt_core.wire.kt_binary import GetBulk, encode_request
from tests.fix_servers import KINDS, running
from tests.server.exchange import Wire, connect, decode_call, rpc
from tests.server.running import in_loop, serving

TIMED_OUT = (503, {b"ERROR": b"the condition timed out"})


@pytest.fixture(scope="module", params=KINDS)
def address(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Where a server listens, one of each kind."""
    with running(request.param) as address:
        yield address.host, address.port


@pytest.fixture
def pair(address: tuple[str, int]) -> Iterator[tuple[Wire, Wire]]:
    """Two connections, one to wait and one to signal."""
    with Wire(address) as waiting, Wire(address) as signalling:
        waiting.call("clear")
        yield waiting, signalling


def wake(wire: Wire, name: str) -> None:
    """Signal until somebody was there."""
    while wire.call("void", SIGNAL=name).values == {b"SIGNALED": b"0"}:
        time.sleep(0.005)


def receive(wire: Wire, request: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Return what the reply to a request says that was sent before."""
    status, values = decode_call(wire.reply(request))
    return status, dict(values)


class TestEveryServer:
    def test_a_call_is_made_when_it_is_signalled(self, pair: tuple[Wire, Wire]) -> None:
        waiting, signalling = pair
        request = rpc("get", key="k", WAIT="there")
        waiting.send(request)
        assert signalling.call("set", key="k", value="v").status == 200
        wake(signalling, "there")
        assert receive(waiting, request) == (200, {b"value": b"v"})

    def test_a_call_that_nobody_signals(self, pair: tuple[Wire, Wire]) -> None:
        waiting, other = pair
        assert waiting.call("set", key="k", value="v", WAIT="never", WAITTIME="0.01") == TIMED_OUT
        assert other.call("get", key="k").status == 450

    def test_a_signal_is_not_remembered(self, pair: tuple[Wire, Wire]) -> None:
        waiting, signalling = pair
        assert signalling.call("void", SIGNAL="early").values == {b"SIGNALED": b"0"}
        assert waiting.call("void", WAIT="early", WAITTIME="0.01") == TIMED_OUT

    @pytest.mark.parametrize("procedure", ["get", "nothing", "play_script"])
    def test_a_call_that_fails_signals_all_the_same(self, pair: tuple[Wire, Wire], procedure: str) -> None:
        waiting, signalling = pair
        request = rpc("void", WAIT="failure")
        waiting.send(request)
        while (reply := signalling.call(procedure, key="k", SIGNAL="failure")).values[b"SIGNALED"] == b"0":
            time.sleep(0.005)
        assert reply.status != 200
        assert b"ERROR" in reply.values
        assert receive(waiting, request) == (200, {})

    def test_one_in_vain_signals_nobody(self, pair: tuple[Wire, Wire]) -> None:
        waiting, signalling = pair
        request = rpc("void", WAIT="b", WAITTIME="0.3")
        waiting.send(request)
        assert signalling.call("void", WAIT="a", WAITTIME="0.01", SIGNAL="b") == TIMED_OUT
        assert receive(waiting, request) == TIMED_OUT

    def test_a_chain(self, pair: tuple[Wire, Wire]) -> None:
        waiting, signalling = pair
        request = rpc("set", {b"key": b"k", b"value": b"v", b"WAIT": b"\0a", b"SIGNAL": b"b", b"SIGNALBROAD": b""})
        waiting.send(request)
        while signalling.call("void", {b"SIGNAL": b"\0a"}).values == {b"SIGNALED": b"0"}:
            time.sleep(0.005)
        assert receive(waiting, request) == (200, {b"SIGNALED": b"0"})

    def test_the_names_of_clients_that_are_gone(self, pair: tuple[Wire, Wire], address: tuple[str, int]) -> None:
        _, signalling = pair
        with Wire(address) as gone:
            gone.send(rpc("void", WAIT="gone", WAITTIME="0.05"))
        time.sleep(0.05)
        assert signalling.call("void").status == 200


def await_waiting(server: Server, name: bytes, count: int) -> None:
    """Wait until so many wait."""
    while len(in_loop(server, lambda: dict(server.conditions._waiting.get(name, {})))) != count:
        time.sleep(0.001)


@pytest.mark.parametrize(("more", "first"), [({}, [0]), ({"SIGNALBROAD": "0"}, [0, 1, 2])])
def test_those_who_came_first_are_woken(server: Server, wire: Wire, more: dict[str, str], first: list[int]) -> None:
    request = rpc("void", WAIT="c", WAITTIME="20")
    with ExitStack() as stack:
        waiting = [stack.enter_context(connect(server)) for _ in range(3)]
        for number, each in enumerate(waiting):
            each.send(request)
            await_waiting(server, b"c", number + 1)
        assert wire.call("void", SIGNAL="c", **more).values == {b"SIGNALED": b"3"}
        for number in first:
            assert receive(waiting[number], request) == (200, {})
        assert wire.call("void", SIGNAL="c").values == {b"SIGNALED": b"%d" % (3 - len(first))}
    await_waiting(server, b"c", 0)
    assert in_loop(server, lambda: dict(server.conditions._waiting)) == {}


def test_a_waiting_call_holds_up_nobody_and_what_follows_it_waits(server: Server, wire: Wire) -> None:
    request = rpc("set", key="k", value="v", WAIT="c")
    with connect(server) as waiting:
        waiting.send(request, encode_request(GetBulk([(0, b"k")])))
        await_waiting(server, b"c", 1)
        assert wire.call("get", key="k").status == 450
        wire.call("void", SIGNAL="c")
        assert waiting.read(1) == b"H"
        waiting.end()
        assert waiting.rest().endswith(b"kv")


def test_the_end_of_what_a_client_sends_ends_its_waiting(server: Server, wire: Wire) -> None:
    request = rpc("set", key="k", value="v", WAIT="c", WAITTIME="1e300")
    with connect(server) as waiting:
        waiting.send(request)
        await_waiting(server, b"c", 1)
        waiting.end()
        assert decode_call(waiting.rest()) == TIMED_OUT
    assert wire.call("void", SIGNAL="c").values == {b"SIGNALED": b"0"}
    assert wire.call("get", key="k").status == 450


def test_a_client_that_hangs_up_waits_no_more(server: Server, wire: Wire) -> None:
    with connect(server) as waiting:
        waiting.send(rpc("set", key="k", value="v", WAIT="c"))
        await_waiting(server, b"c", 1)
    await_waiting(server, b"c", 0)
    assert wire.call("get", key="k").status == 450


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e308", "0", "-1", "x"])
def test_any_time_to_wait(server: Server, wire: Wire, seconds: str) -> None:
    request = rpc("void", WAIT="c", WAITTIME=seconds)
    with connect(server) as waiting:
        waiting.send(request)
        await_waiting(server, b"c", 1)
        assert wire.call("void", SIGNAL="c").values == {b"SIGNALED": b"1"}
        assert receive(waiting, request) == (200, {})


def test_a_server_that_ends_ends_the_waiting() -> None:
    with serving() as server:
        waiting = connect(server)
        waiting.send(rpc("void", WAIT="c", WAITTIME="100"))
        await_waiting(server, b"c", 1)
    assert decode_call(waiting.rest()) == TIMED_OUT
    waiting.close()


def test_what_it_counts(server: Server, wire: Wire) -> None:
    before = in_loop(server, lambda: list(server.counters))
    wire.call("get", key="k", WAIT="c", WAITTIME="0.001")
    assert in_loop(server, lambda: list(server.counters)) == before
