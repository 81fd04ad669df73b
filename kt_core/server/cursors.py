"""The procedures of cursors, which belong to a connection and have numbers that the client chooses.

Source: the Kyoto Tycoon protocol reference, sections 2.6, 3.5 and 6.3.
"""

from __future__ import annotations

from typing import Final

from kt_core.database import Cursor, Database, Entry
from kt_core.database.batch import Change
from kt_core.server.call import OK, Answer, Call, Refused, changing
from kt_core.server.served import ServedDatabase
from kt_core.wire.kt_rpc import Failure, RpcReply, not_implemented

_MOST: Final = 1024  # of one connection


class ServedCursor:
    """A cursor on a database; it stands nowhere any more once the database was cleared."""

    def __init__(self, served: ServedDatabase, database: Database) -> None:
        self.served = served
        self._database = database
        self._place()

    def _place(self) -> None:
        self._cursor = self._database.cursor()
        self._clears = self.served.clears

    @property
    def cursor(self) -> Cursor:
        """The position."""
        if self._clears != self.served.clears:
            self._place()
        return self._cursor


def _own(call: Call) -> ServedCursor:
    """Return the cursor that a call means, a new one if it is the first to name it."""
    number = call.request.cursor
    if number is None:
        raise Refused(Failure.NO_CURSOR)
    found = call.cursors.get(number)
    if found is None:
        if len(call.cursors) >= _MOST:
            raise Refused(Failure.NO_CURSOR)
        try:
            served = call.served
            found = call.cursors[number] = ServedCursor(served, served.database)
        except Refused:
            raise Refused(Failure.NO_CURSOR) from None
    return found


def jump(call: Call) -> Answer:
    own, key = _own(call), call.parameters.get(b"key")
    exact = key is not None and not own.served.ordered
    return _moved(own.cursor.jump_to(key) if exact and key is not None else own.cursor.jump(key))


def jump_back(call: Call) -> Answer:
    own = _own(call)
    if not own.served.ordered:
        return Failure.UNORDERED.reply
    return _moved(own.cursor.jump_back(call.parameters.get(b"key")))


def step(call: Call) -> Answer:
    return _moved(_own(call).cursor.step())


def step_back(call: Call) -> Answer:
    own = _own(call)
    if not own.served.ordered:
        return Failure.UNORDERED.reply
    return _moved(own.cursor.step_back())


def set_value(call: Call) -> Answer:
    own, value = _own(call), call.need(b"value")
    cursor = own.cursor
    change = Change(cursor.put_value, (value, call.expiry(own.served), b"step" in call.parameters), len(value))
    return changing(own.served, change, lambda place: _moved(cursor.stand(place) is not None))


def remove(call: Call) -> Answer:
    own = _own(call)
    cursor = own.cursor
    return changing(own.served, Change(cursor.take, (), 0), lambda place: _moved(cursor.stand(place) is not None))


def seize(call: Call) -> Answer:
    own = _own(call)
    cursor = own.cursor
    return changing(own.served, Change(cursor.take, (), 0), lambda place: _told(own, cursor.stand(place)))


def get(call: Call) -> Answer:
    own = _own(call)
    return _told(own, own.cursor.get(step=b"step" in call.parameters))


def get_key(call: Call) -> Answer:
    entry = _own(call).cursor.get(step=b"step" in call.parameters)
    return Failure.NO_RECORD.reply if entry is None else RpcReply(200, {b"key": entry.key})


def get_value(call: Call) -> Answer:
    entry = _own(call).cursor.get(step=b"step" in call.parameters)
    return Failure.NO_RECORD.reply if entry is None else RpcReply(200, {b"value": entry.record.value})


def delete(call: Call) -> Answer:
    number = call.request.cursor
    if number is not None and call.cursors.pop(number, None) is not None:
        return OK
    _own(call)  # as the original does: what is deleted before it exists, exists from now on
    return not_implemented("cur_delete")


def _moved(done: bool) -> RpcReply:
    return OK if done else Failure.NO_RECORD.reply


def _told(own: ServedCursor, entry: Entry | None) -> RpcReply:
    if entry is None:
        return Failure.NO_RECORD.reply
    key, record = entry
    return RpcReply(200, {b"key": key, b"value": record.value, **own.served.told_xt(record.expiry)})
