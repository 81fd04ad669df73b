"""What the server does with requests of its REST interface: records under paths.

Source: the Kyoto Tycoon protocol reference, section 8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kt_core.database.batch import Change
from kt_core.server.call import Changing
from kt_core.server.counters import GET, REMOVE, SET
from kt_core.server.served import ServedDatabase
from kt_core.wire import kt_rest as wire
from kt_core.wire.kt_rest import RestReply, RestRequest

if TYPE_CHECKING:
    from kt_core.server.server import Server


def answer(server: Server, request: RestRequest, target: bytes) -> RestReply | Changing:
    """Return the reply to a request, or what it waits for; `target` is its path as it was sent."""
    served = server.find(request.database)
    if served is None:
        return wire.NO_DATABASE
    method = _METHODS.get(request.method)
    if method is None:
        return wire.NOT_IMPLEMENTED
    return method(server, served, request, target)


def _get(server: Server, served: ServedDatabase, request: RestRequest, _: bytes) -> RestReply:
    server.counters[GET] += 1
    record = served.database.get_record(request.key)
    if record is None:
        server.counters[GET + 1] += 1
        return wire.NO_RECORD
    return RestReply(200, record.value, served.xt(record.expiry))


def _put(server: Server, served: ServedDatabase, request: RestRequest, target: bytes) -> Changing:
    server.counters[SET] += 1
    operations = served.operations
    key, value, expiry = request.key, request.value, served.expiry(request.xt)
    operation, refusal = {
        "set": (operations.put, wire.NOT_ADDED),
        "add": (operations.add, wire.NOT_ADDED),
        "replace": (operations.replace, wire.NOT_REPLACED),
    }[request.mode]

    def reply(results: list[bool | None]) -> RestReply:
        if results[0] is False:
            server.counters[SET + 1] += 1
            return refusal
        return wire.stored(server.port, target)

    return Changing(served, (Change(operation, (key, value, expiry), len(key) + len(value)),), reply)


def _delete(server: Server, served: ServedDatabase, request: RestRequest, _: bytes) -> Changing:
    server.counters[REMOVE] += 1

    def reply(results: list[bool]) -> RestReply:
        server.counters[REMOVE + 1] += not results[0]
        return wire.DELETED if results[0] else wire.NO_RECORD

    return Changing(served, (Change(served.operations.remove, (request.key,), 0),), reply)


_METHODS: Final[dict[bytes, Callable[[Server, ServedDatabase, RestRequest, bytes], RestReply | Changing]]] = {
    b"GET": _get,
    b"HEAD": _get,
    b"PUT": _put,
    b"DELETE": _delete,
}
