"""The shell of a page: its console blocks, run as they stand there and compared with what they show."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from kt_core.transport import Address
from tests.docs.checks import CHECKED, CHECKED_WHERE_MISSING, check_command
from tests.fix_servers import answers
from tests.terminals import on_terminal

_PATIENCE = 30  # seconds
_SERVICE = re.compile(r"(python -m kt_core\.server|kt serve|ktserver|gunicorn|uwsgi|(\S+/)?manage\.py ktcache serve)\b")
_PORT = re.compile(r"(?:-port|--port|--bind|-b|--http-socket)[ =](\S+)")
_SPACE = re.compile("[ \t]+")
_SOCKET = re.compile(r"-sock (\S+)")
_ANYTHING = re.compile(r"\.\.\.|[\d.,]+(?:%| \w+)? [▁-█]+")
_DRAWN_ANEW = re.compile("\r\x1b\\[K|\x1b\\[H\x1b\\[2J")


def examples(code: str) -> Iterator[tuple[str, str]]:
    """Yield the command lines of a block, and what it says that they show."""
    starts = [*(found.start() for found in re.finditer(r"^\$ ", code, re.MULTILINE)), len(code)]
    for start, end in pairwise(starts):
        command = code[start + 2 : end]
        line = re.match(r"(?:[^\n]*\\\n)*[^\n]*", command)
        assert line is not None
        yield line[0], command[line.end() + 1 :]


def agree(shown: str, found: str) -> bool:
    """Tell whether a page shows what was found.

    Three dots stand for anything, and so do a figure and the bars behind it; columns may be wider or narrower.
    """
    pattern = ".*?".join(map(re.escape, _ANYTHING.split(_SPACE.sub(" ", shown.rstrip("\n")))))
    return re.fullmatch(pattern + "\n?", _SPACE.sub(" ", found), re.DOTALL) is not None


class Shell:
    """Runs command lines in a directory, each where the last one left off; servers that it starts end with it."""

    def __init__(self, directory: Path, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._directory = directory
        self._left = directory / ".left"
        self._status = 0
        self._services: list[tuple[Address, subprocess.Popen[bytes]]] = []

    def run(self, code: str) -> bool:
        """Run a block, and tell whether any of it was; the rest is what may not be run, and is checked."""
        was_run = False
        for line, shown in examples(code):
            plain = re.sub(r"\\\n\s*", "", line)
            words = shlex.split(plain, comments=True)
            if words[0] in CHECKED or (words[0] in CHECKED_WHERE_MISSING and not self._has(words[0])):
                check_command(words, self._directory)
            elif _SERVICE.match(plain):
                self._serve(plain)
                was_run = True
            else:
                self._command(line, shown)
                was_run = True
        return was_run

    def close(self) -> None:
        """End what was started."""
        for _, process in self._services:
            _end(process)

    def _has(self, program: str) -> bool:
        return shutil.which(program, path=self._environ["PATH"]) is not None

    def _command(self, line: str, shown: str) -> None:
        patience = ["timeout", "--foreground", str(_PATIENCE)]
        script = f"(exit {self._status})\n{line}\nstatus=$?; pwd > {self._left}; exit $status"
        self._status, found = on_terminal(
            [*patience, "sh", "-c", script],
            columns=120,
            environ=self._environ,
            cwd=self._directory,
        )
        self._directory = Path(self._left.read_text().strip())
        last = _DRAWN_ANEW.split(found)[-1]
        if shown:
            assert agree(shown, last), f"$ {line}\nshows\n{found}\nand not\n{shown}"
        else:
            assert self._status == 0, f"$ {line}\nends with {self._status}:\n{found}"

    def _serve(self, line: str) -> None:
        address = _address(line)
        for at, process in self._services:
            if at == address:  # what the page shows in the place of the former
                _end(process)
        with (self._directory / ".log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {line.rstrip('& ')}"],
                cwd=self._directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._services.append((address, process))
        deadline = time.monotonic() + _PATIENCE
        while not answers(address):
            said = (self._directory / ".log").read_text()
            assert process.poll() is None, f"$ {line}\nhas ended:\n{said}"
            assert time.monotonic() < deadline, f"$ {line}\ndoes not answer:\n{said}"
            time.sleep(0.02)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait(_PATIENCE)


def _address(line: str) -> Address:
    if socket := _SOCKET.search(line):
        return Address(path=socket[1])
    port = _PORT.search(line)
    assert port is not None, f"{line}: says no port to wait for"
    return Address(port=urlsplit(f"//{port[1]}").port or int(port[1]))
