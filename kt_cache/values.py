"""The form in which a cached value is stored: a counter, or a header byte and a payload.

================  ====================================================================================
an `int`          exactly an int, of 64 bits: kept by the store as a counter of 8 bytes, big-endian
``0x80`` ...      a plain pickle: every pickle since protocol 2 begins with that byte
``0sssccc0`` ...  bits ``sss``: serializer (0 raw, 1 json, 2 msgpack, 3 pickle, 7 custom);
                  bits ``ccc``: compression (0 none, 1 zlib, 2 lzma, 3 bz2, 4 lz4, 5 zstd, 6 brotli)
``0sssccc1`` ...  the same, signed: 16 bytes of HMAC-SHA256 come before the payload
``0101000x`` ...  the terms under which a value holds (`kt_cache.terms`), after two bytes that tell their length,
                  and then the value, unsigned, in any of these forms
``0x40`` ...      8 bytes of the third form, moved out of a counter's length
================  ====================================================================================

Eight bytes mean a counter, so nothing else may be that long: a plain pickle gets one byte more at its end,
which unpickling ignores; the third form gets ``0x40`` (serializer 4, which does not exist) before its header;
a signed value is always longer. The payload is serialized, then compressed, then signed; read the other way
round, so that nothing is expanded or unpickled that the keys do not vouch for. The signature covers the record's key,
the header and the payload: it says who wrote a value and where, so that none can be put under another key. It does not
say when: whoever can write to the store can bring back what once was under the same key. Counters are never signed,
since the store itself changes them.
"""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Any, NamedTuple, Protocol

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

_TERMS_ID = 5
_SIZE = Struct(">H")
_INT = Struct(">q")

_SAFE = ("raw", "json", "msgpack")
_PICKLE_ID = SERIALIZERS["pickle"][0]
_SERIALIZER_NAMES = {number: name for name, (number, _) in SERIALIZERS.items()} | {CUSTOM: "custom"}
_COMPRESSION_NAMES = {compression.id: name for name, compression in COMPRESSIONS.items()}


class Unreadable(KTError):
    """The stored bytes are not something this codec may or can read."""


class Conditional(Unreadable):
    """The value holds under terms that reading alone cannot check; `load` returns it."""

    def __init__(self, terms: bytes, load: Callable[[], Any]) -> None:
        super().__init__("stored with tags, or to be served while it is stale; read it through KTCache")
        self.terms = terms
        self.load = load


class Dumps(Protocol):
    """Turn a value into what a store keeps under a key."""

    def __call__(self, value: object, key: bytes, /) -> bytes | int: ...


class Loads(Protocol):
    """Turn what a store keeps under a key into the value."""

    def __call__(self, stored: bytes | int, key: bytes, /) -> Any: ...


class Codec:
    """Turn Python values into what a store keeps under their keys, and back.

    `accept` names the serializers that may be read besides the codec's own; without it these are all that run
    no code (raw, json, msgpack). With `signing_keys` the first key signs, all of them verify, and nothing
    unsigned is read but counters. Errors of pickle and of custom serializers propagate as they are.
    """

    # dumps(value, key): an int of 64 bits as it is, anything else as bytes.
    dumps: Dumps
    # loads(stored, key): the value; Unreadable when this codec may not or cannot read it.
    loads: Loads

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

    def dumps_with(self, terms: bytes, value: object, key: bytes) -> bytes:
        """Return a value's stored form with the terms under which it holds."""
        inner = self._plain(value)
        payload = _SIZE.pack(len(terms)) + terms + (inner if isinstance(inner, bytes) else _INT.pack(inner))
        stored = self._signed(_TERMS_ID << 4, payload, key)
        return stored if len(stored) != _COUNTER_LENGTH else _PAD + stored

    def rekey(self, stored: bytes | int, source: bytes, target: bytes) -> bytes | int:
        """Return the stored form that is under one key as it is to be under another."""
        if isinstance(stored, int) or not self._macs:
            return stored
        return self._signed(*self._open(stored, source), target)

    def _write(self, value: object, key: bytes) -> bytes | int:
        stored = self._plain(value)
        if self._macs and isinstance(stored, bytes):
            return self._signed(*_split(stored), key)
        return stored

    def _plain(self, value: object) -> bytes | int:
        if type(value) is int and INT64_MIN <= value <= INT64_MAX:
            return value
        payload = self._serializer.dumps(value)
        header = self._id << 4
        if self._compression is not None and self._compress_min_length <= len(payload) <= MAX_EXPANDED:
            compressed = self._compression.compress(payload, self._compress_level)
            if len(compressed) < len(payload):
                payload = compressed
                header |= self._compression.id << 1
        if header == _PICKLE_ID << 4:
            return payload if len(payload) != _COUNTER_LENGTH else payload + b"."
        stored = bytes((header,)) + payload
        return stored if len(stored) != _COUNTER_LENGTH else _PAD + stored

    def _signed(self, header: int, payload: bytes, key: bytes) -> bytes:
        if not self._macs:
            return bytes((header,)) + payload
        head = bytes((header | _SIGNED,))
        return head + _signature(self._macs[0], head, key, payload) + payload

    def _read(self, stored: bytes | int, key: bytes) -> Any:
        if isinstance(stored, int):
            return stored
        header, payload = self._open(stored, key)
        if header == _TERMS_ID << 4:
            terms, inner = _take_terms(payload)
            raise Conditional(terms, lambda: self._load_inner(inner))
        return self._load(header, payload)

    def _load_inner(self, stored: bytes) -> Any:
        if len(stored) == _COUNTER_LENGTH:
            return _INT.unpack(stored)[0]
        return self._load(*_split(stored))

    def _load(self, header: int, payload: bytes) -> Any:
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
            # Not what the error says: it quotes the value.
            name = type(error).__name__
            raise Unreadable(f"damaged {_SERIALIZER_NAMES[number]} ({name}); delete the value") from error

    def _open(self, stored: bytes, key: bytes) -> tuple[int, bytes]:
        """Return header and payload of what the keys vouch for."""
        header, payload = _split(stored)
        if header & _SIGNED and header < _PLAIN_PICKLE:
            if not self._macs:
                raise Unreadable("signed, and no signing key is configured; configure the writer's key")
            signature, payload = payload[:_MAC_LENGTH], payload[_MAC_LENGTH:]
            head = bytes((header,))
            if not any(hmac.compare_digest(_signature(mac, head, key, payload), signature) for mac in self._macs):
                raise Unreadable("the signature fits none of the keys; keep a replaced key as a later one")
            return header & ~_SIGNED, payload
        if self._macs:
            raise Unreadable("not signed, and signing keys are configured; delete the value")
        return header, payload


class Form(NamedTuple):
    """What a value's header says of the form it is stored in; no key was asked and nothing was read.

    `serializer` and `compression` are names (``counter`` for a number under terms), or say which number is unknown;
    `terms` is None for none.
    """

    serializer: str
    compression: str | None
    is_signed: bool
    terms: bytes | None
    payload: bytes


def form_of(stored: bytes) -> Form:
    """Take a stored value apart; `Unreadable` if no codec has written it."""
    header, payload = _split(stored)
    is_signed = bool(header & _SIGNED)
    if is_signed:
        payload = payload[_MAC_LENGTH:]
    terms = None
    if header >> 4 == _TERMS_ID:
        terms, inner = _take_terms(payload)
        if len(inner) == _COUNTER_LENGTH:
            return Form("counter", None, is_signed, terms, inner)
        header, payload = _split(inner)
    number, compression = header >> 4, header >> 1 & 7
    return Form(
        _SERIALIZER_NAMES.get(number, f"unknown ({number})"),
        _COMPRESSION_NAMES.get(compression, f"unknown ({compression})") if compression else None,
        is_signed,
        terms,
        payload,
    )


def _split(stored: bytes) -> tuple[int, bytes]:
    """Return header and payload."""
    if not stored:
        raise Unreadable("an empty value has no header; delete it")
    if len(stored) == _COUNTER_LENGTH + 1 and stored.startswith(_PAD):
        stored = stored[1:]
    header = stored[0]
    return (header, stored[1:]) if header != _PLAIN_PICKLE else (_PICKLE_ID << 4, stored)


def _take_terms(payload: bytes) -> tuple[bytes, bytes]:
    if len(payload) >= _SIZE.size:
        end = _SIZE.size + _SIZE.unpack_from(payload)[0]
        if end < len(payload):
            return payload[_SIZE.size : end], payload[end:]
    raise Unreadable("damaged terms; delete the value")


def _plain_pickle_writer(protocol: int) -> Dumps:
    pickle_dumps = pickle.dumps

    def dumps(value: object, key: bytes, /) -> bytes | int:
        if type(value) is int and INT64_MIN <= value <= INT64_MAX:
            return value
        data = pickle_dumps(value, protocol)
        return data if len(data) != _COUNTER_LENGTH else data + b"."

    return dumps


def _plain_pickle_reader(read: Loads) -> Loads:
    pickle_loads = pickle.loads

    def loads(stored: bytes | int, key: bytes, /) -> Any:
        if isinstance(stored, bytes) and stored and stored[0] == _PLAIN_PICKLE:
            return pickle_loads(stored)
        return read(stored, key)

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


def _signature(mac: hmac.HMAC, head: bytes, key: bytes, payload: bytes) -> bytes:
    mac = mac.copy()  # the key is already in it: half the time of starting from the key
    mac.update(head + len(key).to_bytes(4, "big") + key)
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
