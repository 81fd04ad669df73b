"""Values: which the database stores as they are, and how the others become blobs and come back.

All of it happens here and none in the native client, which ends the process when a blob that is not UTF-8 meets a
deserializer, keeps no reference to the functions it is given, and loses without a word what its types cannot express.
Those values count as unsupported here and are serialized, at whatever depth they are: texts with a NUL or a lone
surrogate, integers of more than 64 bits, dicts with keys other than int, str and bytes, nesting beyond 64 levels, None
as a bin.

On the way back, a blob that an old client marked as a pickle, or that begins with the mark written here, is unpickled;
any other goes through the deserializer, if there is one.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kt_core.aerospike.constants import SERIALIZER_NONE, SERIALIZER_PYTHON, SERIALIZER_USER
from kt_core.aerospike.errors import client_error, param_error
from kt_core.aerospike.keys import is_whole
from kt_core.aerospike.unpickling import Unpickler

MARK: Final = b"\0\xffpickle\xff"
"""What a pickled value begins with; no text, and no value that a user is likely to store."""

_MAX_DEPTH: Final = 64  # the native client stores more levels than this, and cannot read them

_log = logging.getLogger(__name__)


@dataclass
class Pair:
    """A serializer and a deserializer, either of which may be missing."""

    serializer: Callable[[Any], Any] | None = None
    deserializer: Callable[[Any], Any] | None = None


REGISTERED: Final = Pair()
"""The pair of all clients, which one's own goes before."""


class Serialization:
    """What one client does to values."""

    def __init__(self, own: Pair, unpickler: Unpickler | None) -> None:
        self._own = own
        self._unpickler = unpickler

    def encode_bins(self, bins: dict[str, Any], mode: int | None = None) -> dict[str, Any]:
        """Return the bins of a record as the native client can store them."""
        serialize = self._serialize(mode)
        return {
            name: serialize(value) if value is None else _encode(value, (), serialize) for name, value in bins.items()
        }

    def encode(self, value: Any, mode: int | None = None) -> Any:
        """Return a value as the native client can send it.

        `mode` says what happens to what is unsupported: `SERIALIZER_PYTHON` pickles it, `SERIALIZER_USER` calls this
        client's serializer or else the registered one, `SERIALIZER_NONE` raises `ParamError`. None: this client's
        serializer if it has one, else pickle. A serializer's own error comes as the cause of a `ClientError`.
        """
        return _encode(value, (), self._serialize(mode))

    def decode(self, value: Any) -> Any:
        """Return a value that was read; `ClientError` if it is a pickle that may not be loaded."""
        kind = type(value)
        if kind is bytes:
            return self._decode_blob(value)
        if kind is bytearray:  # only blobs of the kind 'Python' come as this
            return value if self._unpickler is None else self._unpickler.loads(bytes(value))
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if isinstance(value, dict):
            return kind((key, self.decode(item)) for key, item in value.items())
        return value

    def _decode_blob(self, blob: bytes) -> Any:
        if blob.startswith(MARK):
            return blob if self._unpickler is None else self._unpickler.loads(blob[len(MARK) :])
        deserialize = self._own.deserializer or REGISTERED.deserializer
        if deserialize is None:
            return blob
        try:
            return deserialize(blob)
        except Exception:
            # Blobs that nobody serialized are handed to it, too: as ever they come back as they are.
            _log.debug("a blob of %d bytes is not what the deserializer reads", len(blob), exc_info=True)
            return blob

    def _serialize(self, mode: int | None) -> Callable[[Any], bytes]:
        if mode is None:
            mode = SERIALIZER_USER if self._own.serializer else SERIALIZER_PYTHON
        if mode == SERIALIZER_PYTHON:
            return _pickle
        if mode == SERIALIZER_NONE:
            return _refuse
        if mode == SERIALIZER_USER:
            serializer = self._own.serializer or REGISTERED.serializer
            if serializer is None:
                raise client_error("no serializer is registered: call set_serializer(), or give the client one")
            return _calling(serializer)
        raise param_error(f"serializer={mode!r}: write SERIALIZER_PYTHON, SERIALIZER_USER or SERIALIZER_NONE")


def _encode(value: Any, path: tuple[int, ...], serialize: Callable[[Any], bytes]) -> Any:
    """Return the value with all that is unsupported in it serialized; `path` holds the containers it is in."""
    if isinstance(value, str):
        return value if is_whole(value) else serialize(value)
    if isinstance(value, bytes | bytearray):
        return _pickle(bytes(value)) if value.startswith(MARK) else value
    if isinstance(value, int):
        return value if _is_int64(value) else serialize(value)
    if isinstance(value, list | dict):
        if len(path) == _MAX_DEPTH or id(value) in path:
            return serialize(value)
        path = (*path, id(value))
        if isinstance(value, list):
            return [_encode(item, path, serialize) for item in value]
        if all(map(_is_key, value)):
            encoded = ((key, _encode(item, path, serialize)) for key, item in value.items())
            return type(value)(encoded) if _is_native(value) else dict(encoded)
        return serialize(value)
    if value is None or isinstance(value, float) or _is_native(value):
        return value
    return serialize(value)


def _is_key(key: Any) -> bool:
    """Whether the database keeps an entry of a map under this; under other keys the native client loses it."""
    if isinstance(key, str):
        return is_whole(key)
    return isinstance(key, bytes) or (isinstance(key, int) and not isinstance(key, bool) and _is_int64(key))


def _is_int64(number: int) -> bool:
    return -(2**63) <= number < 2**63


def _is_native(value: Any) -> bool:
    return type(value).__module__ == "aerospike"  # GeoJSON, null, the wildcards, ordered dicts


def _pickle(value: Any) -> bytes:
    try:
        return MARK + pickle.dumps(value)
    except Exception as error:
        raise client_error(f"a {type(value).__name__} cannot be stored: {error!r}") from error


def _refuse(value: Any) -> bytes:
    hint = "null() deletes a bin" if value is None else "take SERIALIZER_PYTHON or SERIALIZER_USER"
    raise param_error(f"such a {type(value).__name__} is not stored with SERIALIZER_NONE: {hint}")


def _calling(serializer: Callable[[Any], Any]) -> Callable[[Any], bytes]:
    def serialize(value: Any) -> bytes:
        try:
            blob = serializer(value)
        except Exception as error:
            raise client_error(f"the serializer failed on a {type(value).__name__}: {error!r}") from error
        if isinstance(blob, str):
            blob = blob.encode()
        if not isinstance(blob, bytes | bytearray):
            raise client_error(f"the serializer returned a {type(blob).__name__}, not bytes or str")
        if blob.startswith(MARK):
            raise client_error(f"the serializer returned what begins with {MARK!r}, which marks pickles")
        return bytes(blob)

    return serialize
