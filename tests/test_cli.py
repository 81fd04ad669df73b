"""The command line ``kt`` as a program: its streams, its exit status, and a terminal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kt_core import cli
from kt_core.commands.table import COMMANDS
from tests.processes import ROOT
from tests.terminals import on_terminal

KT = [sys.executable, "-X", "dev", "-W", "error", "-m", "kt_core"]
NOWHERE = "kt://127.0.0.1:1"
_PATIENCE = 60  # seconds


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database that is not there yet."""
    return f"embedded://{tmp_path / 'database'}"


def kt(*words: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end, in pipes."""
    return subprocess.run(
        [*KT, *words], cwd=ROOT, input=stdin, capture_output=True, timeout=_PATIENCE, check=False,
        env={**os.environ, "KT_URL": "", **environ},
    )  # fmt: skip


# -- the command line --------------------------------------------------------------------------------------


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        assert cli.main(arguments) == 0
        said = capsys.readouterr().out
        assert all(f"  {name} " in said for name in [*COMMANDS, "serve"])
        assert "exit status:" in said
        assert max(map(len, said.splitlines())) <= 110


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "--at URL" in said
    assert "exit status:" in said
    assert any(f"kt {name}" in line for line in said.split("examples:")[1].splitlines())


def test_a_server_is_one_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--version"]) == cli.main(["--version"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["kt-cache"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serv"], "there is no command 'serv': did you mean 'serve'?"),
        (["--tabel", "count"], "there is no option '--tabel': did you mean '--table'?"),
        (["--json", "--table", "count"], "--json and --table exclude each other"),
        (["count", "--at", "kt://a,b"], "kt count: kt://a,b names 2 servers: write one of them"),
        (["count", "--at", "embedded:///nowhere/at/all"], "kt count: there is no database at embedded:///nowhere"),
    ],
)
def test_a_line_that_makes_no_sense(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["set", "a", "b", "--ttl", "soon"], ["get"], ["keys", "--limit", "0"]])
def test_an_argument_that_makes_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert f"kt {arguments[0]}: error:" in capsys.readouterr().err


# -- streams, and exit status ------------------------------------------------------------------------------


def test_pipes_get_bytes_and_json(url: str) -> None:
    value = b"\x00\xff\n" * 100_000
    assert kt("--at", url, "set", "key", stdin=value).stdout == b'{"stored": 1, "size": 300000}\n'
    assert kt("get", "key", "--at", url).stdout == value
    assert json.loads(kt("get", "--json", "key", KT_URL=url).stdout)["key"] == "key"
    assert kt("--table", "keys", "--at", url).stdout == b"key\n"
    kt("set", "wörld", "ä", KT_URL=url, LC_ALL="C")
    assert [json.loads(line) for line in kt("keys", KT_URL=url).stdout.splitlines()] == [
        {"key": "key"}, {"key": "wörld"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["get", "absent"], 1, b""),
        (["incr", "text"], 1, b"kt incr: "),
        (["clear"], 1, b"Nobody is there to be asked: write --yes"),
        (["ping", "--at", NOWHERE], 3, b"kt ping: 127.0.0.1:1 cannot be reached"),
        (["keys", "--regex", "("], 2, b"kt keys: "),
    ],
)
def test_the_exit_status_tells_how_it_went(url: str, words: list[str], status: int, message: bytes) -> None:
    assert kt("set", "text", "no number", KT_URL=url).returncode == 0
    done = kt(*words, KT_URL=url)
    assert done.returncode == status
    assert message in done.stderr
    assert b"Traceback" not in done.stderr


def test_who_stops_reading_is_not_told(url: str) -> None:
    kt("load", "-", "--at", url, stdin=b"".join(b"%060d\tvalue\n" % number for number in range(20_000)))
    with subprocess.Popen(
        [*KT, "keys", "--at", url], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(_PATIENCE) == 141


def _not_ignored() -> None:
    """Undo what a shell does to what it runs in the background, the tests perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interruption_ends_it(url: str) -> None:
    kt("set", "key", "value", KT_URL=url)
    words = ["ping", "-c", "1000", "-i", "10", "--table", "--at", url]
    with subprocess.Popen(
        [*KT, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_not_ignored,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline().startswith(url.encode())
        running.send_signal(signal.SIGINT)
        assert running.stderr.read() == b""
        assert running.wait(_PATIENCE) == 130


# -- a terminal --------------------------------------------------------------------------------------------


def typed(columns: int, *words: str, answer: str = "", **environ: str) -> tuple[int, str]:
    """Run it on a terminal of so many columns; return its exit status and what was shown."""
    return on_terminal([*KT, *words], columns=columns, answer=answer, environ=environ)


def test_a_terminal_gets_tables(url: str) -> None:
    kt("set", "key", stdin=b"\x1b[2J", KT_URL=url)
    assert typed(80, "get", "key", "--at", url) == (0, "\\x1b[2J\n")
    status, shown = typed(300, "status", "--at", url)
    assert status == 0
    assert "\x1b[2mdb  records  " in shown
    assert re.search(r"^ 0        1  4.0 KiB  /", shown, re.MULTILINE)
    assert "\x1b" not in typed(300, "status", "--at", url, NO_COLOR="1")[1]
    assert json.loads(typed(80, "count", "--json", "--at", url)[1]) == {"count": 1}


@pytest.mark.parametrize("columns", [40, 80])
def test_a_narrow_terminal_has_room(url: str, columns: int, tmp_path: Path) -> None:
    kt("load", "-", "--at", url, stdin=b"".join(b"%060d\tvalue\n" % number for number in range(5000)))
    status, shown = typed(columns, "dump", str(tmp_path / "dump"), "--at", url)
    assert status == 0
    bars = [bar for bar in shown.split("\r\x1b[K") if " of 5,000" in bar]
    assert bars != []
    assert max(map(len, bars)) < columns
    assert shown.endswith("\x1b[32m5,000 records dumped\x1b[0m\n")


def test_a_question_is_answered(url: str) -> None:
    kt("set", "key", "value", KT_URL=url)
    status, shown = typed(80, "clear", "--at", url, answer="n\n")
    assert (status, "nothing was removed" in shown) == (1, True)
    status, shown = typed(80, "clear", "--at", url, answer="y\n")
    assert (status, "1 removed" in shown) == (0, True)
    assert kt("count", KT_URL=url).stdout == b'{"count": 0}\n'
