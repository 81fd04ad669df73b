"""The errors that kt-cache raises, and whose fault each one is.

::

    KTError
    ├── InvalidInput        (also ValueError)       the caller's argument cannot be used
    │   └── NotACounter                             the record under the key holds no number
    ├── CounterOverflow     (also OverflowError)    a counter would leave 64 bits
    ├── Misconfigured                               a setting cannot work; the text says what to write
    ├── NotSupported                                the store, or the way it is set up, cannot do this
    ├── StoreFull                                   a bounded store that may not evict has no room
    ├── Damaged                                     the files of a database cannot be trusted
    ├── ProtocolError                               the peer's bytes are wrong
    ├── ServerError                                 the server understood and answered with an error
    ├── ConnectionFailed    (also OSError)          the peer cannot be reached, or went away
    └── Timeout             (also TimeoutError)     the peer did not answer in time
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


class KTError(Exception):
    """The root of every error that kt-cache raises on its own account."""


class InvalidInput(KTError, ValueError):
    """The caller passed something that no database could use."""


class NotACounter(InvalidInput):
    """The record holds something that is not a number of the asked kind."""


class CounterOverflow(KTError, OverflowError):
    """The sum would leave the 64 bits that a counter has; the record is unchanged."""


class Misconfigured(KTError):
    """A setting cannot work; the message says what to write instead."""


class NotSupported(KTError):
    """The store cannot do what was asked, whatever the arguments; the text names it, and what can be done instead."""


class StoreFull(KTError):
    """The record does not fit and nothing may be evicted for it; nothing was lost."""


class Damaged(KTError):
    """The files of a database are damaged or not ours."""


class ProtocolError(KTError):
    """The peer sent bytes that the protocol does not allow; the connection cannot be used any more."""


class ServerError(KTError):
    """The server answered with an error; the connection is in order."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


class ConnectionFailed(KTError, OSError):
    """The server cannot be reached, or the connection to it broke."""


class Timeout(KTError, TimeoutError):
    """The server did not answer within the time it was given."""


def choose(table: Mapping[str, T], name: str, what: str) -> T:
    """Return the entry called `name`; raise Misconfigured with the nearest name when there is none."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(str(name), table, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(map(repr, table))}"
    raise Misconfigured(f"there is no {what} {name!r}: {hint}")
