"""The server as a process that others manage."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kt_core.server.daemon import notify, pid_file
from tests.fix_servers import free_port
from tests.server.exchange import Wire
from tests.server.program import command, program


def await_end(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} does not end")


@contextmanager
def daemon(directory: Path, *flags: str) -> Iterator[tuple[int, tuple[str, int]]]:
    """Have a daemon; yield its process and its address."""
    port = free_port()
    pid_path = directory / "pid"
    line = command("-dmn", "-port", str(port), "-pid", str(pid_path), "-log", str(directory / "log"), *flags)
    done = subprocess.run(line, capture_output=True, timeout=30, check=False)  # which ends when it listens
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    pid = int(pid_path.read_text())
    try:
        yield pid, ("127.0.0.1", port)
    finally:
        os.kill(pid, signal.SIGTERM)
        await_end(pid)
    assert not pid_path.exists()


def test_it_is_of_no_session_and_holds_nothing_of_its_starter(tmp_path: Path) -> None:
    with daemon(tmp_path, ":") as (pid, address), Wire(address) as wire:
        assert wire.call("void").status == 200
        assert os.getsid(pid) not in (pid, os.getsid(0))
        streams = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
        assert streams == ["/dev/null"] * 3
        assert os.readlink(f"/proc/{pid}/cwd") == os.getcwd()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_it_begins_its_log_anew_and_goes_on(tmp_path: Path, number: int) -> None:
    with daemon(tmp_path, ":") as (pid, address), Wire(address) as wire:
        assert wire.call("set", key="k", value="v").status == 200
        (tmp_path / "log").rename(tmp_path / "log.1")
        os.kill(pid, number)
        while not (tmp_path / "log").exists() or "reloading" not in (tmp_path / "log").read_text():
            time.sleep(0.01)
        assert wire.call("get", key="k").values == {b"value": b"v"}
    assert "listening" in (tmp_path / "log.1").read_text()
    assert "[SYSTEM]: ended" in (tmp_path / "log").read_text()


def test_a_start_that_fails_is_told_to_the_starter(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run(command("-dmn", "-port", port, ":"), capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert b"cannot be listened on" in done.stderr


def test_one_in_the_foreground_keeps_its_records_and_connections_when_it_is_told_to_reload(tmp_path: Path) -> None:
    flags = ["-port", "0", "-ls", "-log", str(tmp_path / "log")]
    with program(":", flags=flags) as server, Wire(server.address) as wire:
        assert wire.call("set", key="k", value="v").status == 200
        server.process.send_signal(signal.SIGUSR1)
        while "reloading" not in (tmp_path / "log").read_text():
            time.sleep(0.01)
        assert wire.call("get", key="k").values == {b"value": b"v"}


def test_a_log_that_cannot_be_begun_anew_goes_on_where_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    with program(":", flags=["-port", "0", "-ls", "-log", str(directory / "log")]) as server:
        directory.rename(tmp_path / "moved")
        for _ in range(2):
            server.process.send_signal(signal.SIGUSR1)
            while "reloading" not in (tmp_path / "moved" / "log").read_text():
                time.sleep(0.01)
    text = (tmp_path / "moved" / "log").read_text()
    assert "the log stays where it is" in text
    assert "[SYSTEM]: ended" in text


# --- What systemd is told


@pytest.mark.parametrize("name", ["{directory}/notify", "@kt-cache-{pid}"])
def test_systemd_is_told_how_it_is(tmp_path: Path, name: str) -> None:
    path = name.format(directory=tmp_path, pid=os.getpid())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path.replace("@", "\0"))
        systemd.settimeout(20)
        with program(":", env={**os.environ, "NOTIFY_SOCKET": path}) as server:
            assert systemd.recv(100) == b"READY=1"
            assert server.end() == 0
        assert systemd.recv(100) == b"STOPPING=1"


def test_one_that_does_not_listen_is_no_matter(tmp_path: Path) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "none")})
    notify("READY=1", {})


# --- The file with the process id


def test_the_file_is_there_while_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("1\n")  # of one that was killed
    with pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["77\n", None])
def test_what_another_server_has_written_there_stays(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "pid"
    with pid_file(path):
        path.unlink()
        if text is not None:
            path.write_text(text)
    assert (path.read_text() if path.exists() else None) == text


def test_a_file_that_cannot_be_written_is_a_reason_not_to_start(tmp_path: Path) -> None:
    line = command("-port", "0", "-le", "-pid", str(tmp_path / "none" / "pid"), ":")
    done = subprocess.run(line, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    assert b"none/pid" in done.stderr
    assert b"Traceback" not in done.stderr
