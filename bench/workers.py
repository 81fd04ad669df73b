"""Processes that do as they are told over a pipe, as the workers of a site would do it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

Work = Callable[..., None]
"""Obeys the orders that come through a pipe, its first argument; the last is the worker's number."""


@contextmanager
def workers(count: int, work: Work, *args: Any) -> Iterator[list[Connection]]:
    """Yield a pipe to each of so many processes; they end when it is closed."""
    # Spawned, not forked: a process of its own opens its own connections, as a server's worker does.
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes = []
    try:
        for number in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_obey, args=(work, theirs, *args, number), daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(timeout=1.0)
            if process.is_alive():
                process.kill()


def _obey(work: Work, pipe: Connection, *args: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    with suppress(EOFError):
        work(pipe, *args)
