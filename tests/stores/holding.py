"""Somebody else who has a database's write transaction open, until told to let go."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from kt_core.database import Environment

# Seconds after which a holder lets go by itself: nobody waits so long but a test that fails.
PATIENCE = 10

_HOLD = """
import select, sys
from kt_core.database import DatabaseOptions, Environment

directory, max_size, durability, eviction, patience = sys.argv[1:]
environment = Environment.open(directory, DatabaseOptions(int(max_size), durability, eviction))

def hold(txn):
    print("held", flush=True)
    select.select([sys.stdin], [], [], float(patience))

environment.write(0, hold)
"""

Holder: TypeAlias = "Callable[[Environment], object]"
"""A context in which the transaction is held; it gives the function that ends this."""


@contextmanager
def held_by_a_process(environment: Environment) -> Iterator[Callable[[], object]]:
    """Let another process hold the write transaction."""
    options = environment.options
    arguments = [str(environment.directory), str(options.max_size), options.durability, options.eviction]
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, *arguments, str(PATIENCE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.stdin.close
    assert process.returncode == 0


@contextmanager
def held_by_a_thread(environment: Environment) -> Iterator[Callable[[], object]]:
    """Let another thread of this process hold the write transaction."""
    held, done = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        held.set()
        done.wait(PATIENCE)

    thread = threading.Thread(target=environment.write, args=(0, hold))
    thread.start()
    assert held.wait(PATIENCE)
    yield done.set
    done.set()
    thread.join()
