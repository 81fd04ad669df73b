"""The database against a plain dict, in sequences of operations that nobody would think of."""

from __future__ import annotations

import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kt_core.database import NEVER, Database, DatabaseOptions, Environment, Origin, Record
from kt_core.database.options import Durability
from kt_core.errors import NotACounter
from kt_core.number import add_double, decode_double, encode_double
from tests.clock import Clock

PREFIX = b"p" * 479
POOL = [b"", b"\0", b"\0a", b"a", b"ab", b"q" * 510, b"q" * 511, b"q" * 600, PREFIX + b"1" * 100, PREFIX + b"2" * 100]
KEYS = st.sampled_from(POOL)
COUNTER, DOUBLE = struct.pack(">q", 40), encode_double(1.75)
VALUES = st.sampled_from([b"", COUNTER, b"textual!", DOUBLE, bytes(range(250)) * 20])
NUMBERS = st.sampled_from([0, 1, -3, (1 << 63) - 1])
FRACTIONS = st.sampled_from([0.0, 0.5, -0.75, 1e-18, float("inf")])
WORDS = [Origin.TRY, Origin.SET]
LIVES = st.sampled_from([-1.0, 0.0, 0.5, 3.0, 1000.0, None])
"""How many seconds a record is given from now; None is for ever."""

PREFIXES = st.sampled_from([b"", b"\0", b"a", b"q", PREFIX, PREFIX + b"1", b"q" * 511, b"z"])


class Model(RuleBasedStateMachine):
    """Runs each operation on both and compares what they return, and after each what they hold."""

    durability: Durability

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.clock = Clock()
        options = DatabaseOptions(max_size=2 << 20, durability=self.durability)
        self.environment = Environment.open(self.directory, options, clock=self.clock)
        self.database = Database(self.environment)
        self.records: dict[bytes, Record] = {}

    def teardown(self) -> None:
        self.environment.close()
        shutil.rmtree(self.directory)

    # -- the model -------------------------------------------------------------------------------------

    def expiry(self, life: float | None) -> int:
        return NEVER if life is None else self.clock.after(life)

    def live(self, key: bytes) -> Record | None:
        record = self.records.get(key)
        return record if record is not None and record.expiry > self.clock.after(0) else None

    def all_live(self, prefix: bytes = b"") -> dict[bytes, Record]:
        return {key: record for key in self.records if key.startswith(prefix) and (record := self.live(key))}

    # -- rules -----------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.25, 1.0, 5.0, 2000.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(key=KEYS, value=VALUES, life=LIVES)
    def set(self, key: bytes, value: bytes, life: float | None) -> None:
        self.records[key] = Record(value, self.expiry(life))
        self.database.set(key, value, self.expiry(life))

    @rule(key=KEYS, value=VALUES, life=LIVES)
    def add(self, key: bytes, value: bytes, life: float | None) -> None:
        missing = self.live(key) is None
        if missing:
            self.records[key] = Record(value, self.expiry(life))
        assert self.database.add(key, value, self.expiry(life)) is missing

    @rule(key=KEYS, value=VALUES, life=LIVES)
    def replace(self, key: bytes, value: bytes, life: float | None) -> None:
        present = self.live(key) is not None
        if present:
            self.records[key] = Record(value, self.expiry(life))
        assert self.database.replace(key, value, self.expiry(life)) is present

    @rule(key=KEYS, value=VALUES, life=LIVES)
    def append(self, key: bytes, value: bytes, life: float | None) -> None:
        record = self.live(key)
        whole = (record.value if record else b"") + value
        if len(whole) > 20_000:
            return
        self.records[key] = Record(whole, self.expiry(life))
        self.database.append(key, value, self.expiry(life))

    @rule(key=KEYS, number=NUMBERS, origin=st.sampled_from([0, 7, *WORDS]), life=LIVES, keep=st.booleans())
    def increment(self, key: bytes, number: int, origin: int | Origin, life: float | None, keep: bool) -> None:
        record, expiry, total = self.live(key), self.expiry(life), None
        if record is not None and len(record.value) != 8:
            total = NotACounter
        elif record is None:
            if origin is not Origin.TRY:
                total = number + (0 if isinstance(origin, Origin) else origin)
        elif origin is Origin.SET or number != 0:
            total = number if origin is Origin.SET else number + int.from_bytes(record.value, "big", signed=True)
            expiry = record.expiry if keep else expiry
        else:
            total, expiry = int.from_bytes(record.value, "big", signed=True), record.expiry
        if isinstance(total, int):
            total = (total + (1 << 63)) % (1 << 64) - (1 << 63)
            self.records[key] = Record(total.to_bytes(8, "big", signed=True), expiry)
        arguments = (key, number, origin, self.expiry(life))
        assert self.outcome(self.database.increment, *arguments, keep_expiry=keep) == total

    @rule(key=KEYS, number=FRACTIONS, origin=st.sampled_from([0.0, 7.25, *WORDS]), life=LIVES)
    def increment_double(self, key: bytes, number: float, origin: float | Origin, life: float | None) -> None:
        record, value, expiry = self.live(key), None, self.expiry(life)
        if record is not None and len(record.value) != 16:
            value = NotACounter
        elif record is None:
            if origin is not Origin.TRY:
                value = add_double(encode_double(0.0 if isinstance(origin, Origin) else origin), number)
        elif origin is Origin.SET:
            value = encode_double(number)
        elif number == 0 or abs(decode_double(record.value)) == float("inf"):
            value, expiry = record.value, record.expiry
        else:
            value = add_double(record.value, number)
        total = decode_double(value) if isinstance(value, bytes) else value
        if isinstance(value, bytes):
            self.records[key] = Record(value, expiry)
        assert self.outcome(self.database.increment_double, key, number, origin, self.expiry(life)) == total

    @rule(key=KEYS, old=st.none() | VALUES, new=st.none() | VALUES, life=LIVES, right=st.booleans(), keep=st.booleans())
    def cas(
        self, key: bytes, old: bytes | None, new: bytes | None, life: float | None, right: bool, keep: bool
    ) -> None:
        record = self.live(key)
        present = record.value if record is not None else None
        if right:
            old = present
        if old == present:
            if new is not None:
                self.records[key] = Record(new, record.expiry if keep and record else self.expiry(life))
            elif record is not None:
                del self.records[key]
        assert self.database.cas(key, old, new, self.expiry(life), keep_expiry=keep) is (old == present)

    @rule(key=KEYS, life=LIVES)
    def touch(self, key: bytes, life: float | None) -> None:
        record = self.live(key)
        if record is not None:
            self.records[key] = Record(record.value, self.expiry(life))
        assert self.database.touch(key, self.expiry(life)) is (record is not None)

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        present = self.live(key) is not None
        self.records.pop(key, None)
        assert self.database.remove(key) is present

    @rule(key=KEYS)
    def seize(self, key: bytes) -> None:
        record = self.live(key)
        if record is not None:
            del self.records[key]
        assert self.database.seize(key) == record

    @rule(items=st.lists(st.tuples(KEYS, VALUES, LIVES), max_size=6), atomic=st.booleans())
    def set_bulk(self, items: list[tuple[bytes, bytes, float | None]], atomic: bool) -> None:
        for key, value, life in items:
            self.records[key] = Record(value, self.expiry(life))
        told = [(key, value, self.expiry(life)) for key, value, life in items]
        assert self.database.set_bulk(told, atomic=atomic) == len(items)

    @rule(values=st.dictionaries(KEYS, VALUES, max_size=6), life=LIVES)
    def set_all(self, values: dict[bytes, bytes], life: float | None) -> None:
        self.records |= {key: Record(value, self.expiry(life)) for key, value in values.items()}
        assert self.database.set_all(values, self.expiry(life)) == len(values)

    @rule(keys=st.lists(KEYS, max_size=6), atomic=st.booleans())
    def remove_bulk(self, keys: list[bytes], atomic: bool) -> None:
        present = sum(self.live(key) is not None for key in {*keys})
        for key in keys:
            self.records.pop(key, None)
        assert self.database.remove_bulk(keys, atomic=atomic) == present

    @rule()
    def clear(self) -> None:
        self.records.clear()
        self.database.clear()

    @rule()
    def vacuum(self) -> None:
        """How many there still were, nobody knows: writes reclaim some, too."""
        assert self.database.vacuum() <= len(self.records) - len(self.all_live())
        self.records = self.all_live()
        assert self.database.count() == len(self.records)

    @rule(prefix=PREFIXES)
    def keys(self, prefix: bytes) -> None:
        found = list(self.database.keys(prefix))
        assert sorted(found) == sorted(self.all_live(prefix))
        assert {*self.all_live(prefix)} <= {*self.database.match_prefix(prefix)} <= {*self.records}

    @rule(prefix=PREFIXES)
    def scan(self, prefix: bytes) -> None:
        found = list(self.database.scan(prefix))
        assert sorted(found) == sorted(self.all_live(prefix).items())
        beginnings = [key[:478] for key, _ in found]
        assert beginnings == sorted(beginnings)

    # -- what holds after each -------------------------------------------------------------------------

    @invariant()
    def all_ways_to_read_agree(self) -> None:
        live = self.all_live()
        assert self.database.get_bulk(POOL) == {key: record.value for key, record in live.items()}
        for key in POOL:
            record = live.get(key)
            assert self.database.get(key) == (record.value if record else None)
            assert self.database.get_record(key) == record
            assert self.database.check(key) == ((len(record.value), record.expiry) if record else None)
        assert len(live) <= self.database.count() <= len(self.records)

    @staticmethod
    def outcome(operation: Any, *arguments: Any, **more: Any) -> Any:
        try:
            return operation(*arguments, **more)
        except NotACounter:
            return NotACounter


class ProcessModel(Model):
    durability = "process"


class CommitModel(Model):
    durability = "commit"


TestProcess = ProcessModel.TestCase
TestProcess.settings = settings(max_examples=150, stateful_step_count=50)
TestCommit = CommitModel.TestCase
TestCommit.settings = settings(max_examples=40, stateful_step_count=30)
