"""The text protocol: names asked for, one line each, and the values answered."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from tests.aerospike.server import reports
from tests.aerospike.server.records import PARTITIONS, Namespace, Refused

BUILD = "8.1.1.2"
_UNKNOWN = "ERROR:4:unrecognized command"


class Member(Protocol):
    """What a node says about itself and its cluster."""

    name: str
    port: int
    generation: int
    reads: Counter[str]

    @property
    def cluster_name(self) -> str: ...
    @property
    def namespaces(self) -> dict[bytes, Namespace]: ...
    @property
    def modules(self) -> dict[str, str]: ...
    @property
    def indexes(self) -> dict[tuple[str, str], dict[str, str]]: ...
    @property
    def peers_generation(self) -> int: ...
    def peers(self) -> Iterable[tuple[str, int]]: ...
    def partitions(self) -> list[Iterable[int]]: ...


def answer(node: Member, request: bytes) -> bytes:
    """Return the lines of an answer to the lines of a request."""
    lines = request.decode().split("\n")
    return "".join(f"{line}\t{_value(node, line)}\n" for line in lines if line).encode()


def _value(node: Member, line: str) -> str:
    name, _, rest = line.replace("/", ":", 1 if "/" in line.partition(":")[0] else 0).partition(":")
    arguments = dict(part.partition("=")[::2] for part in rest.split(";") if part)
    command = _COMMANDS.get(name)
    if command is None:
        return _UNKNOWN
    try:
        return command(node, arguments)
    except (KeyError, ValueError):
        return "ERROR:4:bad argument"


def _peers(node: Member, _: dict[str, str]) -> str:
    peers = ",".join(f"[{name},,[127.0.0.1:{port}]]" for name, port in node.peers())
    return f"{node.peers_generation},3000,[{peers}]"


def bitmap(partitions: Iterable[int]) -> str:
    """Return partitions as the client wants them: the most significant bit of the first byte is number 0."""
    bits = bytearray(PARTITIONS // 8)
    for number in partitions:
        bits[number // 8] |= 0x80 >> number % 8
    return base64.b64encode(bits).decode()


def _replicas(node: Member, _: dict[str, str]) -> str:
    bitmaps = [bitmap(numbers) for numbers in node.partitions()]
    return ";".join(f"{name.decode()}:0,{len(bitmaps)},{','.join(bitmaps)}" for name in node.namespaces)


def _truncate(node: Member, arguments: dict[str, str]) -> str:
    namespace = node.namespaces.get(arguments.get("namespace", "").encode())
    if namespace is None:
        return "ok"
    name = arguments.get("set")
    before = arguments.get("lut")
    try:
        namespace.truncate(None if name is None else name.encode(), int(before) // 1_000_000 if before else None)
    except Refused:
        return "ERROR:4:would truncate in the future"
    return "ok"


def _sets(node: Member, arguments: dict[str, str]) -> str:
    """Report one set, or the sets of one namespace or of all: `sets/NAMESPACE/SET`."""
    name, _, wanted = next(iter(arguments), "").partition("/")
    found = {each: reports.sets(namespace, _held(node)) for each, namespace in _named(node, name).items()}
    if wanted:
        line = found.get(name, {}).get(wanted)
        return f"{line};" if line else ""
    return "".join(f"ns={each}:set={one}:{line};" for each, lines in found.items() for one, line in lines.items())


def _namespace(node: Member, arguments: dict[str, str]) -> str:
    for namespace in _named(node, *arguments).values():
        return reports.namespace(namespace, _held(node), len(node.partitions()), node.reads)
    return "type=unknown"


def _named(node: Member, name: str) -> dict[str, Namespace]:
    return {each.decode(): namespace for each, namespace in node.namespaces.items() if name in ("", each.decode())}


def _held(node: Member) -> set[int]:
    return {number for numbers in node.partitions() for number in numbers}


def _udf_put(node: Member, arguments: dict[str, str]) -> str:
    node.modules[arguments["filename"]] = arguments["content"]
    return "ok"


def _udf_get(node: Member, arguments: dict[str, str]) -> str:
    content = node.modules.get(arguments["filename"])
    return "error=not_found" if content is None else f"type=LUA;content={content};"


def _udf_remove(node: Member, arguments: dict[str, str]) -> str:
    node.modules.pop(arguments["filename"], None)
    return "ok"


def _udf_list(node: Member, _: dict[str, str]) -> str:
    hashes = {name: hashlib.sha1(base64.b64decode(content)).hexdigest() for name, content in node.modules.items()}
    return "".join(f"filename={name},hash={each},type=LUA;" for name, each in hashes.items())


def _index_create(node: Member, arguments: dict[str, str]) -> str:
    """Keep the definition of an index; nothing is ever found through it."""
    name = arguments["namespace"], arguments["indexname"]
    if node.indexes.setdefault(name, arguments) != arguments:
        return "ERROR:200:'indexname' already exists with different definition"
    return "ok"


def _index_delete(node: Member, arguments: dict[str, str]) -> str:
    node.indexes.pop((arguments["namespace"], arguments["indexname"]), None)
    return "ok"


def _index_stat(node: Member, arguments: dict[str, str]) -> str:
    known = (arguments["namespace"], arguments["indexname"]) in node.indexes
    return "entries=0;load_pct=100;load_time=0" if known else "ERROR:201:no-index"


_COMMANDS: dict[str, Callable[[Member, dict[str, str]], str]] = {
    "node": lambda node, _: node.name,
    "build": lambda node, _: BUILD,
    "edition": lambda node, _: "Aerospike Community Edition",
    "cluster-name": lambda node, _: node.cluster_name,
    "partition-generation": lambda node, _: str(node.generation),
    "peers-generation": lambda node, _: str(node.peers_generation),
    "rebalance-generation": lambda node, _: "1",
    "rack-ids": lambda node, _: "ERROR:25:enterprise only",
    "service-clear-std": lambda node, _: f"127.0.0.1:{node.port}",
    "user-agent-set": lambda node, _: "ok",
    "peers-clear-std": _peers,
    "replicas": _replicas,
    "namespaces": lambda node, _: ";".join(name.decode() for name in node.namespaces),
    "namespace": _namespace,
    "sets": _sets,
    "udf-put": _udf_put,
    "udf-get": _udf_get,
    "udf-remove": _udf_remove,
    "udf-list": _udf_list,
    "sindex-create": _index_create,
    "sindex-delete": _index_delete,
    "sindex-stat": _index_stat,
    "query-show": lambda node, _: "ERROR:2:job not found",
    "truncate": _truncate,
    "truncate-namespace": _truncate,
}
