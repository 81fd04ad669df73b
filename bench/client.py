"""Clients on the same servers: microseconds of single calls, sync and awaited, and of Django's caches over them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from bench import calls, charts
from bench.backends import (
    GROUP,
    KTCACHE_PORT,
    KTCACHE_SOCKET,
    REDIS_CACHE,
    VALUE_SIZE,
    configure,
    prepare,
)
from bench.calls import Batch, Operation, Samples
from bench.report import Report, Setting, left_out, medians, ratios, table
from bench.server import REDIS_SERVER, SERVERS, Server

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VALUE = b"v" * 200
KEYS = [f"article:{number}" for number in range(1_000)]
GROUPS = [KEYS[start : start + GROUP] for start in range(0, len(KEYS), GROUP)]
COUNTERS = [f"counter:{number}" for number in range(GROUP)]
Wait: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]  # runs a coroutine to its end
DJANGO = (KTCACHE_SOCKET, KTCACHE_PORT, REDIS_CACHE)


@dataclass(frozen=True)
class Extent:
    """How much a run measures."""

    rounds: int
    batch_seconds: float


FULL = Extent(100, 0.005)
QUICK = Extent(15, 0.003)


@dataclass(frozen=True)
class Call:
    """A method that every client has, the subjects it is called on in turn, and what else it is given."""

    title: str
    method: str
    subjects: Sequence[Any]
    others: tuple[Any, ...] = ()

    def operation(self, wait: Wait | None) -> Operation[Any]:
        """The loop of calls to be timed; `wait` runs that of a client whose methods are awaited."""
        if wait is None:
            return Operation(self.title, self._loop, self.subjects)
        return Operation(self.title, lambda client, subjects: wait(self._awaited(client, subjects)), self.subjects)

    def _loop(self, client: Any, subjects: Iterable[Any]) -> None:
        call, others = getattr(client, self.method), self.others
        for subject in subjects:
            call(subject, *others)

    async def _awaited(self, client: Any, subjects: Iterable[Any]) -> None:
        call, others = getattr(client, self.method), self.others
        for subject in subjects:
            await call(subject, *others)


GET = Call("get", "get", KEYS)
SET = Call("set", "set", KEYS, (VALUE,))
CALLS = (
    GET,
    SET,
    Call(f"get_bulk {GROUP}", "get_bulk", GROUPS),
    Call("add, key exists", "add", KEYS, (VALUE,)),
    Call("incr", "incr", COUNTERS),
)


# Every client has text as keys, and bytes as values that nothing serializes.


def _kyoto(port: int) -> Any:
    from kt_core.kyoto import KT_NONE, KyotoTycoon

    return KyotoTycoon("127.0.0.1", port, serializer=KT_NONE)


def _async_kyoto(port: int) -> Any:
    from kt_core.kyoto import KT_NONE, AsyncKyotoTycoon

    return AsyncKyotoTycoon("127.0.0.1", port, serializer=KT_NONE)


def _ukt(port: int) -> Any:
    import ukt

    client = ukt.KyotoTycoon("127.0.0.1", port, serializer=ukt.KT_NONE)
    client.incr, client.close = client.increment, client.close_all
    return client


def _redis(port: int) -> Any:
    import redis

    client: Any = redis.Redis(port=port)
    client.get_bulk, client.add = client.mget, partial(client.set, nx=True)
    return client


def _async_redis(port: int) -> Any:
    import redis.asyncio

    client: Any = redis.asyncio.Redis(port=port)
    client.get_bulk, client.add, client.close = client.mget, partial(client.set, nx=True), client.aclose
    return client


@dataclass(frozen=True)
class Client:
    """A client to be measured."""

    name: str
    protocol: str
    open: Callable[[int], Any]  # for a port; gives the methods of all calls, and close
    awaited: bool = False


CLIENTS = (
    Client("KyotoTycoon", "kt", _kyoto),
    Client("ukt", "kt", _ukt),
    Client("redis-py", "redis", _redis),
    Client("AsyncKyotoTycoon", "kt", _async_kyoto, awaited=True),
    Client("redis.asyncio", "redis", _async_redis, awaited=True),
)
COMPARED = (("KyotoTycoon", "ukt"), ("KyotoTycoon", "redis-py"), ("AsyncKyotoTycoon", "redis.asyncio"))


def add_options(parser: argparse.ArgumentParser) -> None:
    """There are none but the common ones."""


def measure(options: argparse.Namespace, folder: Path, stack: ExitStack, say: Callable[[str], None]) -> Report:
    extent = QUICK if options.quick else FULL
    notes: list[str] = []

    def leave_out(title: str, reason: str) -> None:
        notes.append(left_out(title, reason))
        say(notes[-1])

    wait = stack.enter_context(asyncio.Runner()).get_loop().run_until_complete
    batches: dict[str, list[Batch[Any]]] = {}
    for server in SERVERS:
        try:
            port = stack.enter_context(server.program.run()).port
        except (OSError, RuntimeError) as error:
            leave_out(server.title, str(error))
            continue
        for client in CLIENTS:
            if client.protocol == server.protocol:
                title = entry(client.name, server)
                try:
                    batches[title] = _enter(client, port, wait, stack, extent.batch_seconds)
                # Whatever a third party's client raises on this machine is the reason to print.
                except Exception as error:
                    leave_out(title, f"{type(error).__name__}: {error}")
    clients = calls.take_turns(batches, extent.rounds, say)

    configure(folder)
    entrants, missing = prepare({peer.name for peer in DJANGO}, folder, stack, say)
    notes += [left_out(peer.title, peer.reason) for peer in missing]
    caches = calls.measure(entrants, extent.rounds, extent.batch_seconds, say)
    return report(clients, caches, {peer.name: peer.title for peer in entrants}, options.setting, notes)


def entry(client: str, server: Server) -> str:
    """The title of a client on a server."""
    return f"{client} on {server.title}"


def _enter(client: Client, port: int, wait: Wait, stack: ExitStack, seconds: float) -> list[Batch[Any]]:
    """Store what the calls need, and size the batch of each; the stack closes the client."""
    opened = client.open(port)
    settle = wait if client.awaited else lambda result: result
    stack.callback(lambda: settle(opened.close()))
    operations = [call.operation(wait if client.awaited else None) for call in CALLS]
    operations[CALLS.index(SET)].loop(opened, KEYS)
    if settle(opened.get(KEYS[0])) != VALUE:
        raise RuntimeError("a value just set is not there")
    return [Batch(operation, opened, seconds) for operation in operations]


def report(
    clients: Samples, caches: Samples, titles: Mapping[str, str], setting: Setting, notes: Sequence[str]
) -> Report:
    sections = [setting.section("Servers: in memory, no persistence", *notes)]
    drawn: dict[str, Callable[[], Figure]] = {}
    if clients:
        sections += _client_sections(clients)
        names = list(clients[GET.title])
        ours = {name for name in names if "KyotoTycoon" in name}
        panels = [(f"{call.title}, µs", clients[call.title]) for call in CALLS]
        drawn["client"] = partial(charts.dots, panels, dict(zip(names, names, strict=True)), ours)
    if caches:
        sections += _cache_sections(caches, titles)
    return Report("client", sections, drawn)


def _client_sections(samples: Samples) -> Iterator[str]:
    header, columns = ["", *samples], list(samples.values())
    names = list(columns[0])
    yield "## Clients"
    yield (
        f"Median microseconds of a call over TCP: {len(KEYS):,} keys of text, values of {len(VALUE)} bytes which "
        "nothing serializes, default options. Clients take turns in short rounds; those of asyncio await each call."
    )
    yield table(header, (medians(name, columns, name) for name in names))
    if pairs := [pair for pair in _pairs() if pair[0] in names and pair[1] in names]:
        yield "The same as ratios (median of the ratios within each round):"
        yield table(header, (ratios(f"{own} / {other}", columns, own, other) for own, other in pairs))


def _pairs() -> Iterator[tuple[str, str]]:
    """Titles of the clients compared: ours on each server, the other on the same one or on Redis."""
    for own, other in COMPARED:
        for server in SERVERS:
            for peer in (server, REDIS_SERVER):
                yield entry(own, server), entry(other, peer)


def _cache_sections(samples: Samples, titles: Mapping[str, str]) -> Iterator[str]:
    header, columns = ["", *samples], list(samples.values())
    yield "## Django caches over a network"
    yield (
        f"Median microseconds of a Django cache call: {calls.RESIDENT:,} keys, a value is a dict of {VALUE_SIZE} "
        "bytes pickled. KTCache is on the bundled server, by a unix socket and by TCP, RedisCache on a unix socket."
    )
    yield table(header, (medians(title, columns, name) for name, title in titles.items()))
    if REDIS_CACHE.name in titles:
        yield "The same as ratio to RedisCache (median of the ratios within each round):"
        yield table(header, (ratios(title, columns, name, REDIS_CACHE.name) for name, title in titles.items()))
