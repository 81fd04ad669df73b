"""One node: it listens, and serves each connection in a thread, request by request."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.aerospike.server import info, operations, scan, wire
from tests.aerospike.server.faults import Fault, Faults
from tests.aerospike.server.records import Namespace
from tests.aerospike.server.wire import Field, Info1, Info2, Info3, Message, Result

if TYPE_CHECKING:
    from tests.aerospike.server.cluster import Nodes


_COUNTED: dict[int, str] = {Result.OK: "success", Result.NOT_FOUND: "not_found"}
"""How reads are counted."""


class _Dropped(Exception):
    """The connection is to be closed."""


class Node:
    """A member of a cluster, at a port that it keeps when it is stopped and started again."""

    def __init__(self, cluster: Nodes, number: int, port: int = 0) -> None:
        self.cluster = cluster
        self.name = f"BB9{number:012X}"
        self.port = port
        self.generation = 0
        self.faults = Faults()
        self.running = False
        self.served = 0
        self.reads: Counter[str] = Counter()
        self._listener: socket.socket | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._working = threading.Lock()
        self._going = threading.Event()
        self._going.set()

    @property
    def cluster_name(self) -> str:
        return self.cluster.name

    @property
    def namespaces(self) -> dict[bytes, Namespace]:
        return self.cluster.namespaces

    @property
    def modules(self) -> dict[str, str]:
        return self.cluster.modules

    @property
    def indexes(self) -> dict[tuple[str, str], dict[str, str]]:
        return self.cluster.indexes

    @property
    def peers_generation(self) -> int:
        return self.cluster.peers_generation

    def peers(self) -> Iterable[tuple[str, int]]:
        """Return names and ports of the other nodes."""
        return [(node.name, node.port) for node in self.cluster.nodes if node.running and node is not self]

    def partitions(self) -> list[Iterable[int]]:
        """Return the partitions that this node is the master of, and those that it keeps a copy of."""
        return self.cluster.partitions(self)

    def start(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        self.port = self._listener.getsockname()[1]
        self.running = True
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections and end those there are, in the middle of whatever they do."""
        with self._working:  # nothing is done any more once this has returned
            self.running = False
        self.faults.clear()
        self.resume()
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self.disconnect()

    def pause(self) -> None:
        """Answer nothing any more, not even whether this node is there, but keep the connections."""
        self._going.clear()

    def resume(self) -> None:
        """Go on with what waits."""
        self._going.set()

    def disconnect(self) -> None:
        """End all connections."""
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            thread.join()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                if not self.running:
                    connection.close()
                    return
                self._connections[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while True:
                kind, length = wire.decode_proto(_receive(connection, wire.PROTO_SIZE))
                body = _receive(connection, length)
                if not self._going.is_set():
                    self._going.wait()
                    _check_sender(connection)
                connection.sendall(self._reply(kind, body))
        except (_Dropped, OSError, ValueError):
            pass
        finally:
            with self._lock:
                del self._connections[connection]
            connection.close()

    def _reply(self, kind: int, body: bytes) -> bytes:
        if kind == wire.INFO:
            return wire.frame(kind, info.answer(self, body))
        if kind == wire.ADMIN:
            return wire.frame(kind, bytes((0, wire.SECURITY_NOT_SUPPORTED)) + bytes(14))
        if kind != wire.MESSAGE:
            return wire.frame_messages([Message(result=wire.Result.ENTERPRISE, info3=Info3.LAST)])
        self.served += 1
        message = wire.decode_message(body)
        rows = list(wire.decode_batch(message)) if message.info1 & Info1.BATCH else [message]
        fault = self.faults.take(rows)
        if fault is not None:
            self._before(fault)
        answer = self._answer(message, rows, fault)
        if fault is not None and fault.kind == "drop after":
            raise _Dropped
        return wire.frame_messages(map(self._told, answer))

    def _told(self, message: Message) -> Message:
        """Return an answer with its expiry by the clients' clock, which no test moves."""
        expiry = max(message.ttl - self.cluster.ahead, 1)
        return replace(message, ttl=expiry) if message.ttl and self.cluster.ahead else message

    def _before(self, fault: Fault) -> None:
        if fault.kind == "drop before":
            raise _Dropped
        if fault.kind in ("delay", "freeze"):
            self.faults.healed.wait(fault.value or None)

    def _answer(self, message: Message, rows: list[Message], fault: Fault | None) -> Iterable[Message]:
        last = Message(info3=Info3.LAST)
        if fault is not None and fault.kind == "code":
            last.result = int(fault.value)
            return [last]
        if message.info1 & Info1.BATCH:
            return [*(replace(self._execute(row, "batch_sub_read"), index=row.index) for row in rows), last]
        if Field.DIGEST in message.fields:
            return [self._execute(message, "client_read")]
        return scan.execute(self.namespaces, message)

    def _execute(self, message: Message, kind: str) -> Message:
        with self._working:
            if not self.running:
                raise _Dropped
            answer = operations.execute(self.namespaces, message)
        if not message.info2 & Info2.WRITE and answer.result in _COUNTED:
            self.reads[f"{kind}_{_COUNTED[answer.result]}"] += 1
        return answer


def _check_sender(connection: socket.socket) -> None:
    """Leave undone what nobody waits for any more: it could undo what has been done since."""
    with suppress(BlockingIOError):
        if not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
            raise _Dropped


def _receive(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise _Dropped
        data += piece
    return bytes(data)
