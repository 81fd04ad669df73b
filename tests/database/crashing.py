"""Workers that are killed at random instants, and a supervisor that checks what they leave behind.

`python -m tests.database.crashing DIRECTORY KILLS DURABILITY` forks four workers that write, read and count
without pause, kills one after the other with SIGKILL, starts another in its place, and after each kill checks
the records of the dead one. It writes one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import time
import traceback
import zlib
from pathlib import Path

from kt_core.database import Database, DatabaseOptions, Environment

WORKERS = 4
_KEYS = 8  # of each worker


def value_of(worker: int, key: int, number: int) -> bytes:
    """Return a value that tells whether it is whole, of 40 bytes to 9 kB by its number."""
    body = b"%d:%d:%d:" % (worker, key, number) + b"." * (number * 7919 % 9000)
    return body + b"%08x" % zlib.crc32(body)


def number_in(value: bytes) -> int:
    """Return the number of a value; ValueError if it is torn."""
    if zlib.crc32(value[:-8]) != int(value[-8:], 16):
        raise ValueError("torn")
    return int(value.split(b":")[2])


def work(directory: Path, worker: int, first: int, acknowledgements: int) -> None:
    """Write ever larger numbers to this worker's keys, acknowledge each, and read everybody else's."""
    database = Database(Environment.open(directory, _options()))
    rnd = random.Random(os.getpid())
    for number in range(first, sys.maxsize):
        key = number % _KEYS
        database.set(b"%d/%d" % (worker, key), value_of(worker, key, number))
        os.write(acknowledgements, number.to_bytes(8, "big"))
        database.increment(b"count/%d" % worker, 1)
        other = database.get(b"%d/%d" % (rnd.randrange(WORKERS), rnd.randrange(_KEYS)))
        if other is not None:
            number_in(other)
        if number % 50 == 0:
            database.set_bulk([(b"bulk/%d/%d" % (worker, i), value_of(worker, i, number), 1 << 60) for i in range(20)])


def supervise(directory: Path, kills: int) -> dict[str, int]:
    """Kill workers and check; return what was found."""
    found = dict.fromkeys(("kills", "writes", "torn", "stale", "died"), 0)
    rnd = random.Random(20)
    pipes = [os.pipe() for _ in range(WORKERS)]
    acknowledged = [0] * WORKERS
    pids = [_start(directory, worker, 1, pipes) for worker in range(WORKERS)]
    environment = Environment.open(directory, _options())
    database = Database(environment)
    while found["kills"] < kills:
        time.sleep(rnd.uniform(0.001, 0.012))  # the random instant
        worker = rnd.randrange(WORKERS)
        os.kill(pids[worker], signal.SIGKILL)
        _, status = os.waitpid(pids[worker], 0)
        found["died"] += os.WTERMSIG(status) != signal.SIGKILL
        found["kills"] += 1
        _drain(pipes, acknowledged)
        seen = 0
        for key in range(_KEYS):
            value = database.get(b"%d/%d" % (worker, key))
            if value is not None:
                try:
                    seen = max(seen, number_in(value))
                except ValueError:
                    found["torn"] += 1
        found["stale"] += seen < acknowledged[worker]
        signal.alarm(20)  # a stuck lock ends the supervisor, and with it the test
        database.set(b"supervisor", b"alive")
        signal.alarm(0)
        acknowledged[worker] = max(acknowledged[worker], seen)
        pids[worker] = _start(directory, worker, acknowledged[worker] + 1, pipes)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    found["writes"] = sum(acknowledged)
    found["torn"] += sum(_is_torn(record.value) for key, record in database.scan() if key[:1].isdigit())
    found["readers"] = len(environment.handle.readers().splitlines()) - 1
    return found


def _is_torn(value: bytes) -> bool:
    try:
        return number_in(value) < 0
    except ValueError:
        return True


def _start(directory: Path, worker: int, first: int, pipes: list[tuple[int, int]]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            for reader, _ in pipes:
                os.close(reader)  # so that a worker does not outlive its supervisor
            work(directory, worker, first, pipes[worker][1])
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)
    return pid


def _drain(pipes: list[tuple[int, int]], acknowledged: list[int]) -> None:
    for worker, (reader, _) in enumerate(pipes):
        while select.select([reader], [], [], 0)[0]:
            data = os.read(reader, 1 << 16)
            acknowledged[worker] = max(acknowledged[worker], int.from_bytes(data[len(data) - 8 :], "big"))


def _options() -> DatabaseOptions:
    durability = "commit" if sys.argv[3] == "commit" else "process"
    return DatabaseOptions(max_size=16 << 20, durability=durability, eviction="none")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(supervise(Path(sys.argv[1]), int(sys.argv[2]))))
