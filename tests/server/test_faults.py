"""Bad days of a server: killed under load, a full disk, a killed searcher, a clock that goes back."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kt_core.server import Server
from kt_core.wire.kt_binary import GetBulk, encode_request
from tests.clock import Clock
from tests.processes import ROOT
from tests.server.exchange import Wire, connect
from tests.server.killing import value_of
from tests.server.program import program
from tests.server.running import serving

ROUNDS = 3
CLIENTS = 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("durability", ["commit", "process"])
def test_what_was_acknowledged_is_there_after_the_server_has_ended(
    tmp_path: Path, durability: str, number: int
) -> None:
    path = f"{tmp_path}/x.kct#durability={durability}#max_size=64m"
    rnd = random.Random(7)
    acknowledged = dict.fromkeys(range(CLIENTS), 0)
    for _ in range(ROUNDS):
        with program(path) as server:
            where = [server.host, str(server.port)]
            clients = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.server.killing", *where, str(name), str(first)],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for name, first in acknowledged.items()
            ]
            with Wire(server.address) as wire:  # until all of them are at work
                while any(
                    wire.call("check", key=f"{name}/{acknowledged[name] + 5}").status != 200 for name in acknowledged
                ):
                    pass
            time.sleep(rnd.uniform(0.01, 0.1))  # the random instant
            server.end(number)
            for name, client in enumerate(clients):
                acknowledged[name] = int(client.communicate(timeout=30)[0])
        with program(path) as server, Wire(server.address) as wire:
            for name, last in acknowledged.items():
                for start in range(1, last + 1, 500):
                    keys = range(start, min(start + 500, last + 1))
                    found = wire.call("get_bulk", {b"_%d/%d" % (name, key): b"" for key in keys}).values
                    assert found.pop(b"num") == b"%d" % len(keys)
                    assert found == {b"_%d/%d" % (name, key): value_of(key) for key in keys}
    assert min(acknowledged.values()) > 0


_FULL_DISK = """
import json, sys
from pathlib import Path
from kt_core.wire.kt_binary import NEVER_XT, SetBulk, encode_request
from tests.server.exchange import Wire
from tests.server.program import program
place = Path(sys.argv[1])
stored, refused = [], 0
def store(wire, number):
    return wire.call("set", key=number, value=b"%d" % number * 300).status
def check(wire):
    return sum(wire.call("get", key=number).values[b"value"] != b"%d" % number * 300 for number in stored)
with program(f"{place}/x.kct", flags=["-port", "0", "-lz"]) as server, Wire(server.address) as wire:
    for number in range(10_000):
        if store(wire, number) == 200:
            stored.append(number)
        else:
            refused += 1
            if refused == 20:
                break
    with Wire(server.address) as binary:
        binary.send(encode_request(SetBulk([(0, b"k", bytes(100_000), NEVER_XT)])))
        error = binary.rest().hex()
    wrong = check(wire)
    (place / "ballast").unlink()
    after = [store(wire, 20_000 + number) for number in range(10)]
with program(f"{place}/x.kct", flags=["-port", "0", "-lz"]) as server, Wire(server.address) as wire:
    lost = check(wire)
print(json.dumps({"stored": len(stored), "error": error, "wrong": wrong, "after": set(after) == {200}, "lost": lost}))
"""


def test_on_a_full_disk_it_says_so_and_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A tiny file system of its own, in a mount namespace that needs no privileges where the kernel allows that."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    script = (
        'mount -t tmpfs -o size=4m tmpfs "$1" && head -c 1m /dev/zero > "$1/ballast" && exec "$0" -X dev -c "$2" "$1"'
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, sys.executable, str(tmp_path), _FULL_DISK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("stored") > 100
    assert found == {"error": "bf", "wrong": 0, "after": True, "lost": 0}


def test_a_clock_that_goes_back_brings_records_back_and_harms_nothing(clock: Clock) -> None:
    with serving("%", "*", clock=clock) as server, connect(server) as wire:
        wire.call("set", key="k", value="v", xt=10)
        clock.advance(20)
        assert wire.call("get", key="k").status == 450
        clock.advance(-15)
        assert wire.call("get", key="k").status == 200
        clock.advance(-1_000_000)
        assert wire.call("set", key="j", value="v", xt=10).status == 200
        assert wire.call("vacuum").status == 200
        assert wire.ask(encode_request(GetBulk([(0, b"j")])))[4] == 1


def test_a_database_that_lost_its_files_ends_no_server(tmp_path: Path) -> None:
    """Somebody removes the directory under it: it goes on, and begins anew where the database is a cache."""
    with serving(f"embedded://{tmp_path}/site#max_size=4m", "%") as server, connect(server) as wire:
        wire.call("set", key="k", value="v")
        for path in (tmp_path / "site").iterdir():
            path.unlink()
        (tmp_path / "site").rmdir()
        for number in range(3000):
            assert wire.call("set", key=number, value=bytes(1000)).status in (200, 500)
        assert wire.call("set", key="k", value="v", DB=1).status == 200
        assert wire.call("void").status == 200


def test_values_of_others_do_no_harm(server: Server) -> None:
    """Numbers that are none, text in any encoding, keys that look like anything."""
    with connect(server) as wire:
        for key in (b"", b"\0", b"\xff" * 600, b"/../..", b"%", b"\n\t", "\N{SNOWMAN}".encode()):
            assert wire.call("set", {b"key": key, b"value": key}).status == 200
            assert wire.call("get", {b"key": key}).values == {b"value": key}
            assert wire.call("increment", {b"key": key}, num=1).status == 450
