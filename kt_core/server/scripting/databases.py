"""What a script can do with the server's databases: the functions behind the methods of `kt.db`.

What fails returns the method's own sign of failure, and is remembered as the database's last error.
Source: the Kyoto Tycoon protocol reference, sections 3 to 6 and 10.3.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from math import inf, isinf, isnan
from typing import Any, Final, TypeAlias, TypeVar

from kt_core.database import Origin
from kt_core.errors import InvalidInput, KTError
from kt_core.number import INTEGER_MAX, INTEGER_MIN
from kt_core.server.scripting.cursors import METHODS, Cursors, ScriptCursor
from kt_core.server.scripting.gates import Gate, Unsuited
from kt_core.server.scripting.problems import (
    BAD_REGEX,
    CONFLICT,
    DUPLICATE,
    NO_NUMBER,
    NO_RECORD,
    NONE,
    TOO_LARGE,
    UNSUPPORTED,
    Problem,
    to_problem,
)
from kt_core.server.scripting.running import Running
from kt_core.server.scripting.texts import to_integer
from kt_core.server.scripting.visitors import Visitors

T = TypeVar("T")
Search: TypeAlias = "Callable[..., list[bytes]]"
"""Search all keys of a database elsewhere, and wait for it."""

_OVERHEAD: Final = 64  # bytes of an element of a table, about
_ORIGINS: Final[dict[int, Origin]] = {INTEGER_MAX: Origin.SET, INTEGER_MIN: Origin.TRY}
_KEYS: Final = 16  # that are found at the cost of one operation


class _Unopened:
    """What a script has that makes a database of its own; nothing can be done with it."""

    def __getattr__(self, name: str) -> Any:
        raise InvalidInput("not opened")


class Databases:
    """The databases as one interpreter has them; it is given up to `largest` bytes at a time."""

    def __init__(
        self,
        gates: Sequence[Gate],
        running: Running,
        visitors: Visitors,
        table: Callable[[Any], Any],
        search: Search,
        largest: int,
    ) -> None:
        self._gates: dict[object, Gate | _Unopened] = {gate.number: gate for gate in gates}
        self._gates[-1] = _Unopened()
        self._visitors = visitors
        self._running = running
        self._table = table
        self._search = search
        self._largest = largest
        self._problems: dict[int, Problem] = {}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the functions by the names that the environment's Lua has for them."""
        ours = {name: self._bound(self, method, failed) for name, (method, failed) in _METHODS.items()}
        of_cursors = Cursors(self._visitors, self._largest)
        theirs = {name: self._bound(of_cursors, method, failed) for name, (method, failed) in METHODS.items()}
        return {**ours, **theirs, "error": self.problem, "cursor": self.cursor}

    def _bound(self, owner: Databases | Cursors, method: Callable[..., Any], failed: Any) -> Callable[..., Any]:
        """Return a method as a function of a database's number, or of a cursor, and arguments."""
        gates, running = self._gates, self._running

        def call(which: Any, *arguments: Any) -> Any:
            running.left -= 1
            if running.left < 0:
                running.refuse()
            try:
                result = method(owner, gates.get(which) or which, *arguments)
            except KTError as error:
                if error is running.doom:
                    raise
                result = to_problem(error)
            except Exception as error:
                running.end_with(error)  # which the script may catch
                raise
            if type(result) is Problem:
                self._problems[which if isinstance(which, int) else which.gate.number] = result
                return failed
            return result

        return call

    def problem(self, number: int) -> tuple[int, bytes]:
        """Return code and text of a database's last error."""
        return self._problems.get(number, NONE)

    def cursor(self, number: int) -> ScriptCursor:
        """Return a cursor on a database, which stands nowhere yet."""
        gate = self._gates[number]
        if not isinstance(gate, Gate):
            raise InvalidInput("not opened")
        return ScriptCursor(gate)

    # -- records -------------------------------------------------------------------------------------------

    def _set(self, gate: Gate, key: bytes, value: bytes, xt: float | None = None) -> Any:
        gate.database.set(key, value, gate.expiry(xt))
        return True

    def _add(self, gate: Gate, key: bytes, value: bytes, xt: float | None) -> Any:
        return gate.database.add(key, value, gate.expiry(xt)) or DUPLICATE

    def _replace(self, gate: Gate, key: bytes, value: bytes, xt: float | None) -> Any:
        return gate.database.replace(key, value, gate.expiry(xt)) or NO_RECORD

    def _append(self, gate: Gate, key: bytes, value: bytes, xt: float | None) -> Any:
        gate.database.append(key, value, gate.expiry(xt))
        return True

    def _get(self, gate: Gate, key: bytes) -> Any:
        found = gate.find(key)
        if found is None:
            return NO_RECORD
        value, expiry = found
        return (value, gate.xt(expiry)) if len(value) <= self._largest else TOO_LARGE

    def _check(self, gate: Gate, key: bytes) -> Any:
        found = gate.database.check(key)
        return found[0] if found is not None else NO_RECORD

    def _remove(self, gate: Gate, key: bytes) -> Any:
        return gate.database.remove(key) or NO_RECORD

    def _seize(self, gate: Gate, key: bytes) -> Any:
        record = gate.database.seize(key)
        if record is None:
            return NO_RECORD
        return (record.value, gate.xt(record.expiry)) if len(record.value) <= self._largest else TOO_LARGE

    def _increment(self, gate: Gate, key: bytes, number: float, origin: float, xt: float | None) -> Any:
        start = to_integer(origin) if origin != inf else INTEGER_MAX
        total = gate.database.increment(key, to_integer(number), _ORIGINS.get(start, start), gate.expiry(xt))
        return float(total) if total is not None and total != INTEGER_MIN else NO_NUMBER

    def _increment_double(self, gate: Gate, key: bytes, number: float, origin: float, xt: float | None) -> Any:
        named = (Origin.SET if origin > 0 else Origin.TRY) if isinf(origin) else float(origin)
        total = gate.database.increment_double(key, float(number), named, gate.expiry(xt))
        return total if total is not None and not isnan(total) else NO_NUMBER

    def _cas(self, gate: Gate, key: bytes, old: bytes | None, new: bytes | None, xt: float | None) -> Any:
        return gate.database.cas(key, old, new, gate.expiry(xt)) or CONFLICT

    # -- many records --------------------------------------------------------------------------------------

    def _set_bulk(self, gate: Gate, records: Any, xt: float | None, atomic: bool) -> Any:
        expiry = gate.expiry(xt)
        items = [(key, value, expiry) for key, value in sorted(records.items())]
        self._running.spend(len(items) // _KEYS)
        return gate.database.set_bulk(items, atomic=atomic)

    def _remove_bulk(self, gate: Gate, keys: Any, atomic: bool) -> Any:
        every = list(keys.values())
        self._running.spend(len(every) // _KEYS)
        return gate.database.remove_bulk(every, atomic=atomic)

    def _get_bulk(self, gate: Gate, keys: Any, atomic: bool) -> Any:
        every = list(keys.values())
        self._running.spend(len(every) // _KEYS)
        found = gate.database.get_bulk(every)
        return self._table(dict(sorted(found.items()))) if self._fit(found.values()) else TOO_LARGE

    def _match_prefix(self, gate: Gate, prefix: bytes, most: float) -> Any:
        found: list[bytes] = []
        for key in islice(gate.database.walk(prefix), _limit(most)):
            found.append(key)
            if len(found) % _KEYS == 0:
                self._running.spend(1)
        return self._table(found) if self._fit(found) else TOO_LARGE

    def _match_regex(self, gate: Gate, pattern: bytes, most: float) -> Any:
        return self._match(gate, "match_regex", pattern, to_integer(most))

    def _match_similar(self, gate: Gate, origin: bytes, distance: float, utf: bool, most: float) -> Any:
        if distance < 0:  # any: the original then measures none
            return self._match_prefix(gate, b"", most)
        return self._match(gate, "match_similar", origin, to_integer(distance), utf, to_integer(most))

    def _match(self, gate: Gate, method: str, *arguments: Any) -> Any:
        self._take_time(gate)
        try:
            found = self._search(gate.served.database, method, *arguments)
        except InvalidInput:
            return BAD_REGEX
        return self._table(found) if self._fit(found) else TOO_LARGE

    def _fit(self, texts: Collection[bytes]) -> bool:
        """Tell whether the interpreter can be given texts."""
        return sum(map(len, texts)) + len(texts) * _OVERHEAD <= self._largest

    def _take_time(self, gate: Gate) -> None:
        """See to it that the call is in a thread, and holds nothing."""
        if not gate.is_open:
            raise Unsuited(None)
        if gate.is_inside or gate.is_held:
            raise InvalidInput("neither a visitor nor a transaction can do this")

    # -- visitors ------------------------------------------------------------------------------------------

    def _accept(self, gate: Gate, key: bytes, visitor: Any, writable: bool) -> Any:
        visitors = self._visitors
        if writable:
            visitors.hold(gate, visitors.show, key, visitor, True)
        else:
            visitors.show_only(gate, key, visitor)
        return True

    def _accept_bulk(self, gate: Gate, keys: Any, visitor: Any, writable: bool) -> Any:
        visitors, every = self._visitors, list(keys.values())
        if writable:
            visitors.hold(gate, visitors.show_all, every, visitor)
        else:
            for key in every:
                self._running.spend(1)
                visitors.show_only(gate, key, visitor)
        return True

    def _iterate(self, gate: Gate, visitor: Any, writable: bool) -> Any:
        visitors = self._visitors
        for key in gate.database.keys():  # noqa: SIM118 - no dictionary
            self._running.spend(1)
            if writable:
                visitors.hold(gate, visitors.show, key, visitor, False)
            else:
                visitors.show_only(gate, key, visitor, absent=False)
        return True

    def _transaction(self, gate: Gate, body: Callable[[], bool]) -> Any:
        self._take_time(gate)
        self._visitors.transact(gate, body)
        return True

    # -- the database --------------------------------------------------------------------------------------

    def _count(self, gate: Gate) -> Any:
        return gate.database.count()

    def _size(self, gate: Gate) -> Any:
        return gate.database.size()

    def _path(self, gate: Gate) -> Any:
        return gate.served.spec.path.encode()

    def _status(self, gate: Gate) -> Any:
        return self._table(dict(sorted(gate.served.status(gate.database).items())))

    def _clear(self, gate: Gate) -> Any:
        gate.database.clear()
        gate.served.clears += 1
        return True

    def _synchronize(self, gate: Gate, process: Callable[..., bool] | None) -> Any:
        self._take_time(gate)
        gate.served.environment.synchronize()
        return process is None or self._process(gate, process)

    def _occupy(self, gate: Gate, process: Callable[..., bool] | None) -> Any:
        return process is None or self._visitors.hold(gate, lambda gate, txn: self._process(gate, process))

    def _process(self, gate: Gate, process: Callable[..., bool]) -> bool:
        done = process(self._path(gate), gate.database.count(), gate.database.size())
        self._running.spend(0)
        return done

    def _refuse(self, gate: Gate) -> Any:
        return UNSUPPORTED


def _limit(most: float) -> int | None:
    return to_integer(most) if most >= 0 else None


_METHODS: Final[dict[str, tuple[Callable[..., Any], Any]]] = {
    "set": (Databases._set, False),
    "add": (Databases._add, False),
    "replace": (Databases._replace, False),
    "append": (Databases._append, False),
    "get": (Databases._get, None),
    "check": (Databases._check, -1),
    "remove": (Databases._remove, False),
    "seize": (Databases._seize, None),
    "increment": (Databases._increment, None),
    "increment_double": (Databases._increment_double, None),
    "cas": (Databases._cas, False),
    "set_bulk": (Databases._set_bulk, -1),
    "remove_bulk": (Databases._remove_bulk, -1),
    "get_bulk": (Databases._get_bulk, None),
    "match_prefix": (Databases._match_prefix, None),
    "match_regex": (Databases._match_regex, None),
    "match_similar": (Databases._match_similar, None),
    "accept": (Databases._accept, False),
    "accept_bulk": (Databases._accept_bulk, False),
    "iterate": (Databases._iterate, False),
    "transaction": (Databases._transaction, False),
    "count": (Databases._count, -1),
    "size": (Databases._size, -1),
    "path": (Databases._path, None),
    "status": (Databases._status, None),
    "clear": (Databases._clear, False),
    "synchronize": (Databases._synchronize, False),
    "occupy": (Databases._occupy, False),
    "refuse": (Databases._refuse, False),
}
