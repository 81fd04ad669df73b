"""The form in which a cached value is stored: a counter, or a header byte and a payload.

================  ====================================================================================
an `int`          exactly an int, of 64 bits: kept by the store as a counter of 8 bytes, big-endian
``0x80`` ...      a plain pickle: every pickle since protocol 2 begins with that byte
``0sssccc0`` ...  bits ``sss``: serializer (0 raw, 1 json, 2 msgpack, 3 pickle, 7 custom);
                  bits ``ccc``: compression (0 none, 1 zlib, 2 lzma, 3 bz2, 4 lz4, 5 zstd, 6 brotli)
``0sssccc1`` ...  the same, signed: 16 bytes of HMAC-SHA256 over header and payload come before the payload
``0x40`` ...      8 bytes of the third form, moved out of a counter's length
================  ====================================================================================

Eight bytes mean a counter, so nothing else may be that long: a plain pickle gets one byte more at its end,
which unpickling ignores; the third form gets ``0x40`` (serializer 4, which does not exist) before its header;
a signed value is always longer. The payload is serialized, then compressed, then signed; read the other way
round, so that nothing is expanded or unpickled that the keys do not vouch for. A signature says who wrote a
value, not under which key or when; counters are never signed, since the store itself changes them.
"""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kt_cache.compression import COMPRESSIONS, MAX_EXPANDED
from kt_cache.serializers import CUSTOM, SERIALIZERS, Pickle, Serializer, resolve
from kt_core.errors import KTError, Misconfigured, choose

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

_COUNTER_LENGTH = 8
_PLAIN_PICKLE = 0x80
_PAD = b"\x40"
_SIGNED = 0x01
# Half of SHA-256's output: nobody forges 128 bits, and small values stay small.
_MAC_LENGTH = 16
_MAC_PURPOSE = b"kt_cache.values: signature of a cached value"

_SAFE = ("raw", "json", "msgpack")
_PICKLE_ID = SERIALIZERS["pickle"][0]
_SERIALIZER_NAMES = {number: name for name, (number, _) in SERIALIZERS.items()} | {CUSTOM: "custom"}
_COMPRESSION_NAMES = {compression.id: name for name, compression in COMPRESSIONS.items()}


class Unreadable(KTError):
    """The stored bytes are not something this codec may or can read."""


class Codec:
    """Turn Python values into what a store keeps, and back.

    `accept` names the serializers that may be read besides the codec's own; without it these are all that run
    no code (raw, json, msgpack). With `signing_keys` the first key signs, all of them verify, and nothing
    unsigned is read but counters. Errors of pickle and of custom serializers propagate as they are.
    """

    # dumps(value): an int of 64 bits as it is, anything else as bytes.
    dumps: Callable[[object], bytes | int]
    # loads(stored): the value; Unreadable when this codec may not or cannot read it.
    loads: Callable[[bytes | int], Any]

    def __init__(
        self,
        *,
        serializer: str | Serializer | type[Serializer] = "pickle",
        accept: Iterable[str] | None = None,
        compression: str | None = None,
        compress_min_length: int = 1024,
        compress_level: int | None = None,
        signing_keys: Sequence[bytes] = (),
    ) -> None:
        self._id, self._serializer = resolve(serializer)
        self._readers = _readers(_SAFE if accept is None else accept)
        self._readers[self._id] = self._serializer.loads
        self._compression = None if compression is None else choose(COMPRESSIONS, compression, "compression")
        self._compress_min_length = compress_min_length
        self._compress_level = compress_level
        self._macs = [_mac(key) for key in signing_keys]
        if self._compression is not None:
            self._compression.check(compress_level)
        # Plain pickles are the default and most of the traffic: each direction has a function of its own for
        # them, half the cost of a bound method that asks for the settings again.
        self.dumps = self._write
        if isinstance(self._serializer, Pickle) and compression is None and not self._macs:
            self.dumps = _plain_pickle_writer(self._serializer.protocol)
        self.loads = self._read
        if _PICKLE_ID in self._readers and not self._macs:
            self.loads = _plain_pickle_reader(self._read)

    def _write(self, value: object) -> bytes | int:
        if type(value) is int and INT64_MIN <= value <= INT64_MAX:
            return value
        payload = self._serializer.dumps(value)
        header = self._id << 4
        if self._compression is not None and self._compress_min_length <= len(payload) <= MAX_EXPANDED:
            compressed = self._compression.compress(payload, self._compress_level)
            if len(compressed) < len(payload):
                payload = compressed
                header |= self._compression.id << 1
        if self._macs:
            head = bytes((header | _SIGNED,))
            return head + _signature(self._macs[0], head, payload) + payload
        if header == _PICKLE_ID << 4:
            return payload if len(payload) != _COUNTER_LENGTH else payload + b"."
        stored = bytes((header,)) + payload
        return stored if len(stored) != _COUNTER_LENGTH else _PAD + stored

    def _read(self, stored: bytes | int) -> Any:
        if isinstance(stored, int):
            return stored
        if len(stored) == _COUNTER_LENGTH + 1 and stored.startswith(_PAD):
            stored = stored[1:]
        header, payload = self._open(stored)
        number = header >> 4
        loads = self._readers.get(number)
        if loads is None:
            name = _SERIALIZER_NAMES.get(number)
            if name is None:
                raise Unreadable(f"header 0x{header:02x} is not one of kt-cache; delete the value")
            raise Unreadable(f"written by the serializer {name!r}; to read it, add it to the accepted ones")
        if header & 0x0E:
            payload = _expanded(header >> 1 & 7, payload)
        if number in (_PICKLE_ID, CUSTOM):
            return loads(payload)
        try:
            return loads(payload)
        except Exception as error:  # nothing but damage makes these fail, each in its own way
            raise Unreadable(f"damaged {_SERIALIZER_NAMES[number]}: {error!r}; delete the value") from error

    def _open(self, stored: bytes) -> tuple[int, bytes]:
        """Return header and payload of what the keys vouch for."""
        if not stored:
            raise Unreadable("an empty value has no header; delete it")
        header = stored[0]
        if header & _SIGNED and header < _PLAIN_PICKLE:
            if not self._macs:
                raise Unreadable("signed, and no signing key is configured; configure the writer's key")
            end = 1 + _MAC_LENGTH
            head, signature, payload = stored[:1], stored[1:end], stored[end:]
            if not any(hmac.compare_digest(_signature(m, head, payload), signature) for m in self._macs):
                raise Unreadable("the signature fits none of the keys; keep a replaced key as a later one")
            return header, payload
        if self._macs:
            raise Unreadable("not signed, and signing keys are configured; delete the value")
        if header == _PLAIN_PICKLE:
            return _PICKLE_ID << 4, stored
        return header, stored[1:]


def _plain_pickle_writer(protocol: int) -> Callable[[object], bytes | int]:
    pickle_dumps = pickle.dumps

    def dumps(value: object) -> bytes | int:
        if type(value) is int and INT64_MIN <= value <= INT64_MAX:
            return value
        data = pickle_dumps(value, protocol)
        return data if len(data) != _COUNTER_LENGTH else data + b"."

    return dumps


def _plain_pickle_reader(read: Callable[[bytes | int], Any]) -> Callable[[bytes | int], Any]:
    pickle_loads = pickle.loads

    def loads(stored: bytes | int) -> Any:
        if isinstance(stored, bytes) and stored and stored[0] == _PLAIN_PICKLE:
            return pickle_loads(stored)
        return read(stored)

    return loads


def _readers(accept: Iterable[str]) -> dict[int, Callable[[bytes], Any]]:
    if isinstance(accept, str):
        raise Misconfigured(f"accept is a list of serializers: write [{accept!r}]")
    chosen = (choose(SERIALIZERS, name, "serializer") for name in accept)
    return {number: serializer.loads for number, serializer in chosen}


def _mac(key: bytes) -> hmac.HMAC:
    if not isinstance(key, bytes) or not key:
        raise Misconfigured("signing_keys is a list of keys, each of them bytes and not empty")
    # A key of its own for this purpose: the one given is often used elsewhere too (SECRET_KEY).
    return hmac.new(hmac.digest(key, _MAC_PURPOSE, "sha256"), digestmod="sha256")


def _signature(mac: hmac.HMAC, head: bytes, payload: bytes) -> bytes:
    mac = mac.copy()  # the key is already in it: half the time of starting from the key
    mac.update(head)
    mac.update(payload)
    return mac.digest()[:_MAC_LENGTH]


def _expanded(number: int, payload: bytes) -> bytes:
    name = _COMPRESSION_NAMES.get(number)
    if name is None:
        raise Unreadable(f"compression {number} is not one of kt-cache; delete the value")
    try:
        return COMPRESSIONS[name].decompress(payload)
    except Exception as error:  # a missing package, or damage: every package has its own errors
        raise Unreadable(f"compressed with {name} and cannot be expanded: {error!r}") from error
