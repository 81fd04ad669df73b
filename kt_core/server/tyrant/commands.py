"""What the server does with the commands of the binary protocol.

Source: the Tokyo Tyrant protocol reference, sections 2 and 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from kt_core.database.environment import Write
from kt_core.errors import KTError
from kt_core.server.call import Changing
from kt_core.server.tyrant import functions, replication
from kt_core.server.tyrant.counters import GET_MISS, INDEX, OUT_MISS, PUT_MISS
from kt_core.server.tyrant.database import change
from kt_core.server.tyrant.records import Found, Records, pairs
from kt_core.server.tyrant.stat import counts, stat
from kt_core.wire import tt_messages as tt
from kt_core.wire.tt_messages import Reply, Request

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

Answer: TypeAlias = "Reply | Changing | Coroutine[Any, Any, Reply]"

_AT_ONCE: Final = 512  # keys that are looked for without letting others have their turn
_COUNTS: Final[dict[type[Request], int]] = {kind: INDEX[f"cnt_{kind.__name__.lower()}"] for kind in tt.REPLIES}
_INTEGER_MIN: Final = -(1 << 31)


def answer(server: TyrantServer, request: Request) -> Answer:
    """Return the reply to a request, or what it waits for."""
    kind = type(request)
    server.counters[_COUNTS[kind]] += 1
    if server.mask.forbids(kind.__name__.lower()):
        return _forbidden(server, request)
    return _begin(server, request)


async def perform(server: TyrantServer, request: Request) -> Reply:
    """Do what a request asks for, whoever asks, and return the reply."""
    answer = _begin(server, request)
    if isinstance(answer, Changing):
        outcomes = await server.turn.make(answer.served, answer.changes)
        reply: Reply = failure(request) if isinstance(outcomes[0], KTError) else answer.reply(outcomes)
        return reply
    return await answer if isinstance(answer, Coroutine) else answer


def _begin(server: TyrantServer, request: Request) -> Answer:
    changed = _CHANGES.get(type(request))
    if changed is None:
        return _OTHERS[type(request)](server, request)
    if server.database.read_only:
        return failure(request)
    return _change(server, request, changed)


def failure(request: Request) -> Reply:
    """Return the reply to a request that cannot be done."""
    return _FAILURES.get(tt.REPLIES[type(request)], tt.Failed())


def _forbidden(server: TyrantServer, request: Request) -> Reply:
    if isinstance(request, tt.Stat):
        return tt.Value(counts(server))
    return _FORBIDDEN.get(tt.REPLIES[type(request)], tt.Failed())


_FAILURES: Final[dict[type[Reply] | None, Reply]] = {
    tt.Records: tt.Records((), ok=False),
    tt.Elements: tt.Elements((), ok=False),
}
_FORBIDDEN: Final[dict[type[Reply] | None, Reply]] = {
    tt.Records: tt.Records(()),
    tt.Elements: tt.Elements(()),
    tt.Long: tt.Long(0),
}


# --- Changes of one record


class _Changed(NamedTuple):
    """A method of `Records`, the reply that its result makes, and the counter of its failures."""

    method: str
    reply: Callable[[Any], Reply]
    misses: int | None = None


def _done(done: bool) -> Reply:
    return tt.Done() if done else tt.Failed()


def _sum(total: int | None) -> Reply:
    # The lowest number doubles as the original's mark of an error: it is stored, and not told.
    return tt.Failed() if total is None or total == _INTEGER_MIN else tt.Integer(total)


def _real_sum(total: float | None) -> Reply:
    return tt.Failed() if total is None or total != total else tt.Double.of(total)


_CHANGES: Final[dict[type[Request], _Changed]] = {
    tt.Put: _Changed("write", _done, PUT_MISS),
    tt.PutKeep: _Changed("put_keep", _done, PUT_MISS),
    tt.PutCat: _Changed("put_cat", _done, PUT_MISS),
    tt.PutShl: _Changed("put_shl", _done, PUT_MISS),
    tt.PutNr: _Changed("write", _done, PUT_MISS),
    tt.Out: _Changed("remove", _done, OUT_MISS),
    tt.AddInt: _Changed("add_int", _sum),
    tt.AddDouble: _Changed("add_double", _real_sum),
}


def _change(server: TyrantServer, request: Request, changed: _Changed) -> Changing:
    arguments = (request.key, request.number) if isinstance(request, tt.AddDouble) else request
    database = server.database

    def reply(results: list[Any]) -> Reply:
        said = changed.reply(results[0])
        done = not isinstance(said, tt.Failed)
        if not done and changed.misses is not None:
            server.counters[changed.misses] += 1
        server.note(request, done)
        return said

    return Changing(database.served, (change(getattr(database.records, changed.method), *arguments),), reply)


# --- Everything else


def _get(server: TyrantServer, request: tt.Get) -> Reply:
    value = server.database.look(server.database.records.read, request.key)
    if value is None:
        server.counters[GET_MISS] += 1
        return tt.Failed()
    return tt.Value(value)


def _vsiz(server: TyrantServer, request: tt.VSiz) -> Reply:
    size = server.database.look(server.database.records.size, request.key)
    return tt.Failed() if size is None else tt.Integer(size)


async def _mget(server: TyrantServer, request: tt.MGet) -> Reply:
    records = server.database.records
    if len(request.keys) > _AT_ONCE:
        found = await server.in_thread(server.database.look, _read_all, records, request.keys)
    else:
        found = server.database.look(_read_all, records, request.keys)
    return tt.Records(list(pairs(found)))


def _read_all(txn: Write, records: Records, keys: Sequence[bytes]) -> list[bytes]:
    found = ((key, records.read(txn, key)) for key in keys)
    return records.gather((key, value) for key, value in found if value is not None)


async def _fwmkeys(server: TyrantServer, request: tt.FwmKeys) -> Reply:
    database = server.database
    if 0 <= request.limit <= _AT_ONCE:
        return tt.Elements(database.look(database.records.keys, *request))
    return tt.Elements(await server.in_thread(database.look, database.records.keys, *request))


def _iterinit(server: TyrantServer, request: tt.IterInit) -> Reply:
    server.database.look(server.database.iteration.begin)
    return tt.Done()


def _iternext(server: TyrantServer, request: tt.IterNext) -> Reply:
    item = server.database.look(server.database.iteration.step)
    return tt.Value(item[0]) if item is not None else tt.Failed()


async def call_function(server: TyrantServer, request: tt.Misc) -> Found:
    """Call a function of the database and return what it gives back; it is noted even if the client goes meanwhile."""
    return await server.to_its_end(_call_function(server, request))


async def _call_function(server: TyrantServer, request: tt.Misc) -> Found:
    found: Found = None
    try:
        found = await functions.call(server, request.name, request.arguments)
    finally:
        if not request.options & tt.NO_UPDATE_LOG:
            server.note(request, found is not None)
    return found


async def vanish(server: TyrantServer) -> bool:
    """Remove every record, and note it; tell whether that may be."""
    return await server.to_its_end(_vanish_all(server))


async def _vanish_all(server: TyrantServer) -> bool:
    done = await server.vanish()
    server.note(tt.Vanish(), done)
    return done


async def _misc(server: TyrantServer, request: tt.Misc) -> Reply:
    found = await call_function(server, request)
    return tt.Elements((), False) if found is None else tt.Elements(found)


async def _ext(server: TyrantServer, request: tt.Ext) -> Reply:
    result = await server.call_script(request)
    return tt.Value(result) if result is not None else tt.Failed()


async def _sync(server: TyrantServer, request: tt.Sync) -> Reply:
    done = await server.synchronize()
    server.note(request, done)
    return _done(done)


def _optimize(server: TyrantServer, request: tt.Optimize) -> Reply:
    server.note(request, True)
    return tt.Done()


async def _vanish(server: TyrantServer, request: tt.Vanish) -> Reply:
    return _done(await vanish(server))


async def _copy(server: TyrantServer, request: tt.Copy) -> Reply:
    return _done(await server.copy(request.path))


async def _restore(server: TyrantServer, request: tt.Restore) -> Reply:
    checks = bool(request.options & tt.CHECK_CONSISTENCY)
    return _done(await replication.restore(server, Path(os.fsdecode(request.path)), request.time, checks=checks))


def _setmst(server: TyrantServer, request: tt.SetMst) -> Reply:
    checks = bool(request.options & tt.CHECK_CONSISTENCY)
    server.follow(os.fsdecode(request.host), request.port, since=request.time, checks=checks)
    return tt.Done()


_OTHERS: Final[dict[type[Request], Callable[[TyrantServer, Any], Answer]]] = {
    tt.Get: _get,
    tt.VSiz: _vsiz,
    tt.MGet: _mget,
    tt.FwmKeys: _fwmkeys,
    tt.IterInit: _iterinit,
    tt.IterNext: _iternext,
    tt.Misc: _misc,
    tt.Ext: _ext,
    tt.Sync: _sync,
    tt.Optimize: _optimize,
    tt.Vanish: _vanish,
    tt.Copy: _copy,
    tt.Restore: _restore,
    tt.SetMst: _setmst,
    tt.RNum: lambda server, _: tt.Long(server.database.count()),
    tt.Size: lambda server, _: tt.Long(server.database.size()),
    tt.Stat: lambda server, _: tt.Value(stat(server)),
}
