"""Workers of two machines write and read at once while their followers are killed: no read breaks a promise.

All processes here have one clock, so what each has seen and done, and when, can be compared afterwards.
"""

from __future__ import annotations

import json
import os
import signal
import time
from bisect import bisect_right
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from kt_core.transport import Address
from tests.processes import running
from tests.stores.replica.conftest import until
from tests.stores.replica.test_program import follower_of

LAG = 0.5
SECONDS = 4
WORKERS = 4

_WORK = """
import json, random, sys, time
from kt_cache.options import Options
from kt_cache.stores import open_store

location, number, workers, seconds = sys.argv[1], *map(int, sys.argv[2:])
store = open_store(Options.parse(location, {}, default_name="x"))
written, read = [], []
choose = random.Random(number)
print("ready", flush=True)
sys.stdin.readline()
end, count = time.monotonic() + seconds, 0
while time.monotonic() < end:
    if choose.random() < 0.2:
        count += 1
        began = time.monotonic()
        store.set(b"%d" % number, b"value %09d" % count, None)
        written.append((began, time.monotonic(), count))
    other = choose.choice([number, choose.randrange(workers)])
    began = time.monotonic()
    found = store.get(b"%d" % other)
    read.append((began, time.monotonic(), other, int((found or b"value 0")[6:])))
    time.sleep(0.0002)
print(json.dumps((written, read)), flush=True)
"""


def test_no_read_breaks_a_promise(master: Address, tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "other")]
    with ExitStack() as stack:
        workers = []
        for number in range(WORKERS):
            location = f"kt://{master}/0?replica=embedded://{places[number % 2]}?max_size=4MiB&max_lag={LAG}"
            workers.append(stack.enter_context(running(_WORK, location, number, WORKERS, SECONDS)))
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        killed = kill_followers(places)
        seen = [json.loads(worker.communicate()[0]) for worker in workers]
    for place in places:
        until(lambda place=place: follower_of(place) is None)
    assert killed
    check([written for written, _ in seen], [read for _, read in seen])


def kill_followers(places: list[Path]) -> int:
    """Kill whoever follows, now and then; return how often."""
    killed = turn = 0
    end = time.monotonic() + SECONDS - 1
    while time.monotonic() < end:
        time.sleep(0.6)
        turn += 1
        pid = follower_of(places[turn % 2])
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def check(written: list[list[tuple[float, float, int]]], read: list[list[tuple[float, float, int, int]]]) -> None:
    acknowledged = [[ended for _, ended, _ in writes] for writes in written]
    begun = [[began for began, _, _ in writes] for writes in written]
    least: dict[tuple[int, int], int] = defaultdict(int)
    for worker, reads in enumerate(read):
        assert len(reads) > 100
        for began, ended, other, found in reads:
            must = bisect_right(acknowledged[other], began if other == worker else began - LAG)
            assert found >= must, f"worker {worker} read {found} of {other} where {must} was acknowledged"
            assert found <= bisect_right(begun[other], ended), "not written yet"
            least[worker, other] = max(least[worker, other], found)
    assert min(least.values()) > 0
