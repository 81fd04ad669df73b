"""The update log of a server: what calls are in it, in its files and as it streams them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kt_core.transport import Address
from kt_core.tyrant import TokyoTyrant
from kt_core.wire import tt_messages as tt
from kt_core.wire.exchange import NEED_DATA, Buffer
from kt_core.wire.tt_binary import ReplyDecoder, encode_request
from kt_core.wire.tt_log import Change, KeepAlive, LogDecoder, StreamDecoder, StreamRecord
from tests.fix_servers import TYRANT_KINDS, running


class Logged(NamedTuple):
    """A server that keeps a log."""

    kind: str
    address: Address
    directory: Path


@pytest.fixture(params=TYRANT_KINDS)
def logged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Logged]:
    """Return a server with an empty log."""
    with running(request.param, "-ulog", str(tmp_path), "-sid", "7", databases=["*"]) as address:
        yield Logged(request.param, address, tmp_path)


@pytest.fixture
def client(logged: Logged) -> Iterator[TokyoTyrant]:
    """Return a client of the server."""
    with TokyoTyrant(logged.address.host, logged.address.port, timeout=10) as client:
        yield client


def changes(logged: Logged) -> list[Change]:
    """Return what is in the files of the log."""
    decoder, found = LogDecoder(), []
    for path in sorted(logged.directory.iterdir()):
        record = decoder.feed(path.read_bytes())
        while record is not NEED_DATA:
            assert (record.sid, record.mid) == (7, 0)
            found.append(record.change)
            record = decoder.feed(b"")
    assert decoder.rest == b""
    return found


def test_what_changes_something_is_logged_and_what_reads_is_not(logged: Logged, client: TokyoTyrant) -> None:
    client.set("k", "v")
    client.add("k", "w")
    client.set_bulk({"a": "1", "b": "2"})
    client.remove_bulk(["a"])
    client.incr("n", -3)
    client.get_bulk(["k"])
    client.get_part("k", 0, 1)
    client.match_regex("k")
    client.items()
    client.misc("get", ["k"], update_log=False)
    client.misc("put", ["c", "3"], update_log=False)
    client.misc("put", ["d", "4"])
    client.clear()
    assert changes(logged) == [
        Change(tt.Put(b"k", b"v")),
        Change(tt.PutKeep(b"k", b"w"), False),
        Change(tt.Misc(b"putlist", 0, [b"a", b"1", b"b", b"2"])),
        Change(tt.Misc(b"outlist", 0, [b"a"])),
        Change(tt.AddInt(b"n", -3)),
        Change(tt.Misc(b"put", 0, [b"d", b"4"])),
        Change(tt.Vanish()),
    ]


def test_a_log_is_restored_from_a_time_on(logged: Logged, client: TokyoTyrant) -> None:
    client.set_bulk({"a": "1", "b": "2"})
    with running(logged.kind, databases=["*"]) as address, TokyoTyrant(address.host, address.port) as other:
        assert other.restore(str(logged.directory), 1) is True
        assert other.get_bulk(["a", "b"]) == {"a": "1", "b": "2"}


def test_a_slave_is_told_the_changes(logged: Logged, client: TokyoTyrant) -> None:
    client.set("k", "v")
    buffer = Buffer()
    with socket.create_connection((logged.address.host, logged.address.port), timeout=10) as connected:
        connected.sendall(encode_request(tt.Repl(1, 8)))
        master: object = NEED_DATA
        decoder = ReplyDecoder(tt.Master, buffer=buffer)
        while master is NEED_DATA:
            master = decoder.feed(connected.recv(1 << 16))
        assert master == tt.Master(7)
        stream, record = StreamDecoder(buffer=buffer), NEED_DATA
        record = stream.feed(b"")
        while record is NEED_DATA or isinstance(record, KeepAlive):
            record = stream.feed(connected.recv(1 << 16)) if record is NEED_DATA else stream.feed(b"")
    assert isinstance(record, StreamRecord)
    assert (record.sid, record.change) == (7, Change(tt.Put(b"k", b"v")))


def test_a_master_is_followed_until_there_is_none(logged: Logged, client: TokyoTyrant) -> None:
    arguments = ("-sid", "8", "-rts", str(logged.directory.parent / "rts"))
    with (
        running(logged.kind, *arguments, databases=["*"]) as address,
        TokyoTyrant(address.host, address.port, timeout=10) as slave,
    ):
        assert slave.set_master(logged.address.host, logged.address.port, 1) is True
        assert slave.status().master == (logged.address.host, logged.address.port)
        assert slave.set_master(None) is True
        assert slave.status().master is None
