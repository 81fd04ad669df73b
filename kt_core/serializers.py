"""The ways in which the clients turn values into bytes, by name.

===========  =====================================================================================================
KT_BINARY    str as UTF-8, numbers as their text, bytes as they are; comes back as str, or as the bytes if they are
             not UTF-8.
KT_JSON      What JSON can keep, as UTF-8.
KT_MSGPACK   What msgpack can keep; str and bytes are told apart.
KT_NONE      bytes, as they are; nothing else.
KT_PICKLE    Everything Python can pickle. Whoever can write to the server can run code in the clients.
===========  =====================================================================================================
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

import msgpack  # type: ignore[import-untyped]

from kt_core.errors import InvalidInput, Misconfigured, choose
from kt_core.text import decode_text, encode_text

KT_BINARY: Final = "binary"
KT_JSON: Final = "json"
KT_MSGPACK: Final = "msgpack"
KT_NONE: Final = "none"
KT_PICKLE: Final = "pickle"


class Serializer(Protocol):
    """Turn a value into bytes, and back."""

    def dumps(self, value: Any, /) -> bytes: ...

    def loads(self, data: bytes, /) -> Any: ...


class Functions(NamedTuple):
    """A serializer made of two functions."""

    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


def dump_plain(value: Any) -> bytes:
    """Return str as UTF-8, a number as its text, and bytes as they are; `InvalidInput` for anything else."""
    if isinstance(value, str):
        return encode_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value).encode()
    raise InvalidInput(
        f"KT_BINARY keeps str, bytes, int and float, not {type(value).__name__}: "
        "take serializer=KT_JSON, KT_MSGPACK or KT_PICKLE"
    )


def dump_bytes(value: Any) -> bytes:
    """Return bytes as they are; `InvalidInput` for anything else."""
    if isinstance(value, bytes):
        return value
    raise InvalidInput(f"bytes are kept as they are, and nothing else: encode the {type(value).__name__}")


def _dump_json(value: Any) -> bytes:
    return _JSON.encode(value).encode()


def _load_json(data: bytes) -> Any:
    return json.loads(data.decode())  # given bytes, it would guess among encodings


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

SERIALIZERS: Final[dict[str, Serializer]] = {
    KT_BINARY: Functions(dump_plain, decode_text),
    KT_JSON: Functions(_dump_json, _load_json),
    KT_MSGPACK: Functions(msgpack.packb, partial(msgpack.unpackb, strict_map_key=False)),
    KT_NONE: Functions(dump_bytes, bytes),
    KT_PICKLE: Functions(partial(pickle.dumps, protocol=pickle.HIGHEST_PROTOCOL), pickle.loads),
}


def choose_serializer(serializer: str | Serializer, named: Mapping[str, Serializer] = SERIALIZERS) -> Serializer:
    """Return the serializer of a name, or the object itself if it has `dumps` and `loads`; else `Misconfigured`."""
    if isinstance(serializer, str):
        return choose(named, serializer, "serializer")
    if callable(getattr(serializer, "dumps", None)) and callable(getattr(serializer, "loads", None)):
        return serializer
    raise Misconfigured(f"serializer={serializer!r} has no dumps() and loads()")
