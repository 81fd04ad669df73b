"""The unit of systemd and the container file: they say what the tools and the server understand."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import ROOT

UNIT = ROOT / "docs" / "deploy" / "kt.service"
CONTAINERFILE = ROOT / "docs" / "deploy" / "Containerfile"
KT = [sys.executable, "-m", "kt_core"]


@contextmanager
def served(arguments: list[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Run `kt` with arguments as systemd would; yield it and the socket on which it says how it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(folder / "notify"))
        told.settimeout(20)
        environ = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        with subprocess.Popen([*KT, *arguments], cwd=ROOT, env=environ) as process:
            try:
                yield process, told
            finally:
                process.kill()


def exec_start() -> list[str]:
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.M)
    return shlex.split(line)


def instruction(name: str) -> list[str]:
    """Return the words of an instruction of the container file, as the last one of that name gives them."""
    *_, text = re.findall(rf"^{name} (.*)$", CONTAINERFILE.read_text(), re.M)
    words: list[str] = json.loads(text[text.index("[") :])
    return words


def test_the_unit_starts_a_server_that_says_when_it_listens(tmp_path: Path) -> None:
    program, *arguments = exec_start()
    assert program.endswith("/bin/kt")
    places = {"/var/lib/kt": str(tmp_path), "/run/kt": str(tmp_path), "1978": "0"}
    for place, own in places.items():
        arguments = [argument.replace(place, own) for argument in arguments]
    with served(arguments, tmp_path) as (process, told):
        assert told.recv(100) == b"READY=1"
        assert (tmp_path / "kt.sock").is_socket()
        process.send_signal(signal.SIGTERM)
        assert told.recv(100) == b"STOPPING=1"
        assert process.wait(20) == 0
    assert (tmp_path / "cache.kct").is_dir()


def test_the_unit_keeps_what_it_writes_in_directories_that_systemd_makes() -> None:
    text = UNIT.read_text()
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    assert settings["Type"] == "notify"
    assert (settings["StateDirectory"], settings["RuntimeDirectory"]) == ("kt", "kt")
    assert settings["DynamicUser"] == "yes"
    paths = {argument.partition("#")[0] for argument in exec_start()[1:] if argument.startswith("/")}
    assert paths == {"/var/lib/kt/cache.kct", "/run/kt/kt.sock"}


if shutil.which("systemd-analyze"):

    def test_systemd_understands_the_unit(tmp_path: Path) -> None:
        copy = tmp_path / UNIT.name
        copy.write_text(UNIT.read_text().replace(exec_start()[0], "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_container_starts_a_server_that_is_healthy(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    program, *fixed = instruction("ENTRYPOINT")
    (database,) = instruction("CMD")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    own = [{"0.0.0.0": "127.0.0.1", "1978": port}.get(word, word) for word in fixed]
    with served([*own, database.replace("/data", str(tmp_path / "data"))], tmp_path) as (process, told):
        assert told.recv(100) == b"READY=1"
        check, *words = [word.replace("1978", port) for word in instruction("HEALTHCHECK")]
        assert check == program == "kt"
        healthy = subprocess.run([*KT, *words], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert healthy.returncode == 0, healthy.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_container_without_a_server_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    _, *words = [word.replace("1978", port) for word in instruction("HEALTHCHECK")]
    assert subprocess.run([*KT, *words], cwd=ROOT, capture_output=True, timeout=30, check=False).returncode != 0


@pytest.mark.parametrize("path", [UNIT, CONTAINERFILE], ids=lambda path: path.name)
def test_the_extras_that_are_installed_exist(path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"pip install.*'kt-cache\[([\w,]+)\]'", path.read_text())
    assert set(named.split(",")) <= set(extras)
