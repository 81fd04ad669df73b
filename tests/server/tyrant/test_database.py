"""Databases of each kind: what outlives a server, what is refused, and copies."""

from __future__ import annotations

from pathlib import Path

import pytest

from kt_core.errors import Misconfigured
from kt_core.server.tyrant.names import KINDS, Name
from kt_core.wire import tt_messages as tt
from tests.server.tyrant.asking import Asker
from tests.server.tyrant.running import connect, serving

STORED = {"tch": (b"k", b"v"), "tcb": (b"k", b"v"), "tcf": (b"7", b"v"), "tct": (b"k", b"c\0v")}
FAST = "#durability=process"


def fill(asker: Asker, suffix: str) -> None:
    key, value = STORED[suffix]
    assert asker.ask_for(tt.Put(key, value))
    if suffix == "tcb":
        assert asker.call("putdup", key, b"w") == []
    if suffix == "tct":
        assert asker.call("genuid") == [b"1"]
        assert asker.call("setindex", b"c", b"LEX") == []


def check(asker: Asker, suffix: str) -> None:
    key, value = STORED[suffix]
    assert asker.ask_for(tt.Get(key)) == value
    if suffix == "tcb":
        assert asker.call("get", key) == [value, b"w"]
        assert asker.ask_for(tt.RNum()) == 2
    if suffix == "tct":
        assert asker.call("genuid") == [b"2"]
        assert asker.call("setindex", b"c", str(1 << 24).encode()) is None


@pytest.mark.parametrize("suffix", STORED)
@pytest.mark.parametrize("durability", ["process", "commit"])
def test_records_of_a_file_outlive_the_server(tmp_path: Path, suffix: str, durability: str) -> None:
    name = f"{tmp_path}/x.{suffix}#durability={durability}"
    with serving(name) as server, connect(server) as asker:
        fill(asker, suffix)
    with serving(name) as server, connect(server) as asker:
        check(asker, suffix)


@pytest.mark.parametrize("suffix", STORED)
def test_a_copy_is_a_database_of_its_own(tmp_path: Path, suffix: str) -> None:
    path, copy = f"{tmp_path}/x.{suffix}", f"{tmp_path}/copy.{suffix}"
    with serving(path + FAST) as server, connect(server) as asker:
        fill(asker, suffix)
        for _ in range(2):
            assert asker.ask_for(tt.Copy(copy.encode()))
        for place in (path, f"{tmp_path}/x", "*", f"{tmp_path}/{'x.tcb' if suffix != 'tcb' else 'x.tch'}"):
            assert asker.ask_for(tt.Copy(place.encode())) is None
        check(asker, suffix)
    with serving(copy) as server, connect(server) as asker:
        check(asker, suffix) if suffix != "tct" else asker.ask_for(tt.Get(b"k"))


def test_a_database_in_memory_can_be_copied_to_a_file(tmp_path: Path) -> None:
    with serving("*") as server, connect(server) as asker:
        asker.tell(tt.Put(b"k", b"v"))
        assert asker.ask_for(tt.Copy(f"{tmp_path}/x.tch".encode()))
    with serving(f"{tmp_path}/x.tch") as server, connect(server) as asker:
        assert asker.ask_for(tt.Get(b"k")) == b"v"


def test_commands_of_the_command_directory_only_are_run(tmp_path: Path) -> None:
    command = tmp_path / "note"
    command.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/noted\n')
    command.chmod(0o700)
    with serving(f"{tmp_path}/x.tch{FAST}", command_directory=tmp_path) as server, connect(server) as asker:
        assert asker.ask_for(tt.Copy(b"@note"))
        path, stamp = (tmp_path / "noted").read_text().split()
        assert path == f"{tmp_path}/x.tch"
        assert int(stamp) > 1 << 50
        for other in (b"@none", b"@/bin/true", b"@note; true", b"@"):
            assert asker.ask_for(tt.Copy(other)) is None
    with serving("*", command_directory=tmp_path) as server, connect(server) as asker:
        assert asker.ask_for(tt.Copy(b"@note"))
        assert len((tmp_path / "noted").read_text().split()) == 1


def test_a_database_that_is_only_read(tmp_path: Path) -> None:
    path = f"{tmp_path}/x.tch{FAST}"
    with serving(path) as server, connect(server) as asker:
        asker.tell(tt.Put(b"k", b"v"))
    with serving(path + "#mode=r") as server, connect(server) as asker:
        assert asker.ask_for(tt.Get(b"k")) == b"v"
        for request in (
            tt.Put(b"k", b"w"),
            tt.Out(b"k"),
            tt.AddInt(b"n", 1),
            tt.Vanish(),
            tt.Misc(b"put", 0, [b"k", b"w"]),
        ):
            assert asker.ask_for(request) is None
        assert asker.call("vanish") is None
        for line in (
            b"set k 0 0 1\r\nw\r\n",
            b"add j 0 0 1\r\nw\r\n",
            b"delete k\r\n",
            b"incr k 1\r\n",
            b"flush_all\r\n",
        ):
            asker.send(line)
            assert asker.read(25) == b"SERVER_ERROR unexpected\r\n"[:25]
            asker.read(0)
        assert asker.ask_for(tt.Get(b"k")) == b"v"


def test_a_database_that_begins_empty(tmp_path: Path) -> None:
    path = f"{tmp_path}/x.tch{FAST}"
    for _ in range(2):
        with serving(path + "#mode=wct") as server, connect(server) as asker:
            assert asker.ask_for(tt.RNum()) == 0
            asker.tell(tt.Put(b"k", b"v"))


def test_a_limit_of_records_holds() -> None:
    with serving("*#capnum=1000") as server, connect(server) as asker:
        for number in range(2000):
            asker.tell(tt.PutNr(b"%d" % number, b"v"))
        assert 900 <= asker.ask_for(tt.RNum()) <= 1100


def test_a_file_of_the_original_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "x.tch").write_bytes(b"ToKyO CaBiNeT\n")
    with pytest.raises(Misconfigured, match="Tokyo Cabinet"), serving(f"{tmp_path}/x.tch"):
        pass
    assert (tmp_path / "x.tch").read_bytes() == b"ToKyO CaBiNeT\n"


@pytest.mark.parametrize(
    ("text", "kind"), [("*", "*"), ("+", "+"), ("/a/x.TCB", "tcb"), ("x.bdb", "tcb"), ("x.fdb", "tcf")]
)
def test_names_tell_the_kind(text: str, kind: str) -> None:
    assert Name.parse(text + "#bnum=5").kind is KINDS[kind]


@pytest.mark.parametrize("text", ["", "x", "x.kch", "x.tch/y", ":"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"\.tch"):
        Name.parse(text)


def test_options_of_names() -> None:
    name = Name.parse("*#capnum=2k#capsiz=1m#bnum=7#nonsense=1")
    assert (name.count_limit, name.size_limit, name.unknown) == (2048, 1 << 20, ["nonsense"])
    assert Name.parse("x.tch#capnum=5").count_limit == 0
    assert (Name.parse("x.tch#mode=r").read_only, Name.parse("x.tch#mode=wr").read_only) == (True, False)


def test_a_list_longer_than_what_there_is_room_for_pushes_out_what_is_old() -> None:
    with serving("*#capsiz=1m") as server, connect(server) as asker:
        many = [part for number in range(20_000) for part in (b"%05d" % number, b"v" * 300)]
        assert asker.call("putlist", *many) == []
        assert 100 < asker.ask_for(tt.RNum()) < 20_000
        assert asker.ask_for(tt.Get(b"19999")) == b"v" * 300
        assert asker.call("outlist", *many[::2]) == []
        assert asker.ask_for(tt.RNum()) == 0
