"""A cluster: nodes in threads of this process, with what a test does to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self

from tests.aerospike.server.faults import Fault, Kind
from tests.aerospike.server.node import Node
from tests.aerospike.server.records import PARTITIONS, Namespace, Settings


class Nodes:
    """Nodes that share their records, as if each had a copy of all; they run while this is entered.

    Ports are free ones if none are given. A node is named by its number, from 0. `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        ports: Iterable[int] = (),
        namespaces: Mapping[str, Settings] | None = None,
        name: str = "lab",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.peers_generation = 0
        self._clock = clock
        self._ahead = 0.0
        self.modules: dict[str, str] = {}
        self.indexes: dict[tuple[str, str], dict[str, str]] = {}
        self.namespaces = {
            name.encode(): Namespace(self.now, settings)
            for name, settings in (namespaces or {"test": Settings()}).items()
        }
        given = [*ports, *[0] * nodes][:nodes]
        self.nodes = [Node(self, 0xA0 + number, port) for number, port in enumerate(given)]

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        self._moved()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            if node.running:
                node.stop()

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """Return the addresses of all nodes, as a client's `hosts` has them."""
        return [("127.0.0.1", node.port) for node in self.nodes]

    @property
    def ahead(self) -> int:
        """Return the whole seconds that the servers' clock is ahead of the clients'."""
        return int(self._ahead)

    def now(self) -> float:
        """Return the servers' time, in seconds since the epoch."""
        return self._clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass for the servers. Clients are told expiries by their own clock."""
        self._ahead += seconds

    def partitions(self, node: Node) -> list[Iterable[int]]:
        """Return the partitions of a node, every n-th of n running ones, and those of the one before, as their copy."""
        running = [each for each in self.nodes if each.running]
        if node not in running:
            return []
        number, count = running.index(node), len(running)
        return [range((number - copy) % count, PARTITIONS, count) for copy in range(min(count, 2))]

    def fail(
        self, kind: Kind, times: int | None = 1, *, value: float = 0, digest: str | None = None, node: int | None = None
    ) -> None:
        """Let the next requests go wrong, see `Fault`; those of every node, each for itself, if none is named."""
        for each in self.nodes if node is None else [self.nodes[node]]:
            each.faults.add(Fault(kind, times, value, None if digest is None else bytes.fromhex(digest)))

    def heal(self) -> None:
        """Forget all faults."""
        for node in self.nodes:
            node.faults.clear()

    def stop(self, node: int = 0) -> None:
        """Kill a node; its partitions go to those that are left."""
        self.nodes[node].stop()
        self._moved()

    def start(self, node: int = 0) -> None:
        """Start a node again, at its old port."""
        self.nodes[node].start()
        self._moved()

    def pause(self, node: int = 0) -> None:
        """Let a node fall silent, with its connections open."""
        self.nodes[node].pause()

    def resume(self, node: int = 0) -> None:
        """Let a silent node go on."""
        self.nodes[node].resume()

    def disconnect(self, node: int = 0) -> None:
        """End a node's connections, and accept new ones."""
        self.nodes[node].disconnect()

    def rebalance(self) -> None:
        """Let clients ask for the partitions again."""
        self._moved()

    def served(self, node: int = 0) -> int:
        """Return how many requests for records a node has had."""
        return self.nodes[node].served

    def lose(self) -> None:
        """Lose all records, as nodes in memory do when all of them have stopped."""
        for namespace in self.namespaces.values():
            namespace.clear()

    def _moved(self) -> None:
        """Let clients ask again who is there and has which partitions."""
        self.peers_generation += 1
        for node in self.nodes:
            node.generation += 1
