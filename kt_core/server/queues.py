"""Queues of messages for memcached's clients: `set` puts a message in, `get` takes one out, `delete` acknowledges it.

A message is a record whose key is the queue's name, the time and a number. It stays where it is until it is
acknowledged, so that no end of the server loses one; meanwhile no other client is given it. Those of a client that has
hung up are given to the next. Source: the Kyoto Tycoon protocol reference, section 11.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import count
from typing import Final

from kt_core.database.batch import Change
from kt_core.server.call import Changing
from kt_core.server.memcached import COMMANDS as PLAIN
from kt_core.server.memcached import Command, MemcachedConnection, shown, value_of
from kt_core.wire.memcached import Words

_LOOK: Final = 1.0  # seconds between the looks for messages of which nobody tells: other protocols may put them there
_numbers = count(1)


def _put(connection: MemcachedConnection, request: Words) -> Changing:
    name, (value, expiry) = request.words[1], value_of(connection, request)
    key = b"%b %014d %04d" % (name, connection.server.clock() * 1000, next(_numbers) % 10_000)

    def reply(_: object) -> bytes:
        connection.memcached.arrivals.signal(name)
        return b"STORED\r\n"

    change = Change(connection.served.operations.put, (key, value, expiry), len(key) + len(value))
    return Changing(connection.served, (change,), reply)


async def _get(connection: MemcachedConnection, request: Words) -> bytes:
    memcached, loop = connection.memcached, connection.server.loop
    deadline = loop.time() + memcached.options.queue_timeout
    parts: list[bytes] = []
    for name in request.words[1:]:
        memcached.counts["get"] += 1
        while (value := _take(connection, name)) is None:
            left = deadline - loop.time()
            if left <= 0 or connection.has_ended:
                memcached.counts["get_misses"] += 1
                break
            await memcached.arrivals.wait(name, connection, min(left, _LOOK))
        else:
            parts.append(shown(connection, name, value))
    return b"".join([*parts, b"END\r\n"])


def _take(connection: MemcachedConnection, name: bytes) -> bytes | None:
    """Let the client have the first message of a queue that nobody has, and return it."""
    memcached, database = connection.memcached, connection.served.database
    for key in database.keys(name + b" "):
        if key not in memcached.leased and (found := database.find(key)) is not None:
            memcached.leased.add(key)
            connection.leased.add(key)
            return found[0]
    return None


def _acknowledge(connection: MemcachedConnection, request: Words) -> bytes | Changing:
    memcached, prefix = connection.memcached, request.words[1] + b" "
    taken = sorted(connection.leased)
    at = bisect_left(taken, prefix)
    if at == len(taken) or not taken[at].startswith(prefix):
        memcached.counts["delete_misses"] += 1
        return b"NOT_FOUND\r\n"
    key = taken[at]

    def reply(_: object) -> bytes:
        connection.leased.discard(key)
        memcached.leased.discard(key)
        return b"DELETED\r\n"

    return Changing(connection.served, (Change(connection.served.operations.remove, (key,), 0),), reply)


COMMANDS: Final[Mapping[bytes, Command]] = {
    **PLAIN,
    b"set": PLAIN[b"set"]._replace(answer=_put),
    b"get": Command(_get, 2),
    b"gets": Command(_get, 2),
    b"delete": PLAIN[b"delete"]._replace(answer=_acknowledge),
}
"""The commands where there are queues."""
