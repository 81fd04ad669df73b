"""The serializers a stored value may be written by, by name and by the number in its header.

=========  =================================================================================================
pickle     Everything Python can pickle. Whoever can write to the store can run code in its readers.
msgpack    Exact, types included: None, bool, int of any size, float, complex, str, bytes, list, dict with
           any hashable keys, tuple, set, frozenset, Decimal, UUID, date, time, datetime, timedelta, fixed
           offsets and ZoneInfo, and what `register_extension` adds. Everything else is a TypeError, except
           that bytearray and memoryview come back as bytes.
json       What other languages read too. Tuples come back as lists, and subclasses of str, int, float, list
           and dict as their base; keys that are not str, which json would change, are a TypeError.
raw        bytes, as they are.
=========  =================================================================================================
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import cache
from pkgutil import resolve_name
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from kt_core.errors import Misconfigured, choose

CUSTOM = 7

T = TypeVar("T")


class Serializer(Protocol):
    """Turn a value into bytes, and back."""

    def dumps(self, value: Any, /) -> bytes: ...

    def loads(self, data: bytes, /) -> Any: ...


def _refuse(serializer: str, value: object, why: str = "") -> NoReturn:
    kind = type(value)
    raise TypeError(f"{serializer} cannot keep {kind.__module__}.{kind.__qualname__}{why}")


class Raw:
    """Keep bytes as they are."""

    def dumps(self, value: object, /) -> bytes:
        """Return `value` itself; raise TypeError unless it is exactly bytes."""
        return value if type(value) is bytes else _refuse("raw", value)

    def loads(self, data: bytes, /) -> bytes:
        """Return `data`."""
        return data


class Pickle:
    """Pickle with one protocol: a lower one lets an older Python read the cache."""

    def __init__(self, protocol: int = pickle.HIGHEST_PROTOCOL) -> None:
        if not 2 <= protocol <= pickle.HIGHEST_PROTOCOL:
            raise Misconfigured(f"pickle protocol {protocol}: choose 2 to {pickle.HIGHEST_PROTOCOL}")
        self.protocol = protocol

    def dumps(self, value: object, /) -> bytes:
        """Return the pickle of `value`."""
        return pickle.dumps(value, self.protocol)

    def loads(self, data: bytes, /) -> Any:
        """Return the pickled value, running whatever code the pickle names."""
        return pickle.loads(data)  # noqa: S301 - the format was asked for


class Json:
    """Keep what JSON can, as compact UTF-8."""

    _encode = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":"), default=lambda value: _refuse("json", value)
    ).encode

    def dumps(self, value: object, /) -> bytes:
        """Return `value` as JSON; raise TypeError for what JSON cannot keep."""
        data = self._encode(value).encode()
        # After the encoder, which ends at containers that contain themselves.
        containers = [value]
        for container in containers:
            inside: Iterable[object] = ()
            if isinstance(container, dict):
                for key in container:
                    if not isinstance(key, str):
                        _refuse("json", key, " as a key of a dict")
                inside = container.values()
            elif isinstance(container, list | tuple):
                inside = container
            containers += [item for item in inside if isinstance(item, dict | list | tuple)]
        return data

    def loads(self, data: bytes, /) -> Any:
        """Return the value of a JSON text."""
        return json.loads(data.decode())  # given bytes, it would guess among encodings


class _Extension(NamedTuple):
    """How msgpack keeps one type: `build(*state(value))` is `value` again."""

    code: int
    type: type[Any]
    state: Callable[[Any], Iterable[Any]]
    build: Callable[..., Any]


def _zone_key(zone: ZoneInfo) -> tuple[str]:
    return (zone.key,) if zone.key is not None else _refuse("msgpack", zone, " without a key")


def _zone_offset(zone: timezone) -> tuple[timedelta, str]:
    return zone.utcoffset(None), zone.tzname(None)


def _fixed_zone(offset: timedelta, name: str) -> timezone:
    unnamed = timezone(offset)  # timezone.utc itself for no offset
    return unnamed if unnamed.tzname(None) == name else timezone(offset, name)


def _calendar(day: date) -> tuple[int, int, int]:
    return day.year, day.month, day.day


def _clock(at: time | datetime) -> tuple[Any, ...]:
    return at.hour, at.minute, at.second, at.microsecond, at.tzinfo, at.fold


# The arguments are counted here: date, time and datetime take a single one for pickled state, unchecked.
def _time(hour: int, minute: int, second: int, micro: int, zone: tzinfo | None, fold: int) -> time:
    return time(hour, minute, second, micro, zone, fold=fold)


def _datetime(year: int, month: int, day: int, *clock: Any) -> datetime:
    return datetime.combine(date(year, month, day), _time(*clock))


def _big_int(value: int) -> tuple[bytes]:
    return (value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True),)


_EXTENSIONS = [
    _Extension(1, tuple, tuple, lambda *items: items),
    _Extension(2, set, tuple, lambda *items: set(items)),
    _Extension(3, frozenset, tuple, lambda *items: frozenset(items)),
    _Extension(4, int, _big_int, lambda data: int.from_bytes(data, "big", signed=True)),
    _Extension(5, complex, lambda z: (z.real, z.imag), complex),
    _Extension(6, Decimal, lambda number: (str(number),), Decimal),
    _Extension(7, UUID, lambda uuid: (uuid.bytes,), lambda data: UUID(bytes=data)),
    _Extension(8, timedelta, lambda delta: (delta.days, delta.seconds, delta.microseconds), timedelta),
    _Extension(9, date, _calendar, lambda year, month, day: date(year, month, day)),
    _Extension(10, time, _clock, _time),
    _Extension(11, datetime, lambda at: (*_calendar(at), *_clock(at)), _datetime),
    _Extension(12, timezone, _zone_offset, _fixed_zone),
    _Extension(13, ZoneInfo, _zone_key, ZoneInfo),
]
_BY_TYPE = {extension.type: extension for extension in _EXTENSIONS}
_BY_CODE = {extension.code: extension for extension in _EXTENSIONS}


def register_extension(code: int, kind: type[T], state: Callable[[T], Iterable[Any]], build: Callable[..., T]) -> None:
    """Let msgpack keep `kind`: `build(*state(value))` must be `value` again, for every reader.

    Codes 32 to 63 are for this package's framework adapters, 64 to 127 for applications. Register in every
    process, before values are read; `state` must not yield `kind` itself.
    """
    extension = _Extension(code, kind, state, build)
    if not 32 <= code <= 127:
        raise Misconfigured(f"msgpack extension code {code}: choose 64 to 127")
    for known in (_BY_CODE.get(code), _BY_TYPE.get(kind)):
        if known is not None and known != extension:
            raise Misconfigured(f"msgpack already keeps {known.type.__qualname__} as extension {known.code}")
    _BY_TYPE[kind] = _BY_CODE[code] = extension


def extension_name(code: int) -> str:
    """Return the name of the type that msgpack keeps as that extension, for whoever does not want to build it."""
    extension = _BY_CODE.get(code)
    return extension.type.__qualname__ if extension is not None else f"extension {code}"


@cache
def _msgpack() -> Any:
    """Return the package, imported when something is first kept with it."""
    import msgpack  # type: ignore[import-untyped]

    return msgpack


def _extend(value: object) -> list[Any]:
    extension = _BY_TYPE.get(type(value))
    if extension is None:
        _refuse("msgpack", value)
    return [_msgpack().ExtType(extension.code, b""), *extension.state(value)]


class _Reader:
    """Rebuild the extended values of one payload.

    An extended value is an array that begins with an empty extension, not an extension around packed bytes:
    a nested `unpackb` needs 40 kB of C stack, so a hundred nested tuples would end the process.
    """

    def __init__(self) -> None:
        self.marks = 0

    def mark(self, code: int, data: bytes) -> _Extension:
        if data or code not in _BY_CODE:
            raise ValueError(f"extension {code} of {len(data)} bytes is not known here")
        self.marks += 1
        return _BY_CODE[code]

    def build(self, items: list[Any]) -> Any:
        if items and type(items[0]) is _Extension:
            self.marks -= 1
            return items[0].build(*items[1:])
        return items


class MessagePack:
    """Keep the types listed above exactly, in a form that runs no code when read."""

    def dumps(self, value: object, /) -> bytes:
        """Return `value` packed; raise TypeError for types that are not listed."""
        packed: bytes = _msgpack().packb(value, default=_extend, strict_types=True)
        return packed

    def loads(self, data: bytes, /) -> Any:
        """Return the packed value."""
        reader = _Reader()
        value = _msgpack().unpackb(data, ext_hook=reader.mark, list_hook=reader.build, strict_map_key=False)
        if reader.marks:
            raise ValueError("an extension stands outside the head of an array")
        return value


class _Custom:
    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self.loads = serializer.loads

    def dumps(self, value: object, /) -> bytes:
        data = self._serializer.dumps(value)
        if type(data) is not bytes:
            raise TypeError(f"{self._serializer!r}.dumps must return bytes, not {type(data).__name__}")
        return data


# The numbers are stored: they never change their meaning.
SERIALIZERS: dict[str, tuple[int, Serializer]] = {
    "raw": (0, Raw()),
    "json": (1, Json()),
    "msgpack": (2, MessagePack()),
    "pickle": (3, Pickle()),
}


def resolve(serializer: str | Serializer | type[Serializer]) -> tuple[int, Serializer]:
    """Return the header number and the serializer for a name, a dotted path, a class or an object."""
    if isinstance(serializer, str) and "." not in serializer:
        return choose(SERIALIZERS, serializer, "serializer")
    found: Any = serializer
    try:
        if isinstance(found, str):
            found = resolve_name(found)
        if isinstance(found, type):
            found = found()
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise Misconfigured(f"the serializer {serializer!r} cannot be loaded: {error}") from error
    for number, known in SERIALIZERS.values():
        if type(found) is type(known):
            return number, found
    if not (callable(getattr(found, "dumps", None)) and callable(getattr(found, "loads", None))):
        raise Misconfigured(f"the serializer {serializer!r} has no dumps and loads")
    return CUSTOM, _Custom(found)
