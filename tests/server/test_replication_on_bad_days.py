"""Bad days of servers that follow each other: killed under load, whichever of them, durable or not."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kt_core.wire.kt_binary import NEVER_XT, SetBulk, encode_request
from tests.fix_servers import KINDS
from tests.server.exchange import Wire, rpc
from tests.server.nodes import Node, await_

KEYS = [b"key%02d" % number for number in range(40)]


class Load:
    """A client that stores ever higher numbers under some keys, and other things under others, until it is stopped."""

    def __init__(self, node: Node, seed: int) -> None:
        self.acknowledged = dict.fromkeys(KEYS, 0)
        self.tried = dict.fromkeys(KEYS, 0)
        self._node = node
        self._random = random.Random(seed)
        self._prefix = b"%d/" % seed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with suppress(OSError, AssertionError), self._node.wire() as wire:
                while not self._stopped.is_set():
                    self._store(wire)
                    self._do_another_thing(wire)

    def _store(self, wire: Wire) -> None:
        keys = self._random.sample(KEYS, self._random.choice([1, 1, 3]))
        for key in keys:
            self.tried[key] += 1
        records = [(0, key, b"%d" % self.tried[key] * 20, NEVER_XT) for key in keys]
        if wire.ask(encode_request(SetBulk(records))) != b"\xb8" + len(keys).to_bytes(4):
            raise OSError
        self.acknowledged.update({key: self.tried[key] for key in keys})

    def _do_another_thing(self, wire: Wire) -> None:
        other = self._prefix + b"%d" % self._random.randrange(30)
        value = b"%d" % self._random.randrange(1000)
        requests = [
            rpc("append", key=other, value=value),
            rpc("set", key=other, value=value, xt=1000),
            rpc("increment", key=other + b"n", num=3),
            rpc("cas", key=other, oval=value, nval=b""),
            rpc("remove", key=other),
            rpc("seize", key=other),
            rpc("set_bulk", {b"_" + other: value, b"_" + other + b"x": value}),
            rpc("remove_bulk", {b"_" + other: b"", b"_none": b""}),
            rpc("set", key=other, value=value, DB=1),
        ]
        wire.ask(self._random.choice(requests))
        if self._random.random() < 0.01:
            wire.ask(rpc("clear", DB=1))


class Watch:
    """Reads the numbers at a server all the while: they must never go back, and never be such as nobody stored."""

    def __init__(self, node: Node, load: Load) -> None:
        self.faults: list[str] = []
        self.reads = 0
        self._node = node
        self._load = load
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()

    def _run(self) -> None:
        seen = dict.fromkeys(KEYS, 0)
        while not self._stopped.is_set():
            found = versions(self._node)
            self.reads += bool(found)
            for key, version in found.items():
                if not seen[key] <= version <= self._load.tried[key]:
                    self.faults.append(f"{key!r}: {version} after {seen[key]}, {self._load.tried[key]} tried")
                seen[key] = version
            time.sleep(0.01)


def versions(node: Node) -> dict[bytes, int]:
    """Return the numbers that were stored last, as a server has them."""
    found = {key: value for key, (value, _) in node.records().items() if key in KEYS}
    return {key: int(value[: len(value) // 20]) for key, value in found.items()}


PAIRS = [
    pytest.param(master, slave, killed, id=f"{master} followed by {slave}, {killed} killed")
    for master in KINDS
    for slave in KINDS
    for killed in ("master", "slave")
    # What an original keeps of what it was doing when it was killed is its own affair.
    if {"master": master, "slave": slave}[killed] == "bundled"
]


@pytest.mark.parametrize("durability", ["commit", "process"])
@pytest.mark.parametrize(("master_kind", "slave_kind", "killed"), PAIRS)
def test_killed_under_load(tmp_path: Path, master_kind: str, slave_kind: str, killed: str, durability: str) -> None:
    names = {"bundled": [f"a.kct#durability={durability}", "b.kct#durability=process"], "ktserver": ["%", "%"]}
    with (
        Node(master_kind, tmp_path, 1, *names[master_kind]) as master,
        Node(slave_kind, tmp_path, 2, *names[slave_kind], master=master) as slave,
    ):
        load = Load(master, 1)
        watch = Watch(slave, load)
        victim = {"master": master, "slave": slave}[killed]
        with load.running(), watch.running():
            for _ in range(2):
                time.sleep(random.uniform(0.2, 0.5))
                victim.kill()
                victim.start()
            await_(lambda: watch.reads > 0 and min(load.acknowledged.values()) > 0)
        for database in (0, 1):
            await_(lambda number=database: slave.records(number) == master.records(number))  # type: ignore[misc]
        stored = versions(master)
        assert {key: stored[key] for key in KEYS if stored[key] < load.acknowledged[key]} == {}
        assert watch.faults == []
