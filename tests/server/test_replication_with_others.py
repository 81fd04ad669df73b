"""Replication between servers of every kind that this machine has, and the tools that come with the original."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from kt_core.wire.kt_binary import NEVER_XT, XT_MAX, SetBulk, encode_request
from tests.fix_servers import KINDS
from tests.server.nodes import Node, await_

TOOLS = [name for name in ("ktremotemgr",) if shutil.which(name)]
DATABASES = ("%", "%#ktopts=p")
PAIRS = list(product(KINDS, KINDS))


def fill(node: Node) -> None:
    """Change a server in every way that its log tells."""
    with node.wire() as wire:
        wire.ask(encode_request(SetBulk([(0, b"k", b"v", NEVER_XT), (0, b"x", b"v", 1000), (1, b"p", b"plain", 5)])))
        wire.call("append", key="k", value="w")
        wire.call("increment", key="n", num=7)
        wire.call("set", key="gone", value="v")
        wire.call("remove", key="gone")
        wire.call("set_bulk", {b"_%d" % number: b"x" * number for number in range(300)})
        wire.call("set", key="cleared", value="v", DB=1)
        wire.call("clear", DB=1)
        wire.call("set", key="last", value="v", DB=1)


@pytest.mark.parametrize(("master_kind", "slave_kind"), PAIRS)
def test_one_follows_the_other(tmp_path: Path, master_kind: str, slave_kind: str) -> None:
    with Node(master_kind, tmp_path, 1, *DATABASES) as master:
        fill(master)
        with Node(slave_kind, tmp_path, 2, *DATABASES, master=master) as slave:
            await_(lambda: slave.records(1))
            with master.wire() as wire:
                wire.call("set", key="more", value="v", DB=1)
            await_(lambda: len(slave.records(1)) == 2)
            assert slave.records() == master.records()
            assert slave.records(1) == master.records(1)
            found = slave.records()
            assert found[b"k"] == (b"vw", XT_MAX)
            assert found[b"x"][1] < XT_MAX


@pytest.mark.parametrize(("first_kind", "second_kind"), PAIRS)
def test_two_follow_each_other(tmp_path: Path, first_kind: str, second_kind: str) -> None:
    first = Node(first_kind, tmp_path, 1, "%")
    second = Node(second_kind, tmp_path, 2, "%", master=first)
    first.follow(second)
    with first, second:
        for number in range(10):
            for node in (first, second):
                with node.wire() as wire:
                    wire.call("set", key=f"{node.directory.name} {number}", value="v")
        await_(lambda: len(first.records()) == len(second.records()) == 20)
        assert first.records() == second.records()


@pytest.mark.parametrize(("writer_kind", "reader_kind"), PAIRS)
def test_one_goes_on_with_the_log_of_the_other(tmp_path: Path, writer_kind: str, reader_kind: str) -> None:
    log = tmp_path / "log"
    with Node(writer_kind, tmp_path / ".", 1, *DATABASES, log=log) as writer:
        fill(writer)
        expected = writer.records()
        writer.stop()
    with Node(reader_kind, tmp_path, 3, *DATABASES, log=log) as reader:
        with reader.wire() as wire:
            wire.call("set", key="new", value="v")
        with Node("bundled", tmp_path, 2, *DATABASES, master=reader) as slave:
            await_(lambda: b"new" in slave.records())
            found = slave.records()
            assert found.pop(b"new")
            assert found == expected
            assert set(slave.records(1)) == {b"last"}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_tools_of_the_original(tmp_path: Path, tool: str, kind: str) -> None:
    with Node(kind, tmp_path, 1, "%") as node, Node(kind, tmp_path, 2, "%") as other:
        with node.wire() as wire:
            wire.call("set", key="k", value="v")
            wire.call("remove", key="k")

        def run(command: str, *arguments: str, at: Node = node) -> list[str]:
            line = [tool, command, "-host", "127.0.0.1", "-port", str(at.address.port), *arguments]
            return subprocess.run(line, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()

        def told() -> list[list[str]]:
            return [line.split("\t")[1:] for line in run("slave")]

        await_(lambda: told() == [["1", "0", "set", "aw==", "//////92"], ["1", "0", "remove", "aw=="]])
        (file,) = run("slave", "-uf")
        assert file.split("\t")[0].endswith("0000000001.ulog")
        run("slave", "-ur")
        run("tunerepl", "-mport", str(node.address.port), "127.0.0.1", at=other)
        with node.wire() as wire:
            wire.call("set", key="k", value="w")
        await_(lambda: other.records() == {b"k": (b"w", XT_MAX)})
        assert any(line.startswith("repl_master_host") for line in run("report", at=other))
