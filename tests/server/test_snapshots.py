"""Snapshots of databases: protocol reference, section 9.6."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest

from kt_core.errors import Misconfigured
from kt_core.wire.kt_binary import NEVER_XT, SetBulk, encode_request
from kt_core.wire.kt_snapshot import Snapshot, encode_header, encode_record, read_header, read_records
from tests.clock import Clock
from tests.fix_servers import KINDS, running
from tests.server.exchange import Wire, connect
from tests.server.program import program
from tests.server.running import serving

ANYTHING = {bytes((number,)) * (number * 3): bytes(number) for number in range(256)}


def fill(wire: Wire) -> None:
    """Store records of any keys, one that expires, and one that does so soon."""
    wire.ask(encode_request(SetBulk([(0, key, value, NEVER_XT) for key, value in ANYTHING.items()])))
    wire.ask(encode_request(SetBulk([(0, b"later", b"v", 1000), (0, b"soon", b"v", 1), (1, b"other", b"w", NEVER_XT)])))


def check(wire: Wire) -> None:
    """Find them again."""
    found = wire.call("get_bulk", {b"_" + key: b"" for key in ANYTHING}).values
    assert {name[1:]: value for name, value in found.items() if name[:1] == b"_"} == ANYTHING
    assert b"xt" in wire.call("get", key="later").values
    assert wire.call("get", key="other", DB=1).values == {b"value": b"w"}


def written(path: Path) -> dict[bytes, tuple[bytes, int]]:
    """Return the records in a snapshot."""
    with path.open("rb") as file:
        said = read_header(file.read)
        records = {key: (value, xt) for key, value, xt in read_records(file.read, expires=True)}
    assert said.records == len(records)
    return records


def test_what_is_in_memory_is_there_again(tmp_path: Path) -> None:
    clock = Clock()
    with serving(":", "%", clock=clock, snapshot_directory=tmp_path) as server, connect(server) as wire:
        fill(wire)
        clock.advance(5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000000.ktss", "00000001.ktss"]
    assert (tmp_path / "00000000.ktss").stat().st_mode & 0o777 == 0o600
    assert written(tmp_path / "00000000.ktss").keys() == ANYTHING.keys() | {b"later"}
    with serving(":", "%", clock=clock, snapshot_directory=tmp_path) as server, connect(server) as wire:
        check(wire)
        assert int(wire.call("status").values[b"count"]) == len(ANYTHING) + 1
        wire.call("clear")
    assert written(tmp_path / "00000000.ktss") == {}


def test_they_are_written_while_it_runs(tmp_path: Path) -> None:
    flags = ["-port", "0", "-le", "-bgs", str(tmp_path), "-bgsi", "0.05"]
    with program(":", "%", flags=flags) as server, Wire(server.address) as wire:
        fill(wire)
        while not (tmp_path / "00000001.ktss").exists() or b"other" not in written(tmp_path / "00000001.ktss"):
            time.sleep(0.02)
        server.end(signal.SIGKILL)
    with program(":", "%", flags=flags) as server, Wire(server.address) as wire:
        check(wire)


def test_a_database_that_holds_records_keeps_its_own(tmp_path: Path) -> None:
    database = f"{tmp_path}/x.kct"
    (tmp_path / "00000000.ktss").write_bytes(encode_header(Snapshot(0, 1, 0)) + encode_record(b"k", b"old", 1 << 39))
    for value in ("old", "new"):
        with serving(database, snapshot_directory=tmp_path) as server, connect(server) as wire:
            assert wire.call("get", key="k").values[b"value"] == value.encode()
            wire.call("set", key="k", value="new")
            shutil.copy(tmp_path / "00000000.ktss", tmp_path / "old")
        shutil.copy(tmp_path / "old", tmp_path / "00000000.ktss")


def test_expired_records_are_not_applied(tmp_path: Path) -> None:
    clock = Clock()
    stamps = {b"zero": 0, b"gone": int(clock.seconds) - 1, b"now": int(clock.seconds), b"never": (1 << 40) - 1}
    records = b"".join(encode_record(key, b"v", xt) for key, xt in stamps.items())
    (tmp_path / "00000000.ktss").write_bytes(encode_header(Snapshot(0, 4, 0)) + records)
    with serving(":", clock=clock, snapshot_directory=tmp_path) as server, connect(server) as wire:
        assert wire.call("match_prefix", prefix="").values == {b"_never": b"0", b"_now": b"1", b"num": b"2"}


@pytest.mark.parametrize("damage", [b"", b"KTSS", encode_header(Snapshot(0, 1, 0)) + b"\xcc\1", b"x" * 1000])
def test_a_damaged_one_is_refused_and_stays_as_it_is(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "00000000.ktss"
    path.write_bytes(damage)
    with pytest.raises(Misconfigured, match="move it away"), serving(":", snapshot_directory=tmp_path):
        pass
    assert path.read_bytes() == damage


def test_a_start_that_fails_writes_none(tmp_path: Path) -> None:
    taken = serving(":")
    with taken as other, pytest.raises(Misconfigured), serving(":", snapshot_directory=tmp_path, port=other.port):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="make it"), serving(":", snapshot_directory=tmp_path / "none"):
        pass


def test_one_that_cannot_be_written_is_reported_and_the_server_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "snapshots"
    directory.mkdir()
    flags = ["-port", "0", "-le", "-bgs", str(directory), "-log", str(tmp_path / "log")]
    with program(":", flags=flags) as server, Wire(server.address) as wire:
        (directory / "00000000.ktss.tmp").mkdir()
        assert wire.call("set", key="k", value="v").status == 200
        assert server.end() == 0
    assert "00000000.ktss cannot be written" in (tmp_path / "log").read_text()


def test_databases_whose_records_never_expire(tmp_path: Path) -> None:
    for _ in range(2):
        with serving(":#ktopts=p", snapshot_directory=tmp_path) as server, connect(server) as wire:
            wire.call("add", key="k", value="v")
            assert wire.call("get", key="k").values == {b"value": b"v"}
    assert (tmp_path / "00000000.ktss").read_bytes().endswith(b"\xcc\1\1kv")


if "ktserver" in KINDS:

    def test_the_original_takes_ours(tmp_path: Path) -> None:
        with serving(":", "%", snapshot_directory=tmp_path) as server, connect(server) as wire:
            fill(wire)
        with (
            running("ktserver", "-bgs", str(tmp_path), databases=[f"{tmp_path}/a.kch", f"{tmp_path}/b.kct"]) as address,
            Wire((address.host, address.port)) as wire,
        ):
            check(wire)

    def test_ours_takes_those_of_the_original(tmp_path: Path) -> None:
        (tmp_path / "bgs").mkdir()
        databases = [f"{tmp_path}/a.kch", f"{tmp_path}/b.kct"]
        flags = ["-bgs", str(tmp_path / "bgs"), "-bgsi", "0.5"]
        last = tmp_path / "bgs" / "00000001.ktss"
        with running("ktserver", *flags, databases=databases) as address, Wire((address.host, address.port)) as wire:
            fill(wire)
            for _ in range(2):  # the first may have been begun before
                last.unlink(missing_ok=True)
                while not last.exists():
                    time.sleep(0.02)
        with serving(":", "%", snapshot_directory=tmp_path / "bgs") as server, connect(server) as wire:
            check(wire)
