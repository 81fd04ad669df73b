"""What a transaction changes in a database, written to the update log before it is committed.

Every operation comes down to records stored, keys removed, and databases cleared: so the log tells what became of a
record, whatever was done to it. Source: the Kyoto Tycoon protocol reference, section 9.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from kt_core.database.environment import Environment, Write
from kt_core.database.operations import Operations
from kt_core.database.record import HEADER_SIZE, LONG_KEY, original_key, unpack_header, value_offset
from kt_core.server.expiry import to_xt
from kt_core.server.marks import LOGGED, Marks
from kt_core.server.tail import Piece, Tail
from kt_core.server.updates import UpdateLog
from kt_core.wire.kt_log import (
    ENTRY,
    ENTRY_END,
    TIMED,
    Clear,
    Remove,
    encode_entry,
    encode_payload,
    encode_set_head,
    stamp,
)

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

pack_timed = TIMED.pack


class LoggedOperations(Operations):
    """Operations on the database that has this number on the server; they note what they change."""

    def __init__(self, environment: Environment, log: UpdateLog, number: int, *, expires: bool) -> None:
        super().__init__(environment, 0)
        self.sid = log.sid
        """Where the changes began: here, unless they are those of a master."""
        self.noted: list[bytes] = []
        self.first = 0
        """The timestamp of the first change that is noted."""
        self.sids: set[int] = set()
        """Where those changes began that are noted."""
        self._log = log
        self._number = number
        self._expires = expires

    def begin(self) -> None:
        """Forget what is noted: a transaction begins."""
        self.noted.clear()
        self.sids.clear()

    def store(self, txn: Write, stored: bytes, raw: bytes) -> None:
        super().store(txn, stored, raw)
        self._note_rows([(stored, raw)])

    def store_rows(self, txn: Write, rows: list[tuple[bytes, bytes]]) -> int:
        count = super().store_rows(txn, rows)
        self._note_rows(rows)
        return count

    def delete(self, txn: Write, key: bytes) -> bool:
        self._note(Remove(self._number, key))
        return super().delete(txn, key)

    def remove(self, txn: Write, key: bytes) -> bool:
        self._note(Remove(self._number, key))  # whether there was a record or not: a slave may have one
        return super().remove(txn, key)

    def clear(self, txn: Write) -> None:
        self._note(Clear(self._number))
        super().clear(txn)

    def _stamp(self, count: int) -> int:
        ts = self._log.stamp(count)
        if not self.noted:
            self.first = ts
        self.sids.add(self.sid)
        return ts

    def _note(self, change: Remove | Clear) -> None:
        self.noted.append(encode_entry(self._stamp(1), encode_payload(self.sid, change)))

    def _note_rows(self, rows: list[tuple[bytes, bytes]]) -> None:
        ts, noted = self._stamp(len(rows)), self.noted
        # Most expire together, or never, and many are of the same size.
        stamps: dict[int, bytes] = {}
        heads: dict[tuple[int, int], tuple[bytes, int]] = {}
        for stored, raw in rows:
            expiry, flags = unpack_header(raw)
            before = stamps.get(expiry)
            if before is None:
                before = stamps[expiry] = stamp(to_xt(expiry) if self._expires else None)
            if stored < b"\1" or flags & LONG_KEY:
                key, value = original_key(stored, raw), raw[value_offset(raw) :]
            else:
                key, value = stored, raw[HEADER_SIZE:]
            sizes = len(key), len(before) + len(value)
            head = heads.get(sizes)
            if head is None:
                packed = encode_set_head(self.sid, self._number, *sizes)
                head = heads[sizes] = packed, len(packed) + sum(sizes)
            noted += pack_timed(ENTRY, ts, head[1]), head[0], key, before, value, ENTRY_END
            ts += 1


class LogJournal:
    """Runs operations on one database in transactions, and sees to it that the log tells what they change."""

    def __init__(
        self,
        environment: Environment,
        log: UpdateLog,
        number: int,
        marks: Marks | None = None,
        tail: Tail | None = None,
        *,
        expires: bool,
    ) -> None:
        self.operations = LoggedOperations(environment, log, number, expires=expires)
        self._environment = environment
        self._log = log
        self._marks = marks
        self._tail = tail

    def write(self, index: int, operation: Callable[[Write, *Ts], T], *args: *Ts) -> T:
        """Run an operation; what it changes is in the log when it returns, and is not if it fails."""
        log = self._log
        with log.lock:
            try:
                result = self._environment.write(index, self._run, operation, args)
            except BaseException:
                log.withdraw()
                raise
            log.commit()
            return result

    def _run(self, txn: Write, operation: Callable[..., T], args: tuple[object, ...]) -> T:
        operations = self.operations
        operations.begin()
        result = operation(txn, *args)
        if operations.noted:
            sid = next(iter(operations.sids)) if len(operations.sids) == 1 else None
            self._append(txn, b"".join(operations.noted), sid)
            if self._marks is not None:
                self._marks.put(txn, LOGGED, self._log.last)
        return result

    def _append(self, txn: Write, entries: bytes, sid: int | None) -> None:
        log, tail, durable = self._log, self._tail, self._environment.durable
        start = log.append(entries, self.operations.first, sid, durable=durable)
        if tail is not None and log.is_settled and tail.takes(len(entries)):
            tail.put(txn, Piece(start, log.sure, entries))
        elif durable:
            log.flush()
            if tail is not None:
                tail.begin_over()
