"""What the server does with requests of the binary protocol.

A record or key of a database that does not exist is passed over, and is no hit. Source: the Kyoto Tycoon protocol
reference, section 1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from kt_core.database.batch import Change
from kt_core.errors import KTError
from kt_core.server.call import Changing, Waiting
from kt_core.server.counters import GET, REMOVE, SCRIPT, SET
from kt_core.server.scripting.states import Result
from kt_core.server.served import ServedDatabase
from kt_core.wire.kt_binary import (
    GET_BULK,
    ONE_PAIR,
    PLAY_SCRIPT,
    REPLY,
    ErrorReply,
    GetBulk,
    PlayScript,
    RemoveBulk,
    RemoveReply,
    Reply,
    Request,
    SetBulk,
    SetReply,
)
from kt_core.wire.kt_items import PAIR, RECORD, Key, Record, pack_pairs

if TYPE_CHECKING:
    from kt_core.server.server import Server

T = TypeVar("T", bound="tuple[Any, ...]")
Answer: TypeAlias = "Reply | bytes | Changing | Waiting | Coroutine[Any, Any, Reply | bytes]"
"""A reply, as a message or packed already, or what it waits for."""

_SLICE: Final = 512  # records of a long request in one turn of the event loop
_DATABASE: Final = itemgetter(0)


def answer(server: Server, request: Request) -> Answer:
    """Return the reply to a request, or what it waits for."""
    return _ANSWERS[type(request)](server, request)


def _slices(items: Sequence[T]) -> list[tuple[int, Sequence[T]]]:
    """Return the items of each database that follow each other, some at a time."""
    if items and len(items) <= _SLICE and len(set(map(_DATABASE, items))) == 1:
        return [(items[0][0], items)]
    slices: list[tuple[int, Sequence[T]]] = []
    for number, group in groupby(items, _DATABASE):
        every = list(group)
        slices += [(number, every[start : start + _SLICE]) for start in range(0, len(every), _SLICE)]
    return slices


def _set_bulk(server: Server, request: SetBulk) -> Answer:
    server.counters[SET] += len(request.records)
    return _change(server, _slices(request.records), _stores, SetReply)


def _remove_bulk(server: Server, request: RemoveBulk) -> Answer:
    keys = len(request.keys)
    server.counters[REMOVE] += keys

    def reply(hits: int) -> Reply:
        server.counters[REMOVE + 1] += keys - hits
        return RemoveReply(hits)

    return _change(server, _slices(request.keys), _removals, reply)


def _stores(served: ServedDatabase, records: Sequence[Record]) -> list[Change]:
    expiries = {xt: served.expiry(xt) for xt in {record[3] for record in records}}
    return served.stores([(key, value, expiries[xt]) for _, key, value, xt in records])


def _removals(served: ServedDatabase, keys: Sequence[Key]) -> list[Change]:
    remove = served.operations.remove
    return [Change(remove, (key,), 0) for _, key in keys]


def _change(
    server: Server,
    slices: list[tuple[int, Sequence[T]]],
    changes: Callable[[ServedDatabase, Sequence[T]], list[Change]],
    reply: Callable[[int], Reply],
) -> Answer:
    if len(slices) == 1:
        number, items = slices[0]
        served = server.find(number)
        if served is not None:
            return Changing(served, changes(served, items), lambda results: reply(_hits(results)))
    return _change_slices(server, slices, changes, reply)


async def _change_slices(
    server: Server,
    slices: list[tuple[int, Sequence[T]]],
    changes: Callable[[ServedDatabase, Sequence[T]], list[Change]],
    reply: Callable[[int], Reply],
) -> Reply:
    hits = 0
    for number, items in slices:
        served = server.find(number)
        if served is not None:
            outcomes = await server.turn.make(served, changes(served, items))
            if any(isinstance(outcome, KTError) for outcome in outcomes):
                return ErrorReply()
            hits += _hits(outcomes)
    return reply(hits)


def _hits(results: list[int]) -> int:
    return sum(results)  # of a removal whether it was one, of stores how many they were


def _get_bulk(server: Server, request: GetBulk) -> Answer:
    server.counters[GET] += len(request.keys)
    slices = _slices(request.keys)
    if len(slices) > 1:
        return _get_slices(server, slices)
    parts: list[bytes] = []
    for number, keys in slices:
        _find(server, number, keys, parts)
    return _found_reply(parts)


async def _get_slices(server: Server, slices: list[tuple[int, Sequence[Key]]]) -> bytes:
    parts: list[bytes] = []
    for number, keys in slices:
        _find(server, number, keys, parts)
        await asyncio.sleep(0)  # others' turn
    return _found_reply(parts)


def _find(server: Server, number: int, keys: Sequence[Key], parts: list[bytes]) -> None:
    """Add the records found to the parts of a reply, three each; packed here, they cost half."""
    served = server.find(number)
    wanted = [key for _, key in keys]
    before = len(parts)
    if served is not None:
        xt, pack = served.xt, RECORD.pack
        room = server.options.max_reply - sum(map(len, parts))
        for key, found in zip(wanted, served.database.find_all(wanted, room), strict=True):
            if found is not None:
                value, expiry = found
                parts += (pack(number, len(key), len(value), xt(expiry)), key, value)
    server.counters[GET + 1] += len(keys) - (len(parts) - before) // 3


def _found_reply(parts: list[bytes]) -> bytes:
    return REPLY.pack(GET_BULK, len(parts) // 3) + b"".join(parts)


def _play_script(server: Server, request: PlayScript) -> Answer:
    server.counters[SCRIPT] += 1
    if server.scripts is None:
        return ErrorReply()
    return server.scripts.call(request.name, request.records, script_reply)


def script_reply(result: Result) -> Reply | bytes:
    """Return the reply to a call of a script."""
    code, given, _ = result
    if code:
        return ErrorReply()
    if len(given) == 2:
        name, value = given
        head: bytes = ONE_PAIR.pack(PLAY_SCRIPT, 1, len(name), len(value))
        return head + name + value
    if len(given) == 4 and given[0] != given[2]:  # a fifth of what the general way takes
        name, value, other, last = given if given[0] < given[2] else (*given[2:], *given[:2])
        head = ONE_PAIR.pack(PLAY_SCRIPT, 2, len(name), len(value))
        return b"".join((head, name, value, PAIR.pack(len(other), len(last)), other, last))
    values = result.values
    return pack_pairs(REPLY.pack(PLAY_SCRIPT, len(values)), sorted(values.items()))


_ANSWERS: Final[dict[type[Request], Callable[[Server, Any], Answer]]] = {
    SetBulk: _set_bulk,
    RemoveBulk: _remove_bulk,
    GetBulk: _get_bulk,
    PlayScript: _play_script,
}
