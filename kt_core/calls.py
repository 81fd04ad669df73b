"""What the operations of every client have in common: keys and values as Python has them, and as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from kt_core.errors import InvalidInput
from kt_core.serializers import Serializer
from kt_core.text import decode_text, not_text

Key: TypeAlias = str | bytes


class BaseCalls:
    """How a client's keys and values become bytes, and bytes become keys and values."""

    def __init__(self, serializer: Serializer, decode_keys: bool) -> None:
        self._dumps = serializer.dumps
        self._loads = serializer.loads
        self._name: Callable[[bytes], Any] = decode_text if decode_keys else bytes

    def _names(self, keys: Iterable[bytes]) -> list[Any]:
        return [self._name(key) for key in keys]


def merged(data: Mapping[Key, Any] | None, kwargs: Mapping[str, Any]) -> dict[Key, Any]:
    """Return what a mapping and keyword arguments say together."""
    every: dict[Key, Any] = dict(data or {})
    every.update(kwargs)
    return every


def encode_key(key: Key) -> bytes:
    """Return a key as bytes; `InvalidInput` if it is neither text nor bytes."""
    if isinstance(key, str):
        try:
            return key.encode()
        except UnicodeEncodeError as error:
            raise not_text(error) from None
    if isinstance(key, bytes):
        return key
    raise InvalidInput(f"a key is str or bytes, not {type(key).__name__}: write str({key!r})")


def encode_keys(keys: Iterable[Key]) -> list[bytes]:
    """Return keys as bytes."""
    if isinstance(keys, str | bytes):
        raise InvalidInput(f"{keys!r} is one key: write a list of keys")
    every: list[Any] = list(keys)
    try:
        return [key.encode() for key in every]  # a third of the time
    except (AttributeError, UnicodeEncodeError):
        return [encode_key(key) for key in every]
