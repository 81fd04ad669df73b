"""One call of a procedure: what it asks for, and the forms its answer can take."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from kt_core.database.batch import Change
from kt_core.errors import CounterOverflow, Damaged, InvalidInput, KTError, NotACounter, NotSupported, StoreFull
from kt_core.server.served import ServedDatabase
from kt_core.wire.kt_rpc import Failure, RpcReply, RpcRequest, parse_database
from kt_core.wire.numbers import parse_integer, parse_xt

if TYPE_CHECKING:
    from kt_core.server.cursors import ServedCursor
    from kt_core.server.server import Server

OK: Final = RpcReply()


class Refused(Exception):
    """The call cannot be made; it counts as none."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


class Changing(NamedTuple):
    """An answer that waits for changes; `reply` makes it of their results, unless one of them ends in an error."""

    served: ServedDatabase
    changes: Sequence[Change]
    reply: Callable[[list[Any]], Any]


class Waiting:
    """An answer that comes when it is there."""

    @abstractmethod
    def begin(self, done: Callable[[Any], None]) -> None:
        """See to it that `done` is called with the answer, or the `KTError` it ended in, in the event loop."""

    @abstractmethod
    def cancel(self) -> object:
        """Take note that nobody waits any more."""

    @abstractmethod
    def doubt(self) -> None:
        """Take note that perhaps nobody does: the client sends nothing more."""


def changing(served: ServedDatabase, change: Change, reply: Callable[[Any], RpcReply]) -> Changing:
    """Return the answer that waits for one change."""
    return Changing(served, (change,), lambda results: reply(results[0]))


Answer: TypeAlias = "RpcReply | Changing | Waiting | Coroutine[Any, Any, RpcReply]"


class Call:
    """A call that a client makes on one of the server's databases."""

    __slots__ = ("cursors", "parameters", "request", "server")

    def __init__(self, server: Server, cursors: dict[int, ServedCursor], request: RpcRequest) -> None:
        self.server = server
        self.cursors = cursors
        self.request = request
        self.parameters = request.parameters

    @property
    def served(self) -> ServedDatabase:
        """The database that the call means; `Refused` if there is none."""
        name = self.parameters.get(b"DB")
        served = self.server.databases[0] if name is None else self.server.find(parse_database(name))
        if served is None:
            raise Refused(Failure.NO_DATABASE)
        return served

    def need(self, name: bytes) -> bytes:
        """Return a parameter; `Refused` if it is missing."""
        try:
            return self.parameters[name]
        except KeyError:
            raise Refused(Failure.INVALID) from None

    def expiry(self, served: ServedDatabase) -> int:
        """Return the expiry in milliseconds that the call gives."""
        return served.expiry(parse_xt(self.parameters.get(b"xt")))

    def limit(self) -> int:
        """Return the most results wanted; negative for all."""
        return parse_integer(self.parameters.get(b"max", b"-1"))

    def marked(self, prefix: bytes = b"_") -> dict[bytes, bytes]:
        """Return the parameters whose names begin with a mark, without it: the records or keys of a bulk call."""
        return {name[1:]: value for name, value in self.parameters.items() if name[:1] == prefix}


_FAILURES: Final[Mapping[type[KTError], RpcReply]] = {
    NotACounter: Failure.NOT_A_NUMBER.reply,
    CounterOverflow: Failure.NOT_A_NUMBER.reply,
}
_CODES: Final[Mapping[type[KTError], tuple[int, str]]] = {
    StoreFull: (9, "system error"),
    Damaged: (5, "broken file"),
    NotSupported: (4, "no permission"),
    InvalidInput: (2, "invalid operation"),
}


def failed(error: KTError | Refused) -> RpcReply:
    """Return the reply to a call that ended in an error."""
    if isinstance(error, Refused):
        return error.failure.reply
    kind = type(error)
    if kind in _FAILURES:
        return _FAILURES[kind]
    code, name = _CODES.get(kind, (15, "miscellaneous error"))
    return RpcReply(500, {b"ERROR": f"DB: {code}: {name}: {error}".encode()})
