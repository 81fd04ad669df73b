"""A cluster in a process of its own, driven through a pipe.

The native client keeps the interpreter's lock while it waits for some answers, such as that to `truncate`: a server in
its own process could never give them. Nor would one survive a fork.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.aerospike.server.faults import Kind
from tests.aerospike.server.records import Settings

_ROOT = Path(__file__).parents[3]
_PATIENCE = 30  # seconds for the process to end


class Cluster:
    """Nodes on free ports of the loopback, unless ports are given; they run while this is entered.

        with Cluster(nodes=2) as cluster:
            client = aerospike.client({"hosts": cluster.hosts})

    A node is named by its number, from 0. There is one namespace, `test`, unless others are given with their settings.
    """

    def __init__(
        self, nodes: int = 1, *, ports: Sequence[int] = (), namespaces: Mapping[str, Settings] | None = None
    ) -> None:
        self.hosts: list[tuple[str, int]] = []
        """The addresses of all nodes, as a client's `hosts` has them."""
        settings = {name: asdict(each) for name, each in (namespaces or {"test": Settings()}).items()}
        self._arguments = [str(nodes), "--ports", *map(str, ports), "--namespaces", json.dumps(settings)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.aerospike.server", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        self.hosts = [(host, port) for host, port in self._answer()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.communicate(timeout=_PATIENCE)

    def advance(self, seconds: float) -> None:
        """Let time pass for the servers. Clients are told expiries by their own clock."""
        self._call("advance", seconds)

    def fail(
        self,
        kind: Kind,
        times: int | None = 1,
        *,
        value: float = 0,
        digest: bytes | None = None,
        node: int | None = None,
    ) -> None:
        """Let the next requests go wrong, all if `times` is None, on one node or on every node, each for itself.

        `drop before` and `drop after` close the connection before or after the work is done, `delay` answers `value`
        seconds late, `freeze` never, `code` answers with the result code `value`. A digest means requests for this
        record only.
        """
        self._call("fail", kind, times, value=value, digest=digest and bytes(digest).hex(), node=node)

    def heal(self) -> None:
        """Forget all faults; requests that are frozen go on."""
        self._call("heal")

    def stop(self, node: int = 0) -> None:
        """Kill a node: its connections end, none is accepted; its partitions go to those that are left."""
        self._call("stop", node)

    def start(self, node: int = 0) -> None:
        """Start a node again, at its old port."""
        self._call("start", node)

    def pause(self, node: int = 0) -> None:
        """Let a node fall silent, not even telling whether it is there, with its connections open."""
        self._call("pause", node)

    def resume(self, node: int = 0) -> None:
        """Let a silent node go on."""
        self._call("resume", node)

    def disconnect(self, node: int = 0) -> None:
        """End a node's connections; it accepts new ones."""
        self._call("disconnect", node)

    def rebalance(self) -> None:
        """Let clients ask for the partitions again."""
        self._call("rebalance")

    def served(self, node: int = 0) -> int:
        """Return how many requests for records a node has had; a batch is one."""
        return int(self._call("served", node))

    def lose(self) -> None:
        """Lose all records, as nodes in memory do when all of them have stopped."""
        self._call("lose")

    def _call(self, name: str, *arguments: object, **named: object) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, arguments, named]) + "\n")
        self._process.stdin.flush()
        answer, error = self._answer()
        if error is not None:
            raise AssertionError(error)
        return answer

    def _answer(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())
