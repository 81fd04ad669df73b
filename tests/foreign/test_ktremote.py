"""The command line tools of Kyoto Tycoon, where they are on the PATH, take the bundled server for their own."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core.transport import Address
from tests.fix_servers import SCRIPT, running
from tests.server.exchange import Wire, decode_call, rpc

TOOLS = [tool for tool in ("ktremotetest", "ktremotemgr") if shutil.which(tool)]
PATIENCE = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Address]:
    with running("bundled", databases=("%", "*")) as server:  # on a port that these tools can use
        yield server


def run(tool: str, server: Address, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a tool against the server."""
    address = ["-host", server.host, "-port", str(server.port)]
    return subprocess.run(
        [tool, command, *address, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


if "ktremotetest" in TOOLS:

    @pytest.mark.parametrize(
        "line",
        [
            "order -etc 300",
            "order -rnd -etc 300",
            "order -th 4 300",
            "bulk -etc 1000",
            "bulk -bin -etc 1000",
            "bulk -bin -rnd -bulk 100 -th 4 2000",
            "bulk -bin -bnr 1000",
            "wicked -it 2 -th 2 300",
            "usual -th 4 500",
            "usual -xt 1 -vs 100 500",
        ],
    )
    def test_their_test_finds_no_error(server: Address, line: str) -> None:
        command, *arguments = line.split()
        done = run("ktremotetest", server, command, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ok" in done.stdout.splitlines()
        assert "error" not in done.stdout.lower()


if "ktremotemgr" in TOOLS:

    def manage(server: Address, line: str, code: int = 0) -> str:
        """Run a command of the manager and return what it printed."""
        command, *arguments = line.split()
        done = run("ktremotemgr", server, command, *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def test_their_manager_stores_and_finds(server: Address, tmp_path: Path) -> None:
        manage(server, "clear")
        manage(server, "set a 1")
        manage(server, "set -add a 2", code=1)
        manage(server, "set -rep none 2", code=1)
        manage(server, "set -app a 2")
        assert manage(server, "get a") == "12\n"
        assert manage(server, "set -inci n 5") == "5\n"
        assert manage(server, "set -inci n 5") == "10\n"
        assert float(manage(server, "set -incd d 1.5")) == 1.5
        manage(server, "set -xt 100 k v")
        assert manage(server, "get -pt k").startswith("v\t")
        manage(server, "set -sx 00ff 0a")
        assert manage(server, "get -sx -px 00ff") == "0A\n"
        assert manage(server, "get -rm k") == "v\n"
        manage(server, "get k", code=1)
        manage(server, "remove d")
        manage(server, "remove d", code=1)
        assert manage(server, "setbulk x 1 y 2") == ""
        assert manage(server, "setbulk -bin z 3 y 2") == ""
        assert manage(server, "getbulk x none") == "x\t1\n"
        assert manage(server, "getbulk -bin x z none") == "x\t1\nz\t3\n"
        assert manage(server, "match x") == "x\n"
        assert sorted(manage(server, "regex ^[xyz]$").split()) == ["x", "y", "z"]
        manage(server, "regex (", code=1)
        assert manage(server, "list -max 2 -pv x") == "x\t1\ny\t2\n"
        assert manage(server, "list -des -max 2") == "z\ny\n"
        assert manage(server, "removebulk x none") == ""
        assert manage(server, "removebulk -bin y z") == ""
        (tmp_path / "records").write_text("one\t1\ntwo\t2\n")
        manage(server, f"import {tmp_path}/records")
        assert manage(server, "list -rm -pv one") == "one\t1\ntwo\t2\n"

    def test_their_manager_looks_after_databases(server: Address) -> None:
        manage(server, "clear -db 1")
        manage(server, "set -db * k v")
        manage(server, "set -db none k v", code=1)
        assert manage(server, "inform -db 1").splitlines()[0] == "count: 1"
        assert "path: *" in manage(server, "inform -db 1 -st").splitlines()
        manage(server, "vacuum -db 1")
        manage(server, "vacuum -step 5")
        manage(server, "sync -hard")
        manage(server, "sync -cmd none", code=1)
        assert "conf_kt_version" in manage(server, "report")
        manage(server, "script nothing", code=1)
        manage(server, "script -bin nothing", code=1)
        manage(server, "tunerepl", code=1)
        manage(server, "slave -ts 0", code=1)

    @pytest.fixture(scope="module")
    def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
        """A server that has all that the manager can ask for."""
        directory = tmp_path_factory.mktemp("whole")
        flags = ["-scr", str(SCRIPT), "-ulog", str(directory / "ulog"), "-sid", "7", "-rts", str(directory / "rts")]
        for name, code in (("done", 0), ("failed", 1)):
            (directory / name).write_text(f"#!/bin/sh\nexit {code}\n")
            (directory / name).chmod(0o700)
        with running("bundled", *flags, "-cmd", str(directory), databases=["%"]) as server:
            yield server

    def test_their_manager_runs_scripts(whole: Address) -> None:
        assert manage(whole, "script echo name value") == "name\tvalue\n"
        assert manage(whole, "script -bin echo name value") == "name\tvalue\n"
        for form in ("", "-bin "):
            manage(whole, f"script {form}nothing", code=1)

    def test_their_manager_reads_the_update_log(whole: Address) -> None:
        manage(whole, "set -xt 1000 key value")
        manage(whole, "remove key")
        manage(whole, "slave -ts 0 -ux")
        changes = [line.split("\t")[1:4] for line in manage(whole, "slave -ts 0").splitlines()]
        assert changes[-2:] == [["7", "0", "set"], ["7", "0", "remove"]]
        assert manage(whole, "slave -ts 0 -sid 7") == ""
        (file,) = manage(whole, "slave -ts 0 -uf").splitlines()
        assert file.split("\t")[0].endswith("/ulog/0000000001.ulog")

    def test_their_manager_tunes_replication(whole: Address) -> None:
        manage(whole, f"tunerepl -mport {whole.port} -iv 5 -ts now {whole.host}")
        assert f"repl_master_host: {whole.host}" in manage(whole, "report").splitlines()
        manage(whole, "tunerepl")
        assert "repl_master_host" not in manage(whole, "report")

    def test_their_manager_synchronizes(whole: Address) -> None:
        manage(whole, "sync -cmd done")
        manage(whole, "sync -cmd failed", code=1)
        manage(whole, "set -xt 1000 k v")
        assert manage(whole, "get -pz k") == "v"

    WAITING = ["script echo a b", "inform", "clear", "sync", "set k v", "get k", "list -max 1", "vacuum -step 1"]
    WAITING += ["setbulk a 1", "getbulk a", "match a", "regex a", "removebulk a", "remove k"]

    @pytest.mark.parametrize("line", WAITING)
    def test_their_manager_waits_and_signals(whole: Address, line: str) -> None:
        command, *rest = line.split()
        manage(whole, "set k v")
        manage(whole, f"{command} -swname never -swtime 0.01 {' '.join(rest)}", code=1)
        ended = []

        def wake() -> None:
            with Wire((whole.host, whole.port)) as waking, Wire((whole.host, whole.port)) as waiting:
                request = rpc("void", WAIT="end", WAITTIME=20)
                waiting.send(request)
                while waking.call("void", SIGNAL="begin").values[b"SIGNALED"] == b"0":
                    time.sleep(0.005)
                ended.append(decode_call(waiting.reply(request)).status)

        thread = threading.Thread(target=wake)
        thread.start()
        manage(whole, f"{command} -swname begin -swtime 20 -ssname end -ssbrd {' '.join(rest)}")
        thread.join()
        assert ended == [200]
