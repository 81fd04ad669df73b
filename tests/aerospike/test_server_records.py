"""Single records through the real client: every server answers the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.aerospike.calling import (
    CREATE,
    CREATE_OR_REPLACE,
    EXISTS,
    FILTERED_OUT,
    FORBIDDEN,
    GENERATION,
    INVALID,
    KEEP,
    KEY_MISMATCH,
    MISSING,
    NEVER,
    OK,
    REPLACE,
    TOO_BIG,
    UPDATE,
    WRONG_TYPE,
    Key,
    bins,
    code,
    connect,
    meta,
    names,
)
from tests.aerospike.server import Cluster
from tests.aerospike.server.operations import execute
from tests.aerospike.server.records import Namespace
from tests.aerospike.server.wire import Code, Field, Message, Op, Particle
from tests.fix_aerospike import Place

aerospike = pytest.importorskip("aerospike")
operations = pytest.importorskip("aerospike_helpers.operations.operations")
expressions = pytest.importorskip("aerospike_helpers.expressions")

LIMIT = 1 << 63

OLD_STRINGS = pytest.mark.filterwarnings("ignore:.*is deprecated for strings:DeprecationWarning")
"""The client warns of operations that later servers do not have."""


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            0,
            -1,
            LIMIT - 1,
            -LIMIT,
            1.5,
            True,
            "text",
            "",
            b"",
            b"\0\xff",
            [],
            [1, "a", b"b", [2.5, None]],
            {},
            {"a": {"b": [1]}, 2: b"c"},
            b"x" * 100_000,
        ],
        ids=lambda value: repr(value)[:30],
    )
    def test_comes_back(self, native: Any, record_key: Key, value: object) -> None:
        native.put(record_key, {"v": value})

        assert bins(native, record_key) == {"v": value}

    def test_geojson_comes_back(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"v": aerospike.GeoJSON({"type": "Point", "coordinates": [-120.5, 37]})})

        assert native.get(record_key)[2]["v"].unwrap() == {"type": "Point", "coordinates": [-120.5, 37]}

    @pytest.mark.parametrize("coordinates", [[181, 0], [0, -91]])
    def test_geojson_has_to_be_on_earth(self, native: Any, record_key: Key, coordinates: list[float]) -> None:
        place = aerospike.GeoJSON({"type": "Point", "coordinates": coordinates})

        assert code(native.put, record_key, {"v": place}) == 160

    @pytest.mark.parametrize("place", ["test", "server"])
    @pytest.mark.parametrize("primary", ["text", 7, -1, bytearray(b"\0\xff")], ids=repr)
    def test_every_kind_of_key_is_found_again(self, native: Any, record_key: Key, primary: object, place: str) -> None:
        key = (record_key[0], place, primary)
        native.put(key, {"v": repr(primary)})

        assert bins(native, key) == {"v": repr(primary)}
        native.remove(key)

    def test_select_leaves_out_what_is_absent(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"a": 1, "b": 2, "c": 3})

        assert native.select(record_key, ["a", "c", "d"])[2] == {"a": 1, "c": 3}

    def test_none_removes_a_bin_and_with_the_last_one_the_record(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"a": 1, "b": 2})
        native.put(record_key, {"a": None})
        assert bins(native, record_key) == {"b": 2}

        native.put(record_key, {"b": None})
        assert bins(native, record_key) is None


class TestExists:
    @pytest.mark.parametrize(
        ("policy", "expected", "after"),
        [
            (0, OK, {"v": 1}),
            (CREATE, OK, {"v": 1}),
            (UPDATE, MISSING, None),
            (REPLACE, MISSING, None),
            (CREATE_OR_REPLACE, OK, {"v": 1}),
        ],
    )
    def test_of_a_missing_record(
        self, native: Any, record_key: Key, policy: int, expected: int, after: dict[str, int] | None
    ) -> None:
        assert code(native.put, record_key, {"v": 1}, policy={"exists": policy}) == expected
        assert bins(native, record_key) == after

    @pytest.mark.parametrize(
        ("policy", "expected", "after"),
        [
            (0, OK, {"old": 0, "v": 1}),
            (CREATE, EXISTS, {"old": 0}),
            (UPDATE, OK, {"old": 0, "v": 1}),
            (REPLACE, OK, {"v": 1}),
            (CREATE_OR_REPLACE, OK, {"v": 1}),
        ],
    )
    def test_of_a_record(self, native: Any, record_key: Key, policy: int, expected: int, after: dict[str, int]) -> None:
        native.put(record_key, {"old": 0})

        assert code(native.put, record_key, {"v": 1}, policy={"exists": policy}) == expected
        assert bins(native, record_key) == after

    def test_none_cannot_be_put_in_the_place_of_a_record(self, native: Any, record_key: Key) -> None:
        assert code(native.put, record_key, {"v": None}, policy={"exists": CREATE_OR_REPLACE}) == INVALID


class TestGeneration:
    def test_counts_every_write(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"v": 1})
        native.touch(record_key, 100)
        native.operate(record_key, [operations.increment("v", 1), operations.read("v")])
        native.get(record_key)

        assert meta(native, record_key)[1] == 3

    @pytest.mark.parametrize(
        ("policy", "generation", "expected"),
        [(1, 2, OK), (1, 1, GENERATION), (1, 0, GENERATION), (1, 3, GENERATION), (2, 3, OK), (2, 2, GENERATION)],
    )
    def test_is_compared(self, native: Any, record_key: Key, policy: int, generation: int, expected: int) -> None:
        native.put(record_key, {"v": 1})
        native.put(record_key, {"v": 2})

        assert code(native.put, record_key, {"v": 3}, {"gen": generation}, {"gen": policy}) == expected
        assert bins(native, record_key) == {"v": 3 if expected == OK else 2}

    @pytest.mark.parametrize(("generation", "expected"), [(0, OK), (1, GENERATION)])
    def test_of_a_missing_record_is_0(self, native: Any, record_key: Key, generation: int, expected: int) -> None:
        assert code(native.put, record_key, {"v": 3}, {"gen": generation}, {"gen": 1}) == expected

    def test_begins_anew_with_the_record(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"v": 1})
        native.put(record_key, {"v": 1})
        native.remove(record_key)
        native.put(record_key, {"v": 1})

        assert meta(native, record_key)[1] == 1


class TestTtl:
    @pytest.mark.parametrize(
        ("ttl", "of_new", "of_old"),
        [(50, 50, 50), (315_360_000,) * 3, (0, NEVER, NEVER), (NEVER,) * 3, (KEEP, NEVER, 1000)],
    )
    def test_of_a_write(self, native: Any, record_key: Key, ttl: int, of_new: int, of_old: int) -> None:
        native.put(record_key, {"v": 1}, policy={"ttl": ttl})
        assert _about(meta(native, record_key)[0], of_new)

        native.put(record_key, {"v": 1}, policy={"ttl": 1000})
        native.put(record_key, {"v": 2}, policy={"ttl": ttl})
        assert _about(meta(native, record_key)[0], of_old)

    @pytest.mark.parametrize("ttl", [315_360_001, 1 << 31, 0xFFFFFFFC])
    def test_beyond_ten_years_is_refused(self, native: Any, record_key: Key, ttl: int) -> None:
        assert code(native.put, record_key, {"v": 1}, policy={"ttl": ttl}) == INVALID
        assert bins(native, record_key) is None

    @pytest.mark.parametrize(("ttl", "expected"), [(50, 50), (0, NEVER), (NEVER, NEVER), (KEEP, 1000)])
    def test_of_a_touch(self, native: Any, record_key: Key, ttl: int, expected: int) -> None:
        native.put(record_key, {"v": 1}, policy={"ttl": 1000})
        native.touch(record_key, ttl)

        assert _about(meta(native, record_key)[0], expected)

    def test_of_a_missing_record_cannot_be_touched(self, native: Any, record_key: Key) -> None:
        assert code(native.touch, record_key, 10) == MISSING
        assert code(native.operate, record_key, [operations.touch(), operations.write("v", 1)]) == MISSING

    def test_is_renewed_by_reads_that_ask_for_it(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"v": 1}, policy={"ttl": 1000})
        _, first, _ = native.get(record_key, policy={"read_touch_ttl_percent": 100})

        assert first["gen"] == meta(native, record_key)[1] == 1


def _about(found: int, expected: int) -> bool:
    """Leave a few seconds for slow machines."""
    return found == expected or expected - 5 <= found <= expected


class TestOperations:
    def test_are_done_in_order(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"v": "old"})
        asked = [operations.read("v"), operations.write("v", "new")]

        assert native.operate(record_key, asked)[2] == {"v": "old"}
        assert bins(native, record_key) == {"v": "new"}

    def test_a_record_is_read_and_deleted(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"v": 1})

        assert native.operate(record_key, [operations.read("v"), operations.delete()])[2] == {"v": 1}
        assert bins(native, record_key) is None

    def test_a_missing_record_is_neither_read_nor_deleted(self, native: Any, record_key: Key) -> None:
        assert code(native.get, record_key) == MISSING
        assert code(native.remove, record_key) == MISSING
        assert code(native.operate, record_key, [operations.delete()]) == MISSING
        assert native.exists(record_key) == ((*record_key, native.exists(record_key)[0][3]), None)

    @OLD_STRINGS
    def test_texts_and_blobs_grow(self, native: Any, record_key: Key) -> None:
        native.put(record_key, {"s": "b", "b": b"b"})
        native.append(record_key, "s", "c")
        native.prepend(record_key, "s", "a")
        native.operate(
            record_key, [operations.append("b", b"c"), operations.prepend("b", b"a"), operations.append("n", "x")]
        )

        assert bins(native, record_key) == {"s": "abc", "b": b"abc", "n": "x"}

    @pytest.mark.parametrize(
        ("present", "asked"),
        [
            ("text", operations.increment("v", 1)),
            (b"blob", operations.increment("v", 1)),
            (1.5, operations.increment("v", 1)),
            (True, operations.increment("v", 1)),
            (1, operations.increment("v", 1.5)),
            (1, operations.append("v", "a")),
            ("text", operations.append("v", b"a")),
            (b"blob", operations.prepend("v", "a")),
        ],
        ids=str,
    )
    @OLD_STRINGS
    def test_types_have_to_fit(self, native: Any, record_key: Key, present: object, asked: dict[str, Any]) -> None:
        native.put(record_key, {"v": present})

        assert code(native.operate, record_key, [asked]) == WRONG_TYPE
        assert bins(native, record_key) == {"v": present}

    @pytest.mark.parametrize(
        ("present", "delta", "expected"),
        [(5, 3, 8), (5, -8, -3), (LIMIT - 1, 1, -LIMIT), (-LIMIT, -1, LIMIT - 1), (1.5, 0.25, 1.75)],
    )
    def test_numbers_are_added_and_wrap_around(
        self, native: Any, record_key: Key, present: float, delta: float, expected: float
    ) -> None:
        native.put(record_key, {"v": present}, policy={"ttl": 1000})
        asked = [operations.increment("v", delta), operations.read("v")]

        assert native.operate(record_key, asked, policy={"ttl": KEEP, "exists": UPDATE})[2] == {"v": expected}
        assert _about(meta(native, record_key)[0], 1000)

    def test_an_absent_number_counts_from_0(self, native: Any, record_key: Key) -> None:
        native.increment(record_key, "v", 5)

        assert bins(native, record_key) == {"v": 5}
        assert code(native.increment, (*record_key[:2], next(names)), "v", 5, {}, {"exists": UPDATE}) == MISSING

    @pytest.mark.parametrize("asked", [operations.increment("v", 1), operations.touch(), operations.delete()], ids=str)
    def test_what_changes_does_not_replace(self, native: Any, record_key: Key, asked: dict[str, Any]) -> None:
        native.put(record_key, {"v": 1})

        assert code(native.operate, record_key, [asked], {}, {"exists": REPLACE}) == INVALID


class TestFilters:
    @pytest.mark.parametrize(
        ("expression", "expected"),
        [
            (expressions.LE(expressions.IntBin("v"), LIMIT - 1 - 5), OK),
            (expressions.LE(expressions.IntBin("v"), 6), FILTERED_OUT),
            (expressions.GE(expressions.IntBin("v"), -LIMIT), OK),
            (expressions.GT(expressions.IntBin("v"), 7), FILTERED_OUT),
            (expressions.LT(expressions.IntBin("v"), 8), OK),
            (expressions.NE(expressions.IntBin("v"), 7), FILTERED_OUT),
            (expressions.Eq(expressions.IntBin("none"), 7), FILTERED_OUT),
            (expressions.NE(expressions.IntBin("none"), 7), FILTERED_OUT),
            (expressions.Eq(expressions.IntBin("s"), 7), FILTERED_OUT),
            (expressions.Eq(expressions.StrBin("s"), "text"), OK),
            (expressions.Eq(expressions.BlobBin("b"), b"\0\xff"), OK),
            (expressions.Eq(expressions.FloatBin("f"), 1.5), OK),
            (expressions.Eq(expressions.BoolBin("t"), True), OK),
            (expressions.BinExists("v"), OK),
            (expressions.BinExists("none"), FILTERED_OUT),
            (expressions.Not(expressions.BinExists("v")), FILTERED_OUT),
            (expressions.Not(expressions.Eq(expressions.IntBin("none"), 7)), FILTERED_OUT),
            (expressions.And(expressions.BinExists("v"), expressions.BinExists("s")), OK),
            (expressions.And(expressions.BinExists("v"), expressions.BinExists("none")), FILTERED_OUT),
            (expressions.Or(expressions.BinExists("none"), expressions.BinExists("v")), OK),
            (expressions.Or(expressions.Eq(expressions.IntBin("none"), 7), expressions.BinExists("v")), OK),
            (expressions.Eq(expressions.Add(expressions.IntBin("v"), 3), 10), OK),
            (expressions.KeyExists(), OK),
            (expressions.Eq(expressions.SetName(), "server"), OK),
            (expressions.GT(expressions.TTL(), 900), OK),
            (expressions.LE(expressions.TTL(), 900), FILTERED_OUT),
        ],
        ids=lambda value: "" if isinstance(value, int) else str(value.compile()),
    )
    def test_let_records_through(self, native: Any, record_key: Key, expression: Any, expected: int) -> None:
        native.put(
            record_key, {"v": 7, "s": "text", "b": b"\0\xff", "f": 1.5, "t": True}, policy={"ttl": 1000, "key": 1}
        )
        policy = {"expressions": expression.compile()}

        assert code(native.get, record_key, policy) == expected
        assert code(native.operate, record_key, [operations.increment("v", 1)], {}, policy) == expected

    def test_do_not_hide_that_a_record_is_missing(self, native: Any, record_key: Key) -> None:
        policy = {"expressions": expressions.Eq(expressions.IntBin("v"), 1).compile()}

        assert code(native.get, record_key, policy) == MISSING
        assert (
            code(native.operate, record_key, [operations.increment("v", 1)], {}, {**policy, "exists": UPDATE})
            == MISSING
        )


class TestStoredKeys:
    def test_another_key_of_the_same_digest_is_refused(self) -> None:
        """The client never has one."""
        namespaces = {b"test": Namespace(time.time)}
        fields = {Field.NAMESPACE: b"test", Field.DIGEST: bytes(20)}
        write, one, other = [Op(Code.WRITE, b"v", Particle(3, b"text"))], {Field.KEY: b"\3a"}, {Field.KEY: b"\3b"}
        sent = [
            execute(namespaces, Message(info1=info1, info2=info2, fields=fields | key, ops=write if info2 else ()))
            for info1, info2, key in [(0, 1, one), (0, 1, other), (3, 0, other), (0, 1, {}), (3, 0, one)]
        ]

        assert [answer.result for answer in sent] == [OK, KEY_MISMATCH, KEY_MISMATCH, OK, OK]


class TestLimits:
    @pytest.mark.parametrize(
        ("name", "size", "sent"),
        [
            ("v", 1_048_521, None),
            ("v" * 15, 1_048_507, None),
            ("v", 1_048_516, "abc"),
            ("v", 1_048_416, "k" * 103),
            ("v", 1_048_318, "k" * 200),
        ],
    )
    def test_of_a_record(self, native: Any, record_key: Key, name: str, size: int, sent: str | None) -> None:
        key = (record_key[0], "lim", sent or record_key[2])
        policy = {"ttl": 100, "exists": CREATE_OR_REPLACE, "key": 0 if sent is None else 1}

        assert code(native.put, key, {name: bytes(size)}, policy=policy) == OK
        assert code(native.put, key, {name: bytes(size + 1)}, policy=policy) == TOO_BIG
        assert len(bins(native, key)[name]) == size  # type: ignore[index]
        native.remove(key)

    @pytest.mark.parametrize(
        ("other", "size"), [(1, 5), (1000, 6), (1 << 40, 12), (-1, 12), (1.5, 11), (True, 4), ("ten bytes.", 17)]
    )
    def test_counts_every_bin(self, native: Any, record_key: Key, other: object, size: int) -> None:
        policy = {"ttl": 100, "exists": CREATE_OR_REPLACE}
        key = (record_key[0], "lim", record_key[2])

        assert code(native.put, key, {"v": bytes(1_048_521 - size), "a": other}, policy=policy) == OK
        assert code(native.put, key, {"v": bytes(1_048_522 - size), "a": other}, policy=policy) == TOO_BIG
        native.remove(key)

    def test_of_a_bins_name(self, native: Any, record_key: Key) -> None:
        assert code(native.put, record_key, {"n" * 15: 1}) == OK
        assert code(native.put, record_key, {"n" * 16: 1}) == 21

    def test_of_the_number_of_bins(self, native: Any, record_key: Key) -> None:
        assert code(native.put, record_key, {f"b{number}": 1 for number in range(1000)}) == OK
        assert code(native.put, record_key, {}) == INVALID


class TestExpiry:
    """What our server's clock can be moved for."""

    def test_is_at_whole_seconds_and_never_early(self, cluster: Cluster) -> None:
        client = connect(cluster.hosts)
        key = ("test", "server", "expiring")
        client.put(key, {"v": 1}, policy={"ttl": 10})
        cluster.advance(8.5)
        assert bins(client, key) == {"v": 1}

        cluster.advance(2.5)
        assert bins(client, key) is None

    def test_hides_a_record_from_all_but_remove(self, cluster: Cluster) -> None:
        client = connect(cluster.hosts)
        key = ("test", "server", "expiring")
        client.put(key, {"v": 1}, policy={"ttl": 1})
        self._wait_for_the_reaper_to_have_been(cluster)
        client.put(key, {"v": 1}, policy={"ttl": 1})
        cluster.advance(2)

        assert client.exists(key)[1] is None
        assert code(client.touch, key, 10) == MISSING
        assert code(client.operate, key, [operations.delete()]) == MISSING
        assert code(client.put, key, {"v": 2}, {"gen": 1}, {"gen": 1}) == GENERATION
        assert code(client.operate, key, [operations.increment("v", 1)], {}, {"exists": UPDATE}) == MISSING
        assert client.batch_read([key]).batch_records[0].result == MISSING
        assert client.query("test", "server").results() == []
        assert code(client.remove, key) == OK
        assert code(client.remove, key) == MISSING

    def test_makes_room_for_a_new_record(self, cluster: Cluster) -> None:
        client = connect(cluster.hosts)
        key = ("test", "server", "expiring")
        client.put(key, {"v": 1, "w": 1}, policy={"ttl": 1})
        client.put(key, {"v": 1}, policy={"ttl": 1})
        cluster.advance(2)

        assert code(client.put, key, {"v": 2}, policy={"exists": CREATE}) == OK
        assert bins(client, key) == {"v": 2}
        assert meta(client, key)[1] == 1

    def test_is_told_by_the_clients_clock(self, cluster: Cluster) -> None:
        client = connect(cluster.hosts)
        key = ("test", "server", "expiring")
        cluster.advance(1000)
        client.put(key, {"v": 1}, policy={"ttl": 100})
        assert _about(meta(client, key)[0], 100)

        cluster.advance(40)
        assert _about(meta(client, key)[0], 60)

    def test_is_put_off_by_reads_when_little_is_left(self, cluster: Cluster) -> None:
        client = connect(cluster.hosts)
        key = ("test", "server", "expiring")
        client.put(key, {"v": 1}, policy={"ttl": 100})
        left = []
        for percent, seconds in [(50, 40), (50, 20), (0, 90)]:
            cluster.advance(seconds)
            client.get(key, policy={"read_touch_ttl_percent": percent})
            left.append(meta(client, key)[0])

        assert [_about(*pair) for pair in zip(left, [60, 100, 10], strict=True)] == [True] * 3

    def _wait_for_the_reaper_to_have_been(self, cluster: Cluster) -> None:
        """It comes every 5 seconds; a clock that starts right after it gives the test 3 of them."""
        now = time.time()
        cluster.advance(5 - now % 5 + 0.5)


@pytest.mark.parametrize("place", ["test server"], indirect=False)
class TestNamespaces:
    def test_without_a_reaper_expiries_are_forbidden(self, start_aerospike: Callable[[str], Place], place: str) -> None:
        client = connect(list(start_aerospike(place).hosts))
        key = ("unexpiring", "server", "k")

        assert code(client.put, key, {"v": 1}, policy={"ttl": 10}) == FORBIDDEN
        assert code(client.put, key, {"v": 1}, policy={"ttl": NEVER}) == OK
        assert code(client.put, key, {"v": 1}) == OK
        assert code(client.touch, key, 10) == FORBIDDEN

    def test_have_a_default(self, start_aerospike: Callable[[str], Place], place: str) -> None:
        client = connect(list(start_aerospike(place).hosts))
        key = ("brief", "server", "k")
        found = []
        for ttl in (0, KEEP, NEVER, 10, KEEP):
            client.put(key, {"v": 1}, policy={"ttl": ttl})
            found.append(meta(client, key)[0])

        assert [_about(*pair) for pair in zip(found, [30, 30, NEVER, 10, 10], strict=True)] == [True] * 5

    def test_that_are_unknown_have_no_records(self, start_aerospike: Callable[[str], Place], place: str) -> None:
        client = connect(list(start_aerospike(place).hosts))

        assert code(client.get, ("nowhere", "server", "k")) == 20
