"""The server as a process that others manage: leaving the terminal, and telling which process it is and how it is."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_STARTED: Final = b"1"


def detach() -> Callable[[], None]:
    """Go on as a process of no terminal; return what is to be called once the server listens.

    The process that calls this ends with status 0 when that was called, and with 1 if the server ended before: until
    then it may say why on the terminal. Nothing may be open yet, and no thread may run. The working directory stays,
    and with it what relative paths mean.
    """
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        os._exit(0 if os.read(reading, 1) == _STARTED else 1)
    os.setsid()
    if os.fork():  # what leads no session gets no terminal again
        os._exit(0)
    os.close(reading)

    def started() -> None:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        with suppress(BrokenPipeError):  # whoever started it did not wait
            os.write(writing, _STARTED)
        os.close(writing)

    return started


def notify(state: str, environ: Mapping[str, str] = os.environ) -> None:
    """Tell systemd how the server is, ``READY=1`` or ``STOPPING=1``, if it wants to know (``Type=notify``)."""
    path = environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to, suppress(OSError):
            to.sendto(state.encode(), f"\0{path[1:]}" if path.startswith("@") else path)


@contextmanager
def pid_file(path: Path) -> Iterator[None]:
    """Have a file with the id of this process; OSError if it cannot be written.

    It is whole for whoever reads it meanwhile, and what another server has written there since stays.
    """
    text = f"{os.getpid()}\n"
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.replace(path)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            if path.read_text() == text:
                path.unlink()
