"""A child process: what it writes is heard while it is waited for, and its last lines are kept.

It writes into a pipe, which therefore somebody has to read for as long as it lives: whoever started it spends that
time in `Child.wait`.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

_LINES: Final = 10
_LONGEST_LINE: Final = 8192
_CHUNK: Final = 1 << 16

# The end of the pipe tells that the process has ended. A process that the program forked in an unlucky moment can
# hold the pipe open, and a server can close it: then only looking tells.
_LOOK_EVERY: Final = 1.0
_LOOK_EVERY_WHEN_SILENT: Final = 0.02


class Stop:
    """A request to stop, for a thread that waits for descriptors; once made it stays."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._descriptor = os.eventfd(0)
        # Whoever may still make the request has this object: it cannot come to a descriptor of somebody else's.
        weakref.finalize(self, os.close, self._descriptor)

    @property
    def asked(self) -> bool:
        """Whether the request was made."""
        return self._event.is_set()

    def ask(self) -> None:
        """Make the request; again is harmless."""
        self._event.set()
        os.eventfd_write(self._descriptor, 1)

    def fileno(self) -> int:
        """Return the descriptor that can be read once the request was made."""
        return self._descriptor

    def wait(self, seconds: float) -> None:
        """Wait for the request for so long."""
        self._event.wait(seconds)


class Child:
    """A process started by the calling thread, which alone may use it; `hear` is called with each line it writes."""

    def __init__(
        self, command: Sequence[str], hear: Callable[[str], None], *, cwd: str, pass_fds: Sequence[int] = ()
    ) -> None:
        # A process group of its own: what the terminal sends on Ctrl-C is for the program, which then stops the
        # server in its own time.
        self._process = subprocess.Popen(  # noqa: S603 - a program of this package or from PATH
            command,
            bufsize=0,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
            process_group=0,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._hear = hear
        self._unfinished = b""
        self.pid = self._process.pid
        self.last_lines: deque[str] = deque(maxlen=_LINES)

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def fate(self) -> str:
        """How the process ended."""
        status = self._process.poll()
        if status is None:
            return "is running"
        return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"

    def wait(self, seconds: float | None, *descriptors: int) -> bool:
        """Wait until one of the descriptors can be read (True), or the process ends or the time is over (False)."""
        deadline = None if seconds is None else time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            for descriptor in descriptors:
                selector.register(descriptor, selectors.EVENT_READ)
            if not self._output.closed:
                selector.register(self._output, selectors.EVENT_READ)
            while not self.ended:
                patience = _LOOK_EVERY_WHEN_SILENT if self._output.closed else _LOOK_EVERY
                if deadline is not None:
                    patience = min(patience, deadline - time.monotonic())
                ready = {key.fileobj for key, _ in selector.select(max(patience, 0))}
                if self._output in ready and not self._read():
                    selector.unregister(self._output)
                    self._output.close()
                if not ready.isdisjoint(descriptors):
                    return True
                if deadline is not None and time.monotonic() >= deadline:
                    return False
        while not self._output.closed and self._read():
            pass
        return False

    def end(self, patience: float) -> None:
        """Ask the process to end, and kill it if it has not after so many seconds; it is gone on return."""
        try:
            if not self.ended:
                self._process.terminate()
                self.wait(patience)
        finally:
            if not self.ended:
                self._process.kill()
                self.wait(None)
            self._output.close()

    def _read(self) -> bool:
        """Hear what was written; tell whether there may be more."""
        data = self._output.read(_CHUNK)
        if data:
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            if len(self._unfinished) > _LONGEST_LINE:
                lines.append(self._unfinished)
                self._unfinished = b""
        else:
            lines, self._unfinished = [self._unfinished], b""
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self.last_lines.append(text)
                self._hear(text)
        return bool(data)
