"""Filter expressions: decoded from MessagePack, and tried on a record.

An expression is a value, or a list of a code and its operands. Texts and blobs among the values begin with the type of
their particle; names of bins and regular expressions do not. What cannot be known, such as the value of an absent bin,
is None, and a record for which the whole expression is None does not pass.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import cache, partial
from struct import unpack
from typing import Any

import msgpack  # type: ignore[import-untyped]

from tests.aerospike.server.records import Record, Refused
from tests.aerospike.server.wire import Particle, Result

_TYPES = {1: 17, 2: 1, 3: 3, 6: 4, 7: 2}
"""The particles' types by the types of expressions: boolean, integer, string, blob, double."""

_VALUES: dict[int, Callable[[bytes], Any]] = {
    1: partial(int.from_bytes, signed=True),
    2: lambda value: unpack(">d", value)[0],
    17: any,
}
"""How values are compared; the others as their bytes."""

_EXTENDED, _IGNORE_CASE = 1, 2
"""Options of a regular expression."""


def matches(source: bytes, record: Record, now: int) -> bool:
    """Say whether a record passes a filter; `now` is the server's time in whole seconds."""
    try:
        return _Trial(record, now).value(msgpack.unpackb(source, raw=True)) is True
    except (ValueError, LookupError, TypeError):
        raise Refused(Result.PARAMETER) from None


class _Trial:
    """A record under an expression."""

    def __init__(self, record: Record, now: int) -> None:
        self._record = record
        self._now = now

    def value(self, expression: Any) -> Any:
        """Return what an expression is worth, None if that cannot be known."""
        if isinstance(expression, bytes):
            return expression[1:]
        if not isinstance(expression, list):
            return expression
        code, *operands = expression
        if code in _CALCULATIONS:
            values = [self.value(operand) for operand in operands]
            return None if None in values else _CALCULATIONS[code](*values)
        return self._FORMS[code](self, *operands)

    def _all(self, *operands: Any) -> bool | None:
        values = [self.value(operand) for operand in operands]
        return False if False in values else None if None in values else True

    def _any(self, *operands: Any) -> bool | None:
        values = [self.value(operand) for operand in operands]
        return True if True in values else None if None in values else False

    def _regex(self, options: int, pattern: bytes, operand: Any) -> bool | None:
        text = self.value(operand)
        return None if text is None else _compiled(pattern, options).search(text) is not None

    def _ttl(self) -> int:
        return self._record.expiry - self._now if self._record.expiry else -1

    def _void_time(self) -> int:
        return self._record.expiry * 1_000_000_000 if self._record.expiry else -1

    def _set_name(self) -> bytes:
        return self._record.set

    def _key_exists(self) -> bool:
        return self._record.key is not None

    def _key(self, kind: int) -> Any:
        key = self._record.key
        return None if key is None else _known(kind, Particle(key[0], key[1:]))

    def _bin(self, kind: int, name: bytes) -> Any:
        return _known(kind, self._record.bins.get(name))

    def _bin_type(self, name: bytes) -> int:
        return self._record.bins.get(name, Particle(0, b"")).type

    _FORMS: dict[int, Callable[..., Any]] = {  # noqa: RUF012
        7: _regex,
        16: _all,
        17: _any,
        68: _void_time,
        69: _ttl,
        70: _set_name,
        71: _key_exists,
        80: _key,
        81: _bin,
        82: _bin_type,
    }


_CALCULATIONS: dict[int, Callable[..., Any]] = {
    1: operator.eq,
    2: operator.ne,
    3: operator.gt,
    4: operator.ge,
    5: operator.lt,
    6: operator.le,
    18: operator.not_,
    20: operator.add,
    21: operator.sub,
}


def _known(kind: int, particle: Particle | None) -> Any:
    if particle is None or particle.type != _TYPES.get(kind):
        return None
    return _VALUES.get(particle.type, bytes)(particle.value)


@cache
def _compiled(pattern: bytes, options: int) -> re.Pattern[bytes]:
    """Return a POSIX regular expression; a basic one has the meanings of `\\+` and `+` the other way round."""
    if not options & _EXTENDED:
        pattern = re.sub(rb"\[\^?\]?[^]]*\]|\\?.", _swapped, pattern, flags=re.DOTALL)
    return re.compile(pattern, re.IGNORECASE if options & _IGNORE_CASE else 0)


def _swapped(token: re.Match[bytes]) -> bytes:
    text = token[0]
    if text[-1:] not in b"+?|(){}":
        return text
    return text[1:] if text[:1] == b"\\" else b"\\" + text
