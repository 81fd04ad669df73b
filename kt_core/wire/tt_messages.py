"""The messages of the Tokyo Tyrant protocol: a class for each command, and one for each form that a reply has.

The fields are in the order that their sizes and numbers have on the wire. A double is sent as its whole part and
its fraction times 10^12, both signed and cut toward zero. Source: the Tokyo Tyrant protocol
reference, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from kt_core.number import join_double, split_double
from kt_core.wire.kt_items import Pair

# Bits of `Ext.options`: lock the record, or all of them, against other locked calls.
LOCK_RECORD: Final = 1
LOCK_GLOBAL: Final = 2
# Of `Misc.options`: keep the call out of the update log.
NO_UPDATE_LOG: Final = 1
# Of `Restore.options` and `SetMst.options`: stop where the log contradicts the database.
CHECK_CONSISTENCY: Final = 1

_UNIT: Final = 10**12  # a fraction is so many times what it is


def _split(number: float) -> tuple[int, int]:
    return split_double(number, lambda fraction: fraction * _UNIT)  # rounded as the server does


# --- Requests


class Put(NamedTuple):
    """Store a record."""

    key: bytes
    value: bytes


class PutKeep(NamedTuple):
    """Store a record where there is none."""

    key: bytes
    value: bytes


class PutCat(NamedTuple):
    """Store a value behind the one that is there, if any."""

    key: bytes
    value: bytes


class PutShl(NamedTuple):
    """Append, and keep the last `width` bytes."""

    key: bytes
    value: bytes
    width: int


class PutNr(NamedTuple):
    """Store a record; no reply comes."""

    key: bytes
    value: bytes


class Out(NamedTuple):
    """Remove a record."""

    key: bytes


class Get(NamedTuple):
    """Ask for a value."""

    key: bytes


class MGet(NamedTuple):
    """Ask for records."""

    keys: Sequence[bytes]


class VSiz(NamedTuple):
    """Ask for the size of a value."""

    key: bytes


class IterInit(NamedTuple):
    """Put the iterator, which all connections share, before the first record."""


class IterNext(NamedTuple):
    """Ask for the iterator's next key."""


class FwmKeys(NamedTuple):
    """Ask for the keys that begin with a prefix, `limit` of them; all if that is negative."""

    prefix: bytes
    limit: int


class AddInt(NamedTuple):
    """Add to a counter of 32 bits."""

    key: bytes
    number: int


class AddDouble(NamedTuple):
    """Add to a double."""

    key: bytes
    whole: int
    fraction: int

    @classmethod
    def of(cls, key: bytes, number: float) -> AddDouble:
        """Return the request that adds a number."""
        return cls(key, *_split(number))

    @property
    def number(self) -> float:
        """What is added."""
        return join_double(self.whole, self.fraction, _UNIT)


class Ext(NamedTuple):
    """Call a function of the server's script."""

    name: bytes
    options: int
    key: bytes
    value: bytes


class Sync(NamedTuple):
    """Write the database to its file."""


class Optimize(NamedTuple):
    """Tune the database."""

    parameters: bytes


class Vanish(NamedTuple):
    """Remove every record."""


class Copy(NamedTuple):
    """Copy the database to a path of the server's, or with ``@`` before it run a command there."""

    path: bytes


class Restore(NamedTuple):
    """Replay the update log in a directory from a time on, in microseconds since 1970."""

    path: bytes
    time: int
    options: int


class SetMst(NamedTuple):
    """Replicate from a master, from a time on in microseconds since 1970; without a host, from none."""

    host: bytes
    port: int
    time: int
    options: int


class RNum(NamedTuple):
    """Ask for the number of records."""


class Size(NamedTuple):
    """Ask for the size of the database."""


class Stat(NamedTuple):
    """Ask what the server says about itself."""


class Misc(NamedTuple):
    """Call a function of the database by its name."""

    name: bytes
    options: int
    arguments: Sequence[bytes]


class Repl(NamedTuple):
    """Ask for changes, from a time on in microseconds since 1970, without end; `sid` is the number of who asks."""

    time: int
    sid: int


# --- Replies


class Done(NamedTuple):
    """The request did what it should; nothing else is to be said."""


class Failed(NamedTuple):
    """The request did not; the protocol has no words for why."""


class Value(NamedTuple):
    """The bytes asked for."""

    value: bytes


class Integer(NamedTuple):
    """A size or a sum, of 32 bits."""

    number: int


class Double(NamedTuple):
    """A sum."""

    whole: int
    fraction: int

    @classmethod
    def of(cls, number: float) -> Double:
        """Return the reply that tells a sum."""
        return cls(*_split(number))

    @property
    def number(self) -> float:
        """The sum, to twelve decimals."""
        return join_double(self.whole, self.fraction, _UNIT)


class Long(NamedTuple):
    """A number of 64 bits."""

    number: int


class Records(NamedTuple):
    """The records found."""

    records: Sequence[Pair]
    ok: bool = True


class Elements(NamedTuple):
    """The keys found, or what a function gave back."""

    elements: Sequence[bytes]
    ok: bool = True


class Master(NamedTuple):
    """The number of the server whose changes follow."""

    sid: int


Request: TypeAlias = (
    Put
    | PutKeep
    | PutCat
    | PutShl
    | PutNr
    | Out
    | Get
    | MGet
    | VSiz
    | IterInit
    | IterNext
    | FwmKeys
    | AddInt
    | AddDouble
    | Ext
    | Sync
    | Optimize
    | Vanish
    | Copy
    | Restore
    | SetMst
    | RNum
    | Size
    | Stat
    | Misc
    | Repl
)
Reply: TypeAlias = Done | Failed | Value | Integer | Double | Long | Records | Elements | Master

# The form of the reply to each command, unless it is `Failed`; none comes where there is None.
REPLIES: Final[dict[type[Request], type[Reply] | None]] = {
    Put: Done,
    PutKeep: Done,
    PutCat: Done,
    PutShl: Done,
    PutNr: None,
    Out: Done,
    Get: Value,
    MGet: Records,
    VSiz: Integer,
    IterInit: Done,
    IterNext: Value,
    FwmKeys: Elements,
    AddInt: Integer,
    AddDouble: Double,
    Ext: Value,
    Sync: Done,
    Optimize: Done,
    Vanish: Done,
    Copy: Done,
    Restore: Done,
    SetMst: Done,
    RNum: Long,
    Size: Long,
    Stat: Value,
    Misc: Elements,
    Repl: Master,
}
