"""Requests of memcached's protocol; most of what is answered to them is in the recordings."""

from __future__ import annotations

import threading

from kt_core.server.tyrant.server import TyrantServer
from kt_core.wire import tt_messages as tt
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect


def lines(asker: Asker, sent: bytes, end: bytes = b"END\r\n") -> list[bytes]:
    """Send a request and return the lines of its reply, up to the last one."""
    asker.send(sent)
    received = b""
    while not received.endswith(end):
        received += asker.read(1)
    return received.splitlines()


def test_what_the_server_tells_about_itself(asker: Asker) -> None:
    lines(asker, b"set k 0 0 1\r\nv\r\nget k\r\nget none\r\n", b"v\r\nEND\r\nEND\r\n")
    told = dict(line.split()[1:] for line in lines(asker, b"stats\r\n")[:-1])
    assert told[b"version"] == b"1.1.41"
    assert (told[b"curr_items"], told[b"pointer_size"]) == (b"1", b"64")
    names = (b"pid", b"uptime", b"time", b"rusage_user", b"rusage_system", b"cmd_flush", b"bytes", b"threads")
    assert told.keys() >= {
        *names,
        *(b"cmd_%b_%b" % (each, kind) for each in (b"set", b"get") for kind in (b"hits", b"misses")),
    }


def test_values_that_look_like_requests(asker: Asker) -> None:
    value = b"END\r\nget k\r\n\0" * 100
    assert lines(asker, b"set k 1 2 %d\r\n%b\r\n" % (len(value), value), b"\r\n") == [b"STORED"]
    asker.send(b"get k\r\n")
    expected = b"VALUE k 0 %d\r\n%b\r\nEND\r\n" % (len(value), value)
    assert asker.read(len(expected)) == expected


def test_counters_lose_nothing(server: TyrantServer, asker: Asker) -> None:
    lines(asker, b"set n 0 0 1\r\n0\r\n", b"\r\n")

    def count() -> None:
        with connect(server) as other:
            for _ in range(50):
                lines(other, b"incr n 1\r\n", b"\r\n")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asker.ask_for(tt.Get(b"n")) == b"200"


def test_silence_is_kept(asker: Asker) -> None:
    asker.send(b"set a 0 0 1 noreply\r\n1\r\nincr a 1 noreply\r\ndelete none noreply\r\nadd a 0 0 1 noreply\r\nx\r\n")
    assert lines(asker, b"get a noreply\r\n") == [b"VALUE a 0 1", b"2", b"END"]
