"""The command line: its flags, and the program that it starts."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kt_cache.stores.embedded import EmbeddedStore
from kt_core.database import Database, DatabaseOptions, Environment
from kt_core.errors import Misconfigured
from kt_core.server import ServerOptions, log
from kt_core.server.command import FLAGS, REFUSED, main, parse
from kt_core.server.memcached import MemcachedOptions
from kt_core.wire.kt_binary import NEVER_XT, GetBulk, SetBulk, encode_request
from tests.processes import running
from tests.server.exchange import Wire, rpc
from tests.server.program import command, program, run

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": ("", {}),
    "databases": ("* %#capsiz=1m x.kct", {"databases": ["*", "%#capsiz=1m", "x.kct"]}),
    "the one that looks like a flag": ("-", {"databases": ["-"]}),
    "behind the flags": ("-le -- - -x.kct", {"databases": ["-", "-x.kct"]}),
    "address": ("-host 0.0.0.0 -port 1999", {"host": "0.0.0.0", "port": 1999}),
    "a free port": ("-port 0", {"port": 0}),
    "socket alone": ("-sock /run/kt", {"sock": "/run/kt", "port": None}),
    "socket and port": ("-sock /run/kt -port 5", {"sock": "/run/kt", "port": 5}),
    "socket and host": ("-sock /run/kt -host ::1", {"sock": "/run/kt", "host": "::1"}),
    "timeout": ("-tout 2.5", {"timeout": 2.5}),
    "connections": ("-conn 7", {"max_connections": 7}),
    "spinning": ("-spin 20", {"spin": 20e-6}),
    "commands": ("-cmd /srv", {"command_directory": Path("/srv")}),
    "read only": ("-ord -oat -oas -onl -otl -onr -ash", {"read_only": True}),
    "synchronizing": ("-asi 2.5", {"synchronize_interval": 2.5}),
    "snapshots": ("-bgs /srv -bgsi 60", {"snapshot_directory": Path("/srv"), "snapshot_interval": 60}),
    "memcached": ("--memcached 11211", {"memcached": MemcachedOptions(port=11211, flags=True)}),
    "the plug-in": ("-plsv /x/ktplugservmemc.so", {"memcached": MemcachedOptions()}),
    "its options": (
        "-plex port=5#opts=q -plsv ktplugservmemc.so",
        {"memcached": MemcachedOptions(port=5, queue=True)},
    ),
    "update log": (
        "-ulog /l -ulim 1m -uasi 2.5 -sid 5",
        {"log_directory": Path("/l"), "log_limit": 1 << 20, "log_interval": 2.5, "sid": 5},
    ),
    "slave": (
        "-mhost h -mport 5 -rts /r -riv 0.5 -sid 5",
        {"master": ("h", 5), "time_path": Path("/r"), "follow_interval": 0.5, "sid": 5},
    ),
    "slave of nobody yet": ("-rts /r -sid 0", {"time_path": Path("/r"), "sid": 0}),
    "threads": ("-th 8 *", {"threads": 8, "databases": ["*"]}),
    "as the clients of others start it": (
        "-le -host 127.0.0.1 -port 5 % *",
        {"host": "127.0.0.1", "port": 5, "databases": ["%", "*"]},
    ),
}


@pytest.mark.parametrize(("line", "options"), OPTIONS.values(), ids=OPTIONS)
def test_options_of_the_server(line: str, options: dict[str, Any]) -> None:
    found = parse(line.split()).options
    assert found == options
    ServerOptions(**found)


@pytest.mark.parametrize(
    ("flag", "level"), [("-li", 20), ("-ls", log.SYSTEM), ("-le", 40), ("-lz", 51), ("-le -li", 20), ("", log.SYSTEM)]
)
def test_levels(flag: str, level: int) -> None:
    assert parse(flag.split()).level == level
    assert logging.CRITICAL < 51


def test_the_rest_of_the_settings() -> None:
    settings = parse(["-log", "/l", "-pid", "/p", "-ready", "7", "-parent", "8"])
    assert (settings.log_path, settings.pid_path, settings.ready, settings.parent) == ("/l", "/p", 7, 8)


ERRORS = {
    "-prt 5": "there is no flag '-prt': did you mean '-port'",
    "--port 5": "there is no flag '--port': did you mean '-port'",
    "-port": "-port needs NUMBER behind it",
    "-port five": "-port five: write a number there",
    "-tout 0": "-tout 0: write a number there",
    "-tout -1": "-tout -1: write a number there",
    "-tout nan": "-tout nan: write a number there",
    "-bgsi 0": "-bgsi 0: write a number there",
    "--memcached x": "--memcached x: write a port there",
    "-plsv other.so": "-plsv other.so: this server has one plug-in, and loads none: write ktplugservmemc.so",
    "-plex opts=qr": "'opts=qr': queues cannot be read only: leave out the q or the r of opts",
    "-sid 65536": "-sid 65536: write a number up to 65535",
    "-ulog /l": "-ulog, -mhost and -rts need -sid: write a number that no other server has",
    "-mhost h -rts /r": "-ulog, -mhost and -rts need -sid",
    "-mhost h -sid 1": "-mhost and -mport need -rts: write the path of a file that remembers how far",
    "-ord -rts /r -sid 1": "-ord: who follows a master has to change its databases: leave it off, or -rts",
    "-ulog /l -sid 1 -ulim much": "'much' is not a size",
    "-conn many": "-conn many: write a number there",
    "-pldb x.so": "-pldb is not for this server: this server loads no plug-ins",
}


@pytest.mark.parametrize(("line", "error"), ERRORS.items(), ids=ERRORS)
def test_what_is_wrong_is_said_with_what_to_write(line: str, error: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(error)):
        parse(line.split())


# Section 12.1 of the reference.
FLAGS_OF_THE_ORIGINAL = """-host -port -tout -th -log -li -ls -le -lz -ulog -ulim -uasi -sid -ord -oat -oas
-onl -otl -onr -asi -ash -bgs -bgsi -bgsc -dmn -pid -cmd -scr -mhost -mport -rts -riv -plsv -plex -pldb --version"""


def test_every_flag_of_the_original_is_taken_or_refused_with_a_reason() -> None:
    assert {*FLAGS_OF_THE_ORIGINAL.split()} - {*FLAGS} == {*REFUSED}


@pytest.mark.parametrize("flag", REFUSED)
def test_flags_that_are_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 1
    assert capsys.readouterr().err == f"{flag} is not for this server: {REFUSED[flag]}\nTry --help.\n"


def test_the_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert [flag for flag in FLAGS if f"  {flag} " not in text] == []
    assert max(map(len, text.splitlines())) <= 120


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"kt-cache [\d.]+, speaking Kyoto Tycoon 0\.9\.56\n", capsys.readouterr().out)


# --- The program


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing"], "the server cannot start: 'nothing' is no database"),
        (["-port", "65536"], "the server cannot start: 127.0.0.1:65536 cannot be listened on"),
        (["-log", "/nowhere/log"], "/nowhere/log"),
    ],
)
def test_a_start_that_fails_says_why(arguments: list[str], reason: str) -> None:
    done = run(*arguments)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_it_says_where_it_listens_and_logs_and_takes_everything_with_it(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    sock, pid, logged = tmp_path / "sock", tmp_path / "pid", tmp_path / "log"
    flags = ["-port", "0", "-li", "-sock", str(sock), "-pid", str(pid), "-log", str(logged)]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    with program("%", "*", flags=flags, env=environ) as server:
        assert (server.pid, server.sock) == (server.process.pid, str(sock))
        assert pid.read_text() == f"{server.pid}\n"
        assert oct(sock.stat().st_mode & 0o777) == "0o600"
        (scratch,) = (runtime / "kt-cache" / "scratch").iterdir()
        for address in (server.address, str(sock)):
            with Wire(address) as wire:
                assert wire.call("get", key="none").status == 450
                assert wire.ask(encode_request(GetBulk([(0, b"none")]))) == b"\xba\0\0\0\0"
        assert scratch.exists()
        assert server.end() == 0
        lines = [line.split(": ", 1)[1] for line in logged.read_text().splitlines()]
        assert lines[0] == f"[SYSTEM]: listening on 127.0.0.1:{server.port} and {sock}, process {server.pid}"
        port = r"127\.0\.0\.1:\d+"
        for line, pattern in zip(
            lines[1:],
            [
                f"connected: expr={port}",
                rf"\({port}\): POST /rpc/get HTTP/1\.1: 450",
                rf"\({port}\): bin_get_bulk: 1",
                f"disconnecting: expr={port}",
                "connected: expr=unix",
                r"\(unix\): POST /rpc/get HTTP/1\.1: 450",
                r"\(unix\): bin_get_bulk: 1",
                "disconnecting: expr=unix",
            ],
            strict=False,
        ):
            assert re.fullmatch(rf"\[INFO\]: {pattern}", line), line
        assert lines[9:] == ["[SYSTEM]: ending", "[SYSTEM]: ended"]
    assert not sock.exists()
    assert not pid.exists()
    assert list((runtime / "kt-cache" / "scratch").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_ends_when_it_is_told_to(number: int) -> None:
    with program("%") as server, Wire(server.address) as wire:
        assert wire.call("void").status == 200
        assert server.end(number) == 0


def test_what_a_killed_one_leaves_is_swept_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    home = tmp_path / "run" / "kt-cache" / "scratch"
    sock = str(tmp_path / "sock")
    flags = ["-sock", sock, "-le"]
    with program("%", flags=flags, env=environ) as server:
        server.end(signal.SIGKILL)
        (left,) = home.iterdir()
    with program("%", flags=flags, env=environ), Wire(sock) as wire:
        assert wire.call("void").status == 200
        assert left not in home.iterdir()


_PARENT = """
import subprocess, sys, os
read, write = os.pipe()
command = [*sys.argv[1:], "-parent", str(os.getpid()), "-ready", str(write)]
subprocess.Popen(command, pass_fds=[write])
print(os.read(read, 1000).decode(), end="", flush=True)
sys.stdin.readline()
"""


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    arguments = command("-port", "0", "-le", f"{tmp_path}/x.kct")
    with running(_PARENT, *arguments) as parent:
        assert parent.stdout is not None
        said = json.loads(parent.stdout.readline())
        with Wire((said["host"], said["port"])) as wire:
            assert wire.call("set", key="k", value="v").status == 200
            parent.kill()
            assert wire.rest() == b""
    with program(f"{tmp_path}/x.kct") as server, Wire(server.address) as wire:
        assert wire.call("get", key="k").values == {b"value": b"v"}


def test_without_its_parent_it_does_not_begin() -> None:
    with running("") as gone:
        gone.wait()
    assert run("-port", "0", "-le", "-parent", str(gone.pid), "%").returncode == 0


def test_an_embedded_database_is_shared_with_the_processes_of_a_site(tmp_path: Path) -> None:
    environment = Environment.open(tmp_path / "site", DatabaseOptions(max_size=4 << 20))
    store = EmbeddedStore(Database(environment))
    store.set(b"before", b"v", 100)
    with program(f"embedded://{tmp_path}/site#max_size=4m") as server, Wire(server.address) as wire:
        assert wire.call("get", key="before").values[b"value"] == b"v"
        wire.ask(encode_request(SetBulk([(0, b"k", b"w", NEVER_XT)])))
        assert store.get(b"k") == b"w"
        for count in range(1, 101):
            assert store.incr(b"n", 1, initial=0) == 2 * count - 1
            assert wire.call("increment", key="n", num=1).values == {b"num": b"%d" % (2 * count)}
        assert wire.call("match_regex", regex="^k").values == {b"_k": b"0", b"num": b"1"}
        wire.call("clear")
        assert store.get(b"k") is None
    store.set(b"after", b"v", None)
    assert store.get(b"after") == b"v"
    environment.close()


def test_requests_under_way_are_answered_before_it_ends(tmp_path: Path) -> None:
    path = f"{tmp_path}/x.kct"
    count = 50
    with program(path) as server, Wire(server.address) as wire:
        assert wire.call("void").status == 200
        server.process.send_signal(signal.SIGSTOP)
        requests = [encode_request(SetBulk([(0, b"%d" % key, b"v", NEVER_XT)])) for key in range(count)]
        wire.send(*requests, rpc("void"))
        server.process.send_signal(signal.SIGCONT)
        replies = wire.read(5)
        assert server.end() == 0
        replies += wire.rest()
    acknowledged = replies.count(b"\xb8\0\0\0\1")
    assert acknowledged > 0
    with program(path) as server, Wire(server.address) as wire:
        assert int(wire.call("status").values[b"count"]) == acknowledged


def test_nothing_is_written_to_the_standard_output_unless_asked_for(tmp_path: Path) -> None:
    with program("%", flags=["-port", "0", "-lz"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        with Wire(server.address) as wire:
            wire.send(b"\xb8\0\0\0\0\xff\xff\xff\xff")
            assert wire.rest() == b"\xbf"
        server.process.terminate()
        assert server.process.communicate(timeout=20) == ("", "")
