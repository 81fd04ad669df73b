"""What the server does with requests of memcached's text protocol; flags and expiries mean nothing here.

Source: the Tokyo Tyrant protocol reference, section 7.
"""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kt_core.database.environment import Write
from kt_core.errors import ProtocolError
from kt_core.server.call import Changing
from kt_core.server.tyrant import commands
from kt_core.server.tyrant.counters import GET, GET_MISS, INDEX, OUT, OUT_MISS, PUT, PUT_MISS
from kt_core.server.tyrant.database import change
from kt_core.server.tyrant.masks import MEMCACHED
from kt_core.server.tyrant.records import Records
from kt_core.server.tyrant.stat import VERSION
from kt_core.wire import tt_messages as tt
from kt_core.wire.memcached import Words
from kt_core.wire.numbers import parse_integer

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

Answer = Any
"""The bytes of a reply, or what it waits for."""

CLIENT_ERROR: Final = b"CLIENT_ERROR error\r\n"
"""The reply to a request of too few words, after which the connection is closed."""
SERVER_ERROR: Final = b"SERVER_ERROR unexpected\r\n"
_FORBIDDEN: Final = b"CLIENT_ERROR forbidden\r\n"


class _Command(NamedTuple):
    """A command: what answers it, the fewest words it has, the name under which it is forbidden and counted."""

    answer: Callable[[TyrantServer, Words], Answer]
    words: int
    mask: str
    forbidden: bytes = _FORBIDDEN


def answer(server: TyrantServer, request: Words) -> Answer:
    """Return the reply to a request, or what it waits for; `ProtocolError` if the connection is to be closed."""
    command = COMMANDS.get(request.words[0]) if request.words else None
    if command is None:
        raise ProtocolError(f"there is no command {request.words[:1]}")
    if len(request.words) < command.words:
        return CLIENT_ERROR
    if server.mask.forbids(command.mask, MEMCACHED):
        return command.forbidden
    return command.answer(server, request)


def is_silent(request: Words) -> bool:
    """Tell whether no reply is wanted."""
    words = request.words
    command = COMMANDS[words[0]]
    return words[-1] == b"noreply" and len(words) > command.words and command.answer is not _get


def _stores(change_to: Callable[[bytes, bytes], bytes] | None) -> Callable[[TyrantServer, Words], Answer]:
    """Return what stores what is made of the old value and the new data, where there is an old value."""

    def store(server: TyrantServer, request: Words) -> Answer:
        server.counters[PUT] += 1
        key, data = request.words[1], request.data
        operation = _replace if change_to is not None else _store
        return _change(server, change(operation, server.database.records, key, data, change_to), key, b"STORED\r\n")

    return store


def _change(server: TyrantServer, wanted: Any, key: bytes, reply: bytes) -> Answer:
    if server.database.read_only:
        return SERVER_ERROR

    def stored(results: list[bytes | None]) -> bytes:
        value = results[0]
        if value is None:
            server.counters[PUT_MISS] += 1
            return b"NOT_STORED\r\n"
        server.note(tt.Put(key, value), True)
        return reply

    return Changing(server.database.served, (wanted,), stored)


def _store(txn: Write, records: Records, key: bytes, data: bytes, _: object) -> bytes | None:
    return data if records.write(txn, key, data) else None


def _replace(
    txn: Write, records: Records, key: bytes, data: bytes, make: Callable[[bytes, bytes], bytes]
) -> bytes | None:
    """Put what is made of the old value and the data in the place of that value, and return it."""
    old = records.read(txn, key)
    return _store(txn, records, key, make(old, data), None) if old is not None else None


def _add(server: TyrantServer, request: Words) -> Answer:
    server.counters[INDEX["cnt_putkeep"]] += 1
    if server.database.read_only:
        return SERVER_ERROR
    key, data = request.words[1], request.data

    def stored(results: list[bool]) -> bytes:
        server.note(tt.PutKeep(key, data), results[0])
        server.counters[PUT_MISS] += not results[0]
        return b"STORED\r\n" if results[0] else b"NOT_STORED\r\n"

    return Changing(server.database.served, (change(server.database.records.put_keep, key, data),), stored)


def _get(server: TyrantServer, request: Words) -> Answer:
    parts: list[bytes] = []
    room = server.options.max_reply
    for key in request.words[1:]:
        server.counters[GET] += 1
        value = server.database.look(server.database.records.read, key)
        if value is None:
            server.counters[GET_MISS] += 1
            continue
        room -= len(value)
        if room < 0:
            return SERVER_ERROR
        parts += (b"VALUE %b 0 %d\r\n" % (key, len(value)), value, b"\r\n")
    return b"".join([*parts, b"END\r\n"])


def _delete(server: TyrantServer, request: Words) -> Answer:
    server.counters[OUT] += 1
    if server.database.read_only:
        return SERVER_ERROR
    key = request.words[1]

    def removed(results: list[bool]) -> bytes:
        server.note(tt.Out(key), results[0])
        server.counters[OUT_MISS] += not results[0]
        return b"DELETED\r\n" if results[0] else b"NOT_FOUND\r\n"

    return Changing(server.database.served, (change(server.database.records.remove, key),), removed)


def _adds(sign: int) -> Callable[[TyrantServer, Words], Answer]:
    def add(server: TyrantServer, request: Words) -> Answer:
        server.counters[INDEX["cnt_addint"]] += 1
        if server.database.read_only:
            return SERVER_ERROR
        key, number = request.words[1], sign * parse_integer(request.words[2])

        def added(results: list[bytes | None]) -> bytes:
            value = results[0]
            if value is None:
                return b"NOT_FOUND\r\n"
            server.note(tt.Put(key, value), True)
            return value + b"\r\n"

        wanted = change(_replace, server.database.records, key, b"", lambda old, _: _sum(old, number))
        return Changing(server.database.served, (wanted,), added)

    return add


def _sum(old: bytes, number: int) -> bytes:
    return b"%d" % max(parse_integer(old) + number, 0)


async def _flush_all(server: TyrantServer, request: Words) -> bytes:
    server.counters[INDEX["cnt_vanish"]] += 1
    return b"OK\r\n" if await commands.vanish(server) else SERVER_ERROR


def _stats(server: TyrantServer, request: Words) -> bytes:
    server.counters[INDEX["cnt_stat"]] += 1
    counters, now = server.counters, server.clock()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    count = server.database.count()
    fields: dict[str, object] = {
        "pid": os.getpid(),
        "uptime": int(now - server.started),
        "time": int(now),
        "version": VERSION,
        "pointer_size": struct.calcsize("P") * 8,
        "rusage_user": f"{usage.ru_utime:.6f}",
        "rusage_system": f"{usage.ru_stime:.6f}",
    }
    sets = sum(counters[INDEX[f"cnt_{name}"]] for name in ("put", "putkeep", "putcat", "putshl", "putnr"))
    for name, total, misses in (
        ("set", sets, counters[PUT_MISS]),
        ("delete", counters[OUT], counters[OUT_MISS]),
        ("get", counters[GET], counters[GET_MISS]),
    ):
        fields |= {f"cmd_{name}": total, f"cmd_{name}_hits": total - misses, f"cmd_{name}_misses": misses}
    fields |= {
        "cmd_flush": counters[INDEX["cnt_vanish"]],
        "curr_items": count,
        "total_items": count,
        "bytes": server.database.size(),
        "threads": 1,
    }
    return "".join([*(f"STAT {name} {value}\r\n" for name, value in fields.items()), "END\r\n"]).encode()


def _quit(server: TyrantServer, request: Words) -> bytes:
    raise ProtocolError("the client wants to end")


COMMANDS: Final[dict[bytes, _Command]] = {
    b"set": _Command(_stores(None), 5, "put"),
    b"add": _Command(_add, 5, "putkeep"),
    b"replace": _Command(_stores(lambda old, data: data), 5, "put"),
    b"append": _Command(_stores(lambda old, data: old + data), 5, "put"),
    b"prepend": _Command(_stores(lambda old, data: data + old), 5, "put"),
    b"get": _Command(_get, 2, "get", b"END\r\n"),
    b"gets": _Command(_get, 2, "get", b"END\r\n"),
    b"delete": _Command(_delete, 2, "out"),
    b"incr": _Command(_adds(1), 3, "addint"),
    b"decr": _Command(_adds(-1), 3, "addint"),
    b"flush_all": _Command(_flush_all, 1, "vanish"),
    b"stats": _Command(_stats, 1, "stat", b""),
    b"version": _Command(lambda server, _: f"VERSION {VERSION}\r\n".encode(), 1, "stat"),
    b"quit": _Command(_quit, 1, ""),
}
