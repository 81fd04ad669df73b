"""The procedures that clients call on records and databases, by name.

Source: the Kyoto Tycoon protocol reference, sections 2.6, 3.4, 4, 5 and 6.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, NamedTuple

from kt_core.database import Origin, Record
from kt_core.database.batch import Change
from kt_core.errors import InvalidInput, KTError
from kt_core.number import INTEGER_MAX, INTEGER_MIN
from kt_core.server import cursors, replicating
from kt_core.server.call import OK, Answer, Call, changing
from kt_core.server.counters import GET, MISC, REMOVE, SCRIPT, SET
from kt_core.server.report import report
from kt_core.server.scripting.states import NO_PROCEDURE, Result
from kt_core.server.served import ServedDatabase
from kt_core.wire.kt_rpc import Failure, RpcReply, not_implemented, script_failed
from kt_core.wire.numbers import parse_integer, parse_real

_SLICE = 512  # keys looked at in one turn of the event loop


class Procedure(NamedTuple):
    """What answers a call, and which counts it goes into."""

    answer: Callable[[Call], Answer]
    counts: tuple[int, ...] = ()


# --- One record


def _set(call: Call) -> Answer:
    served, key, value = call.served, call.need(b"key"), call.need(b"value")
    rows = served.operations.prepare(key, value, call.expiry(served))
    return changing(served, Change(served.operations.store, rows, len(rows[1])), _done)


def _add(call: Call) -> Answer:
    return _store(call, call.served.operations.add, Failure.DUPLICATE)


def _replace(call: Call) -> Answer:
    return _store(call, call.served.operations.replace, Failure.NO_RECORD)


def _append(call: Call) -> Answer:
    return _store(call, call.served.operations.append, None)


def _store(call: Call, operation: Callable[..., Any], failure: Failure | None) -> Answer:
    served, key, value = call.served, call.need(b"key"), call.need(b"value")
    change = Change(operation, (key, value, call.expiry(served)), len(key) + len(value))
    return changing(served, change, _done if failure is None else _or(failure))


def _increment(call: Call) -> Answer:
    served, key, number = call.served, call.need(b"key"), parse_integer(call.need(b"num"))
    origin = _origin(call, parse_integer, INTEGER_MAX, INTEGER_MIN)
    change = Change(served.operations.increment, (key, number, origin, call.expiry(served), False, True), len(key) + 8)
    return changing(served, change, _sum)


def _increment_double(call: Call) -> Answer:
    served, key, number = call.served, call.need(b"key"), parse_real(call.need(b"num"))
    origin = _origin(call, parse_real, math.inf, -math.inf)
    change = Change(served.operations.increment_double, (key, number, origin, call.expiry(served)), len(key) + 16)
    return changing(served, change, _real_sum)


def _origin(call: Call, parse: Callable[[bytes], Any], set_mark: float, try_mark: float) -> Any:
    text = call.parameters.get(b"orig", b"")
    if text in (b"set", b"try"):
        return Origin(text.decode())
    number = parse(text)
    return {set_mark: Origin.SET, try_mark: Origin.TRY}.get(number, number)


def _sum(total: int | None) -> RpcReply:
    # The lowest number doubles as the original's mark of an error: it is stored, and not told.
    if total is None or total == INTEGER_MIN:
        return Failure.NOT_A_NUMBER.reply
    return RpcReply(200, {b"num": b"%d" % total})


def _real_sum(total: float | None) -> RpcReply:
    if total is None or math.isnan(total):
        return Failure.NOT_A_NUMBER.reply
    return RpcReply(200, {b"num": b"%f" % total})


def _cas(call: Call) -> Answer:
    served, key = call.served, call.need(b"key")
    old, new = call.parameters.get(b"oval"), call.parameters.get(b"nval")
    change = Change(served.operations.cas, (key, old, new, call.expiry(served), False), len(key) + len(new or b""))
    return changing(served, change, _or(Failure.CONFLICT))


def _remove(call: Call) -> Answer:
    served, key = call.served, call.need(b"key")
    return changing(served, Change(served.operations.remove, (key,), 0), _or(Failure.NO_RECORD))


def _get(call: Call) -> Answer:
    served = call.served
    record = served.database.get_record(call.need(b"key"))
    return _found(served, record)


def _check(call: Call) -> Answer:
    served = call.served
    found = served.database.check(call.need(b"key"))
    if found is None:
        return Failure.NO_RECORD.reply
    size, expiry = found
    return RpcReply(200, {b"vsiz": b"%d" % size, **served.told_xt(expiry)})


def _seize(call: Call) -> Answer:
    served, key = call.served, call.need(b"key")
    return changing(served, Change(served.operations.seize, (key,), 0), lambda record: _found(served, record))


def _found(served: ServedDatabase, record: Record | None) -> RpcReply:
    if record is None:
        return Failure.NO_RECORD.reply
    return RpcReply(200, {b"value": record.value, **served.told_xt(record.expiry)})


def _done(_: object) -> RpcReply:
    return OK


def _or(failure: Failure) -> Callable[[object], RpcReply]:
    return lambda done: OK if done else failure.reply


# --- Many records


async def _set_bulk(call: Call) -> RpcReply:
    served, records, expiry = call.served, call.marked(), call.expiry(call.served)
    call.server.counters[SET] += len(records)
    items = [(key, value, expiry) for key, value in records.items()]
    if b"atomic" in call.parameters:
        rows = served.operations.prepare_all(items)
        await _make(call, [Change(served.operations.store_rows, (rows,), sum(len(raw) for _, raw in rows))])
    else:
        await _make(call, served.stores(items))
    return RpcReply(200, {b"num": b"%d" % len(records)})


async def _remove_bulk(call: Call) -> RpcReply:
    served, keys = call.served, list(call.marked())
    call.server.counters[REMOVE] += len(keys)
    if b"atomic" in call.parameters:
        (removed,) = await _make(call, [Change(served.operations.remove_keys, (keys,), 0)])
    else:
        removed = sum(await _make(call, [Change(served.operations.remove, (key,), 0) for key in keys]))
    call.server.counters[REMOVE + 1] += len(keys) - removed
    return RpcReply(200, {b"num": b"%d" % removed})


def _get_bulk(call: Call) -> Answer:
    served, keys = call.served, list(call.marked())
    records = served.database.find_all(keys, call.server.options.max_reply)
    found = {b"_" + key: record[0] for key, record in zip(keys, records, strict=True) if record is not None}
    call.server.counters[GET] += len(keys)
    call.server.counters[GET + 1] += len(keys) - len(found)
    return RpcReply(200, {**found, b"num": b"%d" % len(found)})


async def _make(call: Call, changes: list[Change]) -> list[Any]:
    """Make changes, some in each turn of the event loop; raise the first error that one of them ended in."""
    outcomes: list[Any] = []
    for start in range(0, len(changes), _SLICE):
        outcomes += await call.server.turn.make(call.served, changes[start : start + _SLICE])
    for outcome in outcomes:
        if isinstance(outcome, KTError):
            raise outcome
    return outcomes


# --- Finding keys


async def _match_prefix(call: Call) -> RpcReply:
    served, prefix, limit = call.served, call.need(b"prefix"), call.limit()
    wanted = served.database.walk(prefix)
    if limit >= 0:
        wanted = islice(wanted, limit)
    found: list[bytes] = []
    while some := list(islice(wanted, _SLICE)):
        found += some
        await asyncio.sleep(0)  # others' turn
    return _ranked(found)


async def _match_regex(call: Call) -> RpcReply:
    served, pattern, limit = call.served, call.need(b"regex"), call.limit()
    try:
        return _ranked(await call.server.search.run(served.database, "match_regex", pattern, limit))
    except InvalidInput:
        return Failure.BAD_REGEX.reply


async def _match_similar(call: Call) -> RpcReply:
    served, origin, limit = call.served, call.need(b"origin"), call.limit()
    distance = parse_integer(call.parameters.get(b"range", b"1"))
    utf = b"utf" in call.parameters
    return _ranked(await call.server.search.run(served.database, "match_similar", origin, distance, utf, limit))


def _ranked(keys: list[bytes]) -> RpcReply:
    ranks = {b"_" + key: b"%d" % rank for rank, key in enumerate(keys)}
    return RpcReply(200, {**ranks, b"num": b"%d" % len(keys)})


# --- Databases and the server


def _void(call: Call) -> Answer:
    return OK


def _echo(call: Call) -> Answer:
    return RpcReply(200, call.parameters)


def _report(call: Call) -> Answer:
    return RpcReply(200, report(call.server))


def _status(call: Call) -> Answer:
    return RpcReply(200, call.served.status())


def _clear(call: Call) -> Answer:
    served = call.served

    def reply(_: object) -> RpcReply:
        served.clears += 1
        return OK

    return changing(served, Change(served.operations.clear, (), 0), reply)


async def _vacuum(call: Call) -> RpcReply:
    await call.server.in_thread(call.served.vacuum)
    return OK


async def _synchronize(call: Call) -> RpcReply:
    served, command = call.served, call.parameters.get(b"command", b"")
    await call.server.in_thread(served.environment.synchronize)
    if command and not await call.server.run_on(served, command):
        return Failure.COMMAND_FAILED.reply
    return OK


def _play_script(call: Call) -> Answer:
    scripts, name = call.server.scripts, call.parameters.get(b"name", b"")
    if scripts is None:
        return Failure.NO_SCRIPTS.reply
    if not (name.isascii() and name.isalnum()):
        return Failure.INVALID.reply
    call.server.counters[SCRIPT] += 1
    return scripts.call(name, list(call.marked().items()), _script_reply)


def _script_reply(result: Result) -> RpcReply:
    if result.code == NO_PROCEDURE:
        return Failure.NO_SCRIPT.reply
    if result.code:
        return script_failed(result.code)
    return RpcReply(200, {b"_" + key: value for key, value in result.values.items()})


def _unknown(call: Call) -> Answer:
    return not_implemented(call.request.procedure)


PROCEDURES: Final[dict[str, Procedure]] = {
    "void": Procedure(_void),
    "echo": Procedure(_echo),
    "report": Procedure(_report),
    "play_script": Procedure(_play_script),
    "tune_replication": Procedure(replicating.tune),
    "ulog_list": Procedure(replicating.files),
    "ulog_remove": Procedure(replicating.remove),
    "status": Procedure(_status, (MISC,)),
    "clear": Procedure(_clear, (MISC,)),
    "synchronize": Procedure(_synchronize, (MISC,)),
    "vacuum": Procedure(_vacuum, (MISC,)),
    "set": Procedure(_set, (SET,)),
    "add": Procedure(_add, (SET,)),
    "replace": Procedure(_replace, (SET,)),
    "append": Procedure(_append, (SET,)),
    "increment": Procedure(_increment, (SET,)),
    "increment_double": Procedure(_increment_double, (SET,)),
    "cas": Procedure(_cas, (SET,)),
    "remove": Procedure(_remove, (REMOVE,)),
    "get": Procedure(_get, (GET,)),
    "check": Procedure(_check, (GET,)),
    "seize": Procedure(_seize, (REMOVE, GET)),
    "set_bulk": Procedure(_set_bulk),
    "remove_bulk": Procedure(_remove_bulk),
    "get_bulk": Procedure(_get_bulk),
    "match_prefix": Procedure(_match_prefix, (MISC,)),
    "match_regex": Procedure(_match_regex, (MISC,)),
    "match_similar": Procedure(_match_similar, (MISC,)),
    "cur_jump": Procedure(cursors.jump, (MISC,)),
    "cur_jump_back": Procedure(cursors.jump_back, (MISC,)),
    "cur_step": Procedure(cursors.step, (MISC,)),
    "cur_step_back": Procedure(cursors.step_back, (MISC,)),
    "cur_set_value": Procedure(cursors.set_value, (SET,)),
    "cur_remove": Procedure(cursors.remove, (REMOVE,)),
    "cur_get_key": Procedure(cursors.get_key, (GET,)),
    "cur_get_value": Procedure(cursors.get_value, (GET,)),
    "cur_get": Procedure(cursors.get, (GET,)),
    "cur_seize": Procedure(cursors.seize, (GET,)),
    "cur_delete": Procedure(cursors.delete, (MISC,)),
}
UNKNOWN: Final = Procedure(_unknown)
"""What answers a call of any other name."""
