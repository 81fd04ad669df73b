"""Batches through the real client: every row for itself, and the whole."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aerospike.calling import (
    CREATE,
    EXISTS,
    FILTERED_OUT,
    GENERATION,
    INVALID,
    KEEP,
    MISSING,
    OK,
    PARTLY_FAILED,
    UPDATE,
    WRONG_TYPE,
    Key,
    bins,
    meta,
)

records = pytest.importorskip("aerospike_helpers.batch.records")
operations = pytest.importorskip("aerospike_helpers.operations.operations")
expressions = pytest.importorskip("aerospike_helpers.expressions")


def results(batch: Any) -> list[int]:
    """Return the rows' result codes."""
    return [row.result for row in batch.batch_records]


def rows(client: Any, *each: Any) -> tuple[int, list[int]]:
    """Send rows in one batch and return the result codes, of the whole and of each."""
    batch = client.batch_write(records.BatchRecords(list(each)))
    return batch.result, results(batch)


@pytest.mark.parametrize("count", [1, 2, 3, 1000])
class TestOfAnySize:
    """A batch of one key is sent as a message for a record."""

    def test_is_written_and_read(self, native: Any, record_keys: list[Key], count: int) -> None:
        some = record_keys[:count]
        written = native.batch_operate(some, [operations.write("v", b"x"), operations.write("n", 1)], {}, {"ttl": 100})
        assert (written.result, set(results(written))) == (OK, {OK})

        read = native.batch_read([*some, record_keys[-1]])
        assert [row.record and row.record[2] for row in read.batch_records] == [{"v": b"x", "n": 1}] * count + [None]
        assert results(read) == [OK] * count + [MISSING]
        assert read.result == OK
        assert all(95 <= row.record[1]["ttl"] <= 100 for row in read.batch_records[:count])

    def test_selects(self, native: Any, record_keys: list[Key], count: int) -> None:
        some = record_keys[:count]
        native.batch_operate(some, [operations.write("v", 1), operations.write("n", 1)])

        assert [row.record[2] for row in native.batch_read(some, ["v", "x"]).batch_records] == [{"v": 1}] * count
        assert [row.record[1]["gen"] for row in native.batch_read(some, []).batch_records] == [1] * count

    def test_is_removed(self, native: Any, record_keys: list[Key], count: int) -> None:
        some = record_keys[:count]
        native.batch_operate(some, [operations.write("v", 1)])

        assert results(native.batch_remove([*some, record_keys[-1]])) == [OK] * count + [MISSING]
        assert results(native.batch_read(some)) == [MISSING] * count

    def test_counts_and_touches(self, native: Any, record_keys: list[Key], count: int) -> None:
        some = record_keys[:count]
        native.batch_operate(some, [operations.write("v", 1)])
        asked = [operations.increment("v", 2), operations.read("v")]

        counted = native.batch_operate(some, asked, {}, {"ttl": 100})
        assert [row.record[2]["v"] for row in counted.batch_records] == [3] * count

        touched = native.batch_operate([*some, record_keys[-1]], [operations.touch()], {}, {"ttl": 1000})
        assert results(touched) == [OK] * count + [MISSING]
        assert [995 <= meta(native, key)[0] <= 1000 for key in some[:3]] == [True] * len(some[:3])


class TestRows:
    def test_fail_on_their_own(self, native: Any, record_keys: list[Key]) -> None:
        native.put(record_keys[0], {"v": 1})
        native.put(record_keys[1], {"v": "text"})

        assert rows(
            native,
            records.Write(record_keys[0], [operations.write("v", 2)], policy={"exists": CREATE}),
            records.Write(record_keys[1], [operations.increment("v", 2)]),
            records.Write(record_keys[2], [operations.write("v", 2)], policy={"exists": UPDATE}),
            records.Write(record_keys[3], [operations.write("v", 2)], policy={"ttl": 315_360_001}),
            records.Write(record_keys[4], [operations.write("v", 2)], meta={"gen": 7}, policy={"gen": 1}),
            records.Write(record_keys[5], [operations.write("v", 2)]),
        ) == (PARTLY_FAILED, [EXISTS, WRONG_TYPE, MISSING, INVALID, GENERATION, OK])
        assert bins(native, record_keys[0]) == {"v": 1}
        assert bins(native, record_keys[5]) == {"v": 2}

    def test_have_lives_of_their_own(self, native: Any, record_keys: list[Key]) -> None:
        write = [operations.write("v", b"ab")]
        sent = [records.Write(key, write, policy={"ttl": 1000 * (n + 1)}) for n, key in enumerate(record_keys[:3])]

        assert rows(native, *sent) == (OK, [OK] * 3)
        assert [-(-meta(native, key)[0] // 1000) for key in record_keys[:3]] == [1, 2, 3]

    def test_are_done_in_order(self, native: Any, record_keys: list[Key]) -> None:
        sent = [records.Write(record_keys[0], [operations.write("v", number)]) for number in range(3)]

        assert rows(native, *sent) == (OK, [OK] * 3)
        assert bins(native, record_keys[0]) == {"v": 2}
        assert meta(native, record_keys[0])[1] == 3

    def test_of_every_kind_go_together(self, native: Any, record_keys: list[Key]) -> None:
        native.put(record_keys[0], {"v": 1})
        sent = records.BatchRecords(
            [
                records.Read(record_keys[0], [operations.read("v")]),
                records.Write(record_keys[1], [operations.write("v", 5)], policy={"ttl": KEEP}),
                records.Remove(record_keys[0]),
                records.Read(record_keys[0], None, read_all_bins=True),
            ]
        )
        native.batch_write(sent)

        assert results(sent) == [OK, OK, OK, MISSING]
        assert sent.batch_records[0].record[2] == {"v": 1}

    def test_are_filtered(self, native: Any, record_keys: list[Key]) -> None:
        native.put(record_keys[0], {"v": 1})
        native.put(record_keys[1], {"v": 5})
        below = expressions.LE(expressions.IntBin("v"), 3).compile()
        counted = native.batch_operate(record_keys[:2], [operations.increment("v", 1)], {}, {"expressions": below})

        assert results(counted) == [OK, FILTERED_OUT]

    def test_keep_their_keys(self, native: Any, record_keys: list[Key]) -> None:
        native.batch_operate(record_keys[:2], [operations.write("v", 1)], {}, {"key": 1})
        exists = {"expressions": expressions.KeyExists().compile()}

        assert [native.get(key, exists)[2] for key in record_keys[:2]] == [{"v": 1}] * 2

    def test_may_be_of_several_sets(self, native: Any, record_keys: list[Key]) -> None:
        mixed = [record_keys[0], (record_keys[0][0], "other", record_keys[0][2]), record_keys[1]]
        native.batch_operate(mixed, [operations.write("v", 1)])
        native.batch_remove([mixed[1]])

        assert results(native.batch_read(mixed)) == [OK, MISSING, OK]

    def test_none_at_all(self, native: Any) -> None:
        assert results(native.batch_read([])) == []
