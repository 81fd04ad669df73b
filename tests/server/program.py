"""The server as the program that users run, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.processes import ROOT

_PATIENCE = 30  # seconds for a server to end


@dataclass
class Program:
    """A server that listens."""

    process: subprocess.Popen[str]
    pid: int
    host: str
    port: int
    sock: str | None
    memcached: int = 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens by TCP."""
        return self.host, self.port

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, wait for its end, and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


def command(*arguments: str) -> list[str]:
    """Return the command line."""
    return [sys.executable, "-m", "kt_core.server", *arguments]


@contextmanager
def program(*databases: str, flags: Sequence[str] = ("-port", "0", "-le"), **options: Any) -> Iterator[Program]:
    """Run it; it has said that it listens, and it is gone at the end, gracefully unless the test ended it before."""
    reading, writing = os.pipe()
    arguments = command(*flags, "-ready", str(writing), *databases)
    process = subprocess.Popen(arguments, cwd=ROOT, pass_fds=[writing], text=True, **options)
    os.close(writing)
    try:
        with open(reading) as report:
            line = report.readline()
        assert line, f"the server has not started: {process.wait(_PATIENCE)}"
        yield Program(process, **json.loads(line))
        if process.poll() is None:
            process.terminate()
            assert process.wait(_PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, timeout=_PATIENCE, check=False, **options
    )
