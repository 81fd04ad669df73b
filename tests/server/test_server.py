"""The server as a whole: starting, ending, and what it does regularly."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import Misconfigured
from kt_core.server import Server
from kt_core.wire.kt_binary import NEVER_XT, SetBulk, encode_request
from tests.clock import Clock
from tests.server.exchange import Wire, connect, rpc
from tests.server.running import LOOPS, in_loop, serving

STORED = bytes.fromhex("b800000001")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# --- Starting

FAILURES: dict[str, tuple[tuple[str, ...], dict[str, Any], str]] = {
    "no database": (("%", "nothing"), {}, "'nothing' is no database"),
    "a database that cannot be": (("%", "*#eviction=perhaps"), {}, "eviction is 'perhaps'"),
    "no host": (("%",), {"host": "192.0.2.1"}, "cannot be listened on"),
    "no path": (("%",), {"sock": "/nowhere/sock"}, "/nowhere/sock cannot be listened on"),
    "no timeout for a port": (("%",), {"port": 65536}, "cannot be listened on"),
}


@pytest.mark.parametrize(("databases", "options", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_start_that_fails_says_why_and_leaves_nothing(
    databases: tuple[str, ...], options: dict[str, Any], reason: str
) -> None:
    with serving():
        pass  # what is made once in a process
    before = descriptors(), threading.active_count()
    with pytest.raises(Misconfigured, match=reason), serving(*databases, **options):
        pass
    assert (descriptors(), threading.active_count()) == before


def test_a_port_that_is_taken_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"127.0.0.1:{port}"), serving(port=port):
            pass


def test_a_socket_in_use_stops_the_start_and_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with serving(sock=path), Wire(path) as wire:
        with pytest.raises(Misconfigured, match="sock"), serving(sock=path):
            pass
        assert wire.call("void").status == 200
        with Wire(path) as another:
            assert another.call("void").status == 200


def test_an_option_that_nobody_knows_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with serving("*#capsize=1m"):
        pass
    assert "database *: there is no option 'capsize'; it changes nothing" in caplog.messages


@pytest.mark.parametrize("loop", LOOPS)
def test_it_listens_by_tcp_and_on_a_unix_socket(tmp_path: Path, loop: str) -> None:
    path = tmp_path / "sock"
    with serving(sock=str(path), loop=loop) as server, Wire(str(path)) as local, connect(server) as remote:
        local.call("set", key="k", value="v")
        assert remote.call("get", key="k").values == {b"value": b"v"}
        assert b"Location: http://localhost:%d/k\r\n" % server.port in local.ask(
            b"PUT /k HTTP/1.1\nContent-Length: 0\n\n"
        )
    assert not path.exists()


def test_it_may_listen_on_a_unix_socket_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    with serving(port=None, sock=path) as server, Wire(path) as wire:
        assert server.port == 0
        assert wire.call("void").status == 200


# --- Databases


def test_databases_have_numbers_and_names(tmp_path: Path) -> None:
    specs = ["*", "%", f"{tmp_path}/x.kct", "embedded://" + str(tmp_path / "site") + "#max_size=4m"]
    with serving(*specs) as server, connect(server) as wire:
        for number in range(4):
            wire.call("set", key="k", value=number, DB=number)
        for name, number in [("*", 0), ("%", 1), ("x.kct", 2), ("site", 3)]:
            assert wire.call("get", key="k", DB=name).values == {b"value": b"%d" % number}
        assert server.find(4) is server.find(-1) is server.find(b"none") is None


def test_a_database_on_disk_outlives_its_server(tmp_path: Path, clock: Clock) -> None:
    for count in range(3):
        with serving(f"{tmp_path}/x.kct", clock=clock) as server, connect(server) as wire:
            assert wire.call("increment", key="n", num=1).values == {b"num": b"%d" % (count + 1)}
            assert wire.call("check", key="k").values == (
                {b"vsiz": b"1", b"xt": b"1700000100"} if count else {b"ERROR": b"DB: 7: no record: no record"}
            )
            wire.call("set", key="k", value="v", xt=-1_700_000_100)


def test_an_embedded_database_is_shared_with_a_store(tmp_path: Path) -> None:
    """The server in a process of its own: `test_command`; here both have one."""
    environment = Environment.open(tmp_path / "site", DatabaseOptions(max_size=4 << 20))
    store = EmbeddedStore(Database(environment))
    with serving(f"embedded://{tmp_path}/site#max_size=4m") as server, connect(server) as wire:
        store.set(b"k", b"v", None)
        assert wire.call("get", key="k").values == {b"value": b"v"}
        assert wire.call("increment", key="n", num=5).status == 200
        assert store.incr(b"n", 1) == 6


# --- Ending


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("path", ["%", "x.kct"])
def test_ending_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path, loop: str, path: str) -> None:
    spec = path if len(path) == 1 else f"{tmp_path}/{path}"
    acknowledged: list[bytes] = []
    begun = threading.Semaphore(0)

    def load(server: Server, number: int) -> None:
        with connect(server) as wire:
            for count in range(1_000_000):
                key = b"%d/%d" % (number, count)
                try:
                    if wire.ask(encode_request(SetBulk([(0, key, b"v", NEVER_XT)]))) != STORED:
                        return
                except OSError:
                    return
                acknowledged.append(key)
                if count == 3:
                    begun.release()

    threads = []
    with serving(spec, loop=loop) as server:
        threads = [threading.Thread(target=load, args=(server, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert begun.acquire(timeout=20)
    for thread in threads:
        thread.join()
    if path != "%":
        with serving(spec) as server, connect(server) as wire:
            found = wire.call("get_bulk", {b"_" + key: b"" for key in acknowledged}).values
            assert int(found[b"num"]) == len(acknowledged) >= 16


@pytest.mark.parametrize("loop", LOOPS)
def test_what_has_arrived_before_the_end_is_answered(loop: str) -> None:
    count = 200
    with serving("%", loop=loop) as server:
        wires = [connect(server) for _ in range(4)]
        for wire in wires:
            assert wire.call("void").status == 200
        released = threading.Event()
        server.loop.call_soon_threadsafe(released.wait)
        for wire in wires:  # the loop sees all this, and the end, when it is released
            wire.send(encode_request(SetBulk([(0, b"k", b"v", NEVER_XT)])) * count, rpc("match_prefix", prefix=""))
        server.loop.call_soon_threadsafe(released.set)
        released.set()
        while in_loop(server, lambda: server.counters[0]) < count:
            pass
    for wire in wires:
        replies = wire.rest()
        assert replies.startswith(STORED * count)
        assert replies.endswith(b"_k\t0\nnum\t1\n")
        wire.close()


@pytest.mark.parametrize("loop", LOOPS)
def test_idle_and_half_sent_connections_do_not_hold_up_the_end(loop: str) -> None:
    with serving("%", loop=loop) as server:
        idle, half = connect(server), connect(server)
        half.send(b"GET / HTTP/1.1\r\n")
        assert idle.call("void").status == 200
    assert idle.rest() == half.rest() == b""
    idle.close()
    half.close()


# --- Regularly


def test_idle_it_reclaims_what_has_expired(clock: Clock) -> None:
    with serving("%", "*", clock=clock) as server, connect(server) as wire:
        for number in range(2):
            wire.call("set_bulk", {b"_%d" % key: b"" for key in range(100)}, DB=number, xt=1)
        clock.advance(5)
        while in_loop(server, lambda: sum(served.database.count() for served in server.databases)):
            pass


def test_a_fault_in_what_is_done_regularly_does_not_end_it(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    class Faulty:
        tidied = threading.Semaphore(0)

        def tidy(self) -> None:
            self.tidied.release()
            raise ZeroDivisionError

    with serving("%") as server, caplog.at_level(logging.CRITICAL):
        server.databases.append(Faulty())  # type: ignore[arg-type]
        for _ in range(2):
            assert Faulty.tidied.acquire(timeout=20)
        in_loop(server, server.databases.pop)


def test_work_is_repeated_until_the_end_even_if_it_fails(caplog: pytest.LogCaptureFixture) -> None:
    done = []

    async def work() -> None:
        done.append(len(done))
        if len(done) == 1:
            raise ValueError("not this time")

    with serving() as server:
        in_loop(server, lambda: server.repeat(work, 0.001))
        while len(done) < 3:
            time.sleep(0.001)
    ended = len(done)
    assert "not this time" in caplog.text
    time.sleep(0.01)
    assert len(done) == ended


def test_what_is_not_on_the_disk_is_written_there_regularly(tmp_path: Path) -> None:
    databases = (":", f"{tmp_path}/x.kct#durability=process", f"{tmp_path}/y.kct")
    with serving(*databases, synchronize_interval=0.001) as server, connect(server) as wire:
        for number in range(300):
            assert wire.call("set", key=number, value="v", DB=number % 3).status == 200
