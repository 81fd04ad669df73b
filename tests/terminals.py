"""Programs on a pseudo-terminal, as somebody who sits there sees them."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.processes import ROOT

_PATIENCE = 60  # seconds
_ROWS = 24
# What a terminal's window says of itself, and the settings of the tests' own Django.
_OURS = ("COLUMNS", "LINES", "NO_COLOR", "DJANGO_SETTINGS_MODULE")


def on_terminal(
    command: Sequence[str], *, columns: int = 80, answer: str = "", environ: Mapping[str, str] = {}, cwd: Path = ROOT
) -> tuple[int, str]:
    """Run a program on a terminal, with an answer typed ahead; return its exit status and what was shown."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in _OURS}
    process = subprocess.Popen(
        command, cwd=cwd, stdin=terminal, stdout=terminal, stderr=terminal,
        env={**inherited, "TERM": "xterm-256color", **environ},
    )  # fmt: skip
    os.close(terminal)
    os.write(master, answer.encode())
    shown = b"".join(_read(master))
    os.close(master)
    return process.wait(_PATIENCE), shown.decode().replace("\r\n", "\n")


def _read(master: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(master, 1 << 16)
        except OSError:  # the other end is closed
            return
        yield data
