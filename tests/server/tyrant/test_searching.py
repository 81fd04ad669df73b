"""Regular expressions that may take for ever: they end, and hold up nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from kt_core.server.tyrant.searching import takes_long
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_binary import encode_request
from tests.server.tyrant.running import connect, serving

ENDLESS = b"(a*)*b"
KEY = b"a" * 60


@pytest.mark.parametrize(
    ("pattern", "long"),
    [(b"", False), (b"^a[0-9]+$", False), (b"*^a.*b", False), (b"a+b+", True), (b"(a|aa)*b", True), (ENDLESS, True)],
)
def test_which_may(pattern: bytes, long: bool) -> None:
    assert takes_long(pattern) is long


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("+", tt.Misc(b"regex", 0, [ENDLESS])),
        ("{}/x.tct", tt.Misc(b"search", 0, [b"addcond\0\0STRRX\0" + ENDLESS])),
        ("{}/x.tct", tt.Misc(b"search", 0, [b"addcond\0\0STRRX\0" + ENDLESS, b"out"])),
    ],
)
def test_they_end_and_others_are_answered_meanwhile(tmp_path: Path, name: str, request_: tt.Misc) -> None:
    database = name.format(tmp_path) + ("" if name == "+" else "#durability=process")
    with serving(database, timeout=1.0) as server, connect(server) as asker, connect(server) as other:
        asker.tell(tt.Put(KEY, b"x\0v"))
        asker.send(encode_request(request_))
        assert other.ask_for(tt.Get(KEY)) == b"x\0v"
        assert asker.told(request_) == b"\1\0\0\0\0"
        assert asker.ask_for(tt.RNum()) == 1


def test_what_ends_finds_what_others_do(tmp_path: Path) -> None:
    with serving(f"{tmp_path}/x.tct#durability=process") as server, connect(server) as asker:
        for key in (b"ab", b"ba", b"cc"):
            asker.tell(tt.Put(key, b"x\0" + key))
        assert asker.call("regex", b"^a+b+$") == [b"ab", b"x\0ab"]
        assert asker.call("regex", b"(a+)+(") is None
        assert asker.call("search", b"addcond\0x\0STRRX\0^b+a+") == [b"ba"]
        assert asker.call("search", b"addcond\0x\0STRRX\0^b+a+", b"out", b"get") == [b"\0ba\0x\0ba"]
        assert asker.call("search", b"addcond\0x\0~STRRX\0^b+a+", b"count") == [b"2"]
