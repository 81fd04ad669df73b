"""Clients of memcached: what the server does with requests of its text protocol, on a port of their own.

They have the first database. Flags are the last four bytes of a value where the options say so, and elsewhere lost.
Source: the Kyoto Tycoon protocol reference, section 11.
"""

from __future__ import annotations

import os
import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from kt_core.database.batch import Change
from kt_core.database.environment import Write
from kt_core.database.operations import Operations
from kt_core.errors import KTError, Misconfigured, ProtocolError
from kt_core.number import wrap_integer
from kt_core.server.call import Changing
from kt_core.server.channel import Channel
from kt_core.server.report import PROTOCOL
from kt_core.server.signals import Conditions
from kt_core.server.specs import options_of
from kt_core.wire.kt_binary import NEVER_XT
from kt_core.wire.memcached import Words, WordsDecoder
from kt_core.wire.numbers import parse_integer, parse_real

if TYPE_CHECKING:
    from kt_core.server.server import Server

Answer: TypeAlias = Any
"""The bytes of a reply, or what it waits for."""

_FLAGS: Final = Struct(">I")
_VERSION: Final = f"KyotoTycoon/{PROTOCOL}"
_FARTHEST: Final = 1 << 24  # seconds from now; what is beyond is a point in time
_ERROR: Final = b"ERROR\r\n"
_FEW_WORDS: Final = b"CLIENT_ERROR invalid parameters\r\n"
_READ_ONLY: Final = b"SERVER_ERROR server is read-only\r\n"
_STORED: Final = b"STORED\r\n"
_NOT_STORED: Final = b"NOT_STORED\r\n"
_END: Final = b"END\r\n"
_ONE_KEY: Final = re.compile(rb"get ([\x21-\xff]{1,250})\r\n").fullmatch
_UNASKED: Final = frozenset((_ERROR, _FEW_WORDS, _READ_ONLY))  # sent even to those who want no reply


@dataclass(frozen=True)
class MemcachedOptions:
    """How memcached's clients are served; times in seconds."""

    host: str | None = None
    """Where it listens; None for where the server itself does."""
    port: int = 11211
    """0 for a free one."""
    flags: bool = False
    """Whether flags are kept, behind the value, where clients of other protocols see them."""
    queue: bool = False
    """Whether `set` and `get` put messages into queues and take them out."""
    read_only: bool = False
    queue_timeout: float = 10.0
    """How long a message is waited for."""

    @classmethod
    def parse(cls, text: str) -> MemcachedOptions:
        """Read ``host=...#port=11211#opts=fqr#qtout=10``, or a part of it; `Misconfigured` for what cannot be."""
        named = options_of(f"#{text}")[1]
        letters = named.get("opts") or named.get("options", "")
        port = parse_integer(named.get("port", "").encode())
        patience = parse_real((named.get("qtout") or named.get("qtimeout", "")).encode())
        options = cls(
            named.get("host") or None,
            port if port > 0 else cls.port,
            "f" in letters,
            "q" in letters,
            "r" in letters,
            patience if patience > 0 else cls.queue_timeout,
        )
        if options.queue and options.read_only:
            raise Misconfigured(f"{text!r}: queues cannot be read only: leave out the q or the r of opts")
        return options


class Memcached:
    """What all connections of memcached's clients have in common."""

    def __init__(self, server: Server, options: MemcachedOptions, commands: Mapping[bytes, Command]) -> None:
        self.server = server
        self.options = options
        self.commands = commands
        self.counts: Counter[str] = Counter()
        self.leased: set[bytes] = set()
        """The keys of messages that a client has taken and not acknowledged."""
        self.arrivals = Conditions()
        """Of messages, by the name of the queue."""


class MemcachedConnection(Channel):
    """The server's end of a connection."""

    def __init__(self, memcached: Memcached) -> None:
        super().__init__(memcached.server)
        self.memcached = memcached
        self.server = memcached.server
        self.served = memcached.server.databases[0]
        self.leased: set[bytes] = set()
        """The keys of the messages that this client has taken and not acknowledged."""
        self._words = WordsDecoder(buffer=self._buffer)
        self._quick = not (memcached.options.queue or memcached.server.logs_requests)

    def data_received(self, data: bytes) -> None:
        # Most of what is asked for: fifty clients get 1.8 times as many answers without the general machinery.
        usual = self._quick and not (self._awaited or self._blocked or self._decoder is not None)
        asked = _ONE_KEY(data) if usual else None
        if asked is None:
            super().data_received(data)
            return
        if not self._vigil.heard:
            self._vigil.hear()
        try:
            found = self.served.find(asked[1])
        except KTError:
            self._advance(data)
            return
        counts = self.memcached.counts
        counts["get"] += 1
        if found is None:
            counts["get_misses"] += 1
            self._transport.write(_END)
        else:
            self._transport.write(shown(self, asked[1], found[0]) + _END)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.memcached.leased -= self.leased
        for key in self.leased:
            self.memcached.arrivals.signal(queue_of(key))

    def _choose(self, first: bytes) -> WordsDecoder:
        return self._words

    def _refuse_size(self) -> bytes:
        return b""

    def _handle(self, request: Words) -> None:
        self._answer(partial(answer, self, request), partial(self._reply, request))

    def _reply(self, request: Words, reply: bytes | KTError) -> None:
        name = request.words[0] if request.words else b""
        if isinstance(reply, ProtocolError):
            self.close()
            return
        command = self.memcached.commands.get(name)
        if isinstance(reply, KTError):
            assert command is not None
            self.server.log.error("%s: %s", self.peer, reply)
            self.memcached.counts[command.misses] += 1
            reply = b"SERVER_ERROR DB::%b failed\r\n" % (command.fails or "get").encode()
        if command is None or reply in _UNASKED or not command.is_silent(request.words):
            self._transport.write(reply)
        if self.server.logs_requests:
            told = "no command" if command is None else name.decode()  # it may be part of a value
            self.server.log.info("(%s): %s", self.peer, told)


class Command(NamedTuple):
    """A command: what answers it, the fewest words it has, what it is called in figures and in an error."""

    answer: Callable[[MemcachedConnection, Words], Answer]
    words: int = 1
    tally: str = ""
    fails: str = ""
    """The method that is said to have failed; a command that has one changes records, and may be silent."""

    @property
    def misses(self) -> str:
        """What counts its failures."""
        return f"{self.tally}_misses"

    def is_silent(self, words: tuple[bytes, ...]) -> bool:
        """Tell whether no reply is wanted."""
        return bool(self.fails) and b"noreply" in words[self.words :]


def queue_of(key: bytes) -> bytes:
    """Return the name of the queue that the key of a message belongs to."""
    return key.rsplit(b" ", 2)[0]


def answer(connection: MemcachedConnection, request: Words) -> Answer:
    """Return the reply to a request, or what it waits for; `ProtocolError` if the connection is to be closed."""
    memcached = connection.memcached
    command = memcached.commands.get(request.words[0]) if request.words else None
    if command is None:
        return _ERROR
    if command.fails and memcached.options.read_only:
        return _READ_ONLY
    if len(request.words) < command.words:
        return _FEW_WORDS
    if command.fails:
        memcached.counts[command.tally] += 1
    return command.answer(connection, request)


def value_of(connection: MemcachedConnection, request: Words) -> tuple[bytes, int]:
    """Return the value and the expiry that a request stores."""
    xt = parse_integer(request.words[3])
    expiry = connection.served.expiry(NEVER_XT if xt < 1 else -xt if xt > _FARTHEST else xt)
    if not connection.memcached.options.flags:
        return request.data, expiry
    return request.data + _FLAGS.pack(parse_integer(request.words[2]) & 0xFFFFFFFF), expiry


def shown(connection: MemcachedConnection, key: bytes, stored: bytes) -> bytes:
    """Return what a reply says of a record that was found."""
    value, flags = split(stored, connection.memcached.options.flags)
    return b"VALUE %b %d %d\r\n%b\r\n" % (key, _FLAGS.unpack(flags)[0] if flags else 0, len(value), value)


def split(stored: bytes, flagged: bool) -> tuple[bytes, bytes]:
    """Return the value and the bytes of its flags, if it has some."""
    if not flagged or len(stored) < _FLAGS.size:
        return stored, b""
    return stored[: -_FLAGS.size], stored[-_FLAGS.size :]


def _set(connection: MemcachedConnection, request: Words) -> Changing:
    operations = connection.served.operations
    row = operations.prepare(request.words[1], *value_of(connection, request))
    return _changing(connection, Change(operations.store, row, len(row[1])), request, _STORED, _NOT_STORED)


def _stores(operation: str) -> Callable[[MemcachedConnection, Words], Changing]:
    def answer(connection: MemcachedConnection, request: Words) -> Changing:
        key = request.words[1]
        value, expiry = value_of(connection, request)
        store = getattr(connection.served.operations, operation)
        change = Change(store, (key, value, expiry), len(key) + len(value))
        return _changing(connection, change, request, _STORED, _NOT_STORED)

    return answer


def _changing(
    connection: MemcachedConnection, change: Change, request: Words, done: bytes, not_done: bytes
) -> Changing:
    memcached = connection.memcached

    def reply(results: list[bool | None]) -> bytes:
        if results[0] is not False:
            return done
        memcached.counts[memcached.commands[request.words[0]].misses] += 1
        return not_done

    return Changing(connection.served, (change,), reply)


def _get(connection: MemcachedConnection, request: Words) -> bytes:
    keys, counts = request.words[1:], connection.memcached.counts
    found = connection.served.database.find_all(keys, connection.server.options.max_reply)
    counts["get"] += len(keys)
    counts["get_misses"] += found.count(None)
    records = zip(keys, found, strict=True)
    return b"".join([*(shown(connection, key, record[0]) for key, record in records if record is not None), _END])


def _delete(connection: MemcachedConnection, request: Words) -> Changing:
    change = Change(connection.served.operations.remove, (request.words[1],), 0)
    return _changing(connection, change, request, b"DELETED\r\n", b"NOT_FOUND\r\n")


def _adds(sign: int) -> Callable[[MemcachedConnection, Words], Changing]:
    def add(connection: MemcachedConnection, request: Words) -> Changing:
        memcached, key, number = connection.memcached, request.words[1], sign * parse_integer(request.words[2])
        arguments = (connection.served.operations, key, number, memcached.options.flags)

        def reply(results: list[int | None]) -> bytes:
            if results[0] is None:
                memcached.counts[memcached.commands[request.words[0]].misses] += 1
                return b"NOT_FOUND\r\n"
            return b"%d\r\n" % results[0]

        return Changing(connection.served, (Change(_add, arguments, len(key) + 24),), reply)

    return add


def _add(txn: Write, operations: Operations, key: bytes, number: int, flagged: bool) -> int | None:
    """Add to the number that a record holds as text, down to 0; it keeps its flags and its expiry."""
    record = operations.read(txn, key)
    if record is None:
        return None
    value, flags = split(record.value, flagged)
    total = max(wrap_integer(parse_integer(value) + number), 0)
    operations.put(txn, key, b"%d%b" % (total, flags), record.expiry)
    return total


def _flush_all(connection: MemcachedConnection, request: Words) -> Changing:
    def reply(_: object) -> bytes:
        connection.served.clears += 1
        return b"OK\r\n"

    return Changing(connection.served, (Change(connection.served.operations.clear, (), 0),), reply)


def _stats(connection: MemcachedConnection, request: Words) -> bytes:
    server, counts = connection.server, connection.memcached.counts
    now, status = server.clock(), connection.served.status()
    fields: dict[str, object] = {
        "pid": os.getpid(),
        "uptime": int(now - server.started),
        "time": int(now),
        "version": _VERSION,
        "pointer_size": struct.calcsize("P") * 8,
        "curr_connections": sum(isinstance(each, MemcachedConnection) for each in server.connections),
        "threads": 1,
        "curr_items": status[b"count"].decode(),
        "bytes": status[b"size"].decode(),
        **{f"db_{name.decode()}": value.decode() for name, value in sorted(status.items())},
    }
    for name in ("set", "get", "delete", "incr", "decr"):
        misses = counts[f"{name}_misses"]
        fields |= {f"{name}_hits": counts[name] - misses, f"{name}_misses": misses}
    fields |= {f"cmd_{name}": counts[name] for name in ("set", "get", "delete", "flush")}
    return "".join([*(f"STAT {name} {value}\r\n" for name, value in fields.items()), "END\r\n"]).encode()


def _version(connection: MemcachedConnection, request: Words) -> bytes:
    return f"VERSION {_VERSION}\r\n".encode()


def _quit(connection: MemcachedConnection, request: Words) -> bytes:
    raise ProtocolError("the client wants to end")


COMMANDS: Final[Mapping[bytes, Command]] = {
    b"set": Command(_set, 5, "set", "set"),
    b"add": Command(_stores("add"), 5, "set", "add"),
    b"replace": Command(_stores("replace"), 5, "set", "replace"),
    b"get": Command(_get),
    b"gets": Command(_get),
    b"delete": Command(_delete, 2, "delete", "remove"),
    b"incr": Command(_adds(1), 3, "incr", "accept"),
    b"decr": Command(_adds(-1), 3, "decr", "accept"),
    b"flush_all": Command(_flush_all, 1, "flush", "clear"),
    b"stats": Command(_stats),
    b"version": Command(_version),
    b"quit": Command(_quit),
}
