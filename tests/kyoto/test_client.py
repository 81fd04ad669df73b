"""What the clients promise, waiting and awaited, of every server found; a test's name is the sentence it checks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kt_core.errors import InvalidInput, KTError, NotACounter, ServerError
from kt_core.kyoto import KT_JSON, KT_NONE, KT_PICKLE, Details, Record
from tests.fix_servers import DATABASES
from tests.kyoto.conftest import Connect

KEYS: dict[str, Any] = {
    "text": "key",
    "text beyond ASCII": "schlüssel/鍵",
    "empty": "",
    "blanks": " key\t\r\n",
    "NUL": "a\0b",
    "long": "k" * 5000,
}
keys = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)

ORDERED = DATABASES.index("%")


class TestRecords:
    @keys
    def test_what_is_set_is_got(self, client: Any, key: str) -> None:
        assert client.get(key) is None
        assert client.set(key, "value") == 1
        assert client.get(key) == "value"
        assert client.set(key, "another") == 1
        assert client.get(key) == "another"

    def test_an_empty_value_is_a_value(self, client: Any) -> None:
        client.set("k", "")
        assert client.get("k") == ""

    def test_a_value_may_be_large(self, client: Any) -> None:
        value = "0123456789abcdef" * (1 << 16)
        assert client.set("k", value) == 1
        assert client.get("k") == value

    def test_remove_tells_how_many_there_were(self, client: Any) -> None:
        client.set("k", "v")
        assert client.remove("k") == 1
        assert client.remove("k") == 0
        assert client.get("k") is None

    def test_many_at_once(self, client: Any) -> None:
        data = {f"k{number}": f"v{number}" for number in range(1000)}
        assert client.set_bulk(data) == 1000
        assert client.get_bulk([*data, "none"]) == data
        assert client.remove_bulk(["k1", "k2", "none", "k1"]) == 2
        assert client.get_bulk(["k1", "k3"]) == {"k3": "v3"}

    def test_many_may_be_none(self, client: Any) -> None:
        assert client.set_bulk({}) == client.set_bulk() == 0
        assert client.get_bulk([]) == {}
        assert client.remove_bulk([]) == 0

    def test_keys_may_come_from_anything_that_gives_some(self, client: Any) -> None:
        client.set_bulk({"a": "1", "b": "2"})
        assert client.get_bulk(key for key in "ab") == {"a": "1", "b": "2"}
        assert client.remove_bulk({"a": None}) == 1

    def test_keyword_arguments_are_records_too(self, client: Any) -> None:
        given = {"a": "1", "b": "1"}
        assert client.set_bulk(given, b="2", key="3") == 3
        assert client.get_bulk(["a", "b", "key"]) == {"a": "1", "b": "2", "key": "3"}
        assert given == {"a": "1", "b": "1"}
        assert client.update(c="4") == 1
        assert client.update({"c": "5"}, db=1, expire_time=100) == 1
        assert (client.get("c"), client.get("c", 1)) == ("4", "5")

    def test_add_and_replace_mind_what_is_there(self, client: Any) -> None:
        assert client.replace("k", "0") is False
        assert client.add("k", "1") is True
        assert client.add("k", "2") is False
        assert client.get("k") == "1"
        assert client.replace("k", "3") is True
        assert client.get("k") == "3"

    def test_append(self, client: Any) -> None:
        assert client.append("k", "abc") is True
        assert client.append("k", "def") is True
        assert client.get("k") == "abcdef"

    def test_exists_and_length(self, client: Any) -> None:
        assert client.exists("k") is False
        assert client.length("k") is None
        client.set("k", "äöü")
        assert client.exists("k") is True
        assert client.length("k") == 6

    def test_seize_is_get_and_remove(self, client: Any) -> None:
        client.set("k", "v")
        assert client.seize("k") == "v"
        assert client.seize("k") is None
        client.set("k", "v")
        assert client.pop("k") == "v"
        assert client.exists("k") is False

    def test_cas(self, client: Any) -> None:
        assert client.cas("k", None, "1") is True
        assert client.cas("k", None, "2") is False
        assert client.cas("k", "2", "3") is False
        assert client.cas("k", "1", "4") is True
        assert client.get("k") == "4"
        assert client.cas("k", "1", None) is False
        assert client.cas("k", "4", None) is True
        assert client.exists("k") is False

    def test_cas_from_nothing_to_nothing_is_no_question(self, client: Any) -> None:
        with pytest.raises(InvalidInput, match=r"write exists\(\)"):
            client.cas("k", None, None)

    def test_bytes_past_the_serializer(self, connect: Connect) -> None:
        client = connect(serializer=KT_PICKLE)
        assert client.set_bytes("k", b"\xff\0") == 1
        assert client.get_bytes("k") == b"\xff\0"
        assert client.get_bytes("none") is None
        client.set("k", "v")
        assert client.get_bytes("k").startswith(b"\x80")
        with pytest.raises(InvalidInput, match="encode the str"):
            client.set_bytes("k", "v")

    def test_clear(self, client: Any) -> None:
        client.set_bulk({"a": "1", "b": "2"})
        client.set("a", "1", 1)
        assert client.clear() is True
        assert client.count() == 0
        assert client.get("a", 1) == "1"


class TestNoReply:
    def test_what_nobody_hears_of_is_done(self, client: Any) -> None:
        assert client.set("a", "1", no_reply=True) == 0
        assert client.set_bytes("b", b"2", no_reply=True) == 0
        assert client.set_bulk({"c": "3"}, no_reply=True, d="4") == 0
        assert client.set_bulk_details([(1, "e", "5", None)], no_reply=True) == 0
        assert client.get_bulk(["a", "b", "c", "d"]) == {"a": "1", "b": "2", "c": "3", "d": "4"}
        assert client.get("e", 1) == "5"
        assert client.remove("a", no_reply=True) == 0
        assert client.remove_bulk(["b", "c"], no_reply=True) == 0
        assert client.remove_bulk_details([(1, "e"), (0, "d")], no_reply=True) == 0
        assert client.count() == client.count(1) == 0


class TestKeys:
    def test_keys_are_text_or_bytes(self, client: Any) -> None:
        client.set("schlüssel", "v")
        assert client.get("schlüssel".encode()) == "v"
        assert client.get_bulk(["schlüssel".encode()]) == {"schlüssel": "v"}
        assert client.keys() == ["schlüssel"]

    def test_a_key_that_is_no_text_is_given_as_bytes(self, client: Any) -> None:
        client.set(b"\xff", "v")
        assert client.get_bulk([b"\xff"]) == {b"\xff": "v"}
        assert client.keys() == [b"\xff"]

    def test_keys_that_are_not_to_be_decoded_are_bytes(self, connect: Connect) -> None:
        client = connect(decode_keys=False)
        client.set("ä", "v")
        assert client.get_bulk(["ä"]) == {"ä".encode(): "v"}
        assert client.keys() == client.match_prefix("") == ["ä".encode()]
        assert list(client.iter_items()) == [("ä".encode(), "v")]

    @pytest.mark.parametrize("key", [1, None, ("a",), bytearray(b"a")])
    def test_nothing_else_is_a_key(self, client: Any, key: Any) -> None:
        for call in (client.get, client.exists, client.remove, client.touch, lambda key: client.get_bulk([key])):
            with pytest.raises(InvalidInput, match=r"a key is str or bytes, not \w+: write str\("):
                call(key)

    def test_half_a_character_is_no_key(self, client: Any) -> None:
        with pytest.raises(InvalidInput, match="UTF-8"):
            client.get("\ud800")

    def test_one_key_is_no_list_of_keys(self, client: Any) -> None:
        for call in (client.get_bulk, client.remove_bulk):
            with pytest.raises(InvalidInput, match="'key' is one key: write a list"):
                call("key")


class TestDatabases:
    def test_each_has_its_own_records(self, client: Any) -> None:
        client.set("k", "0")
        client.set("k", "1", db=1)
        client.add("a", "1", db=1)
        assert (client.get("k"), client.get("k", 1), client.get("a", 0)) == ("0", "1", None)
        assert client.get_bulk(["k", "a"], db=1) == {"k": "1", "a": "1"}
        assert client.remove("k", db=1) == 1
        assert client.get("k") == "0"

    def test_one_is_the_default(self, connect: Connect) -> None:
        client = connect(default_db=1)
        client.set("k", "1")
        assert client.get("k", 0) is None
        client.set_database(0).set("k", "0")
        assert (client.get("k"), client.get("k", 1)) == ("0", "1")

    def test_several_in_one_round_trip(self, client: Any) -> None:
        soon = int(time.time()) + 1000
        records = [(0, "a", "1", None), (1, "a", "2", -soon), (1, "b", "3", None)]
        assert client.set_bulk_details(records) == 3
        found = client.get_bulk_details([(1, "a"), (0, "b"), (0, "a")])
        assert found == [Details(1, "a", "2", soon), Details(0, "a", "1", None)]
        assert client.remove_bulk_details([(0, "a"), (0, "b"), (1, "b")]) == 2
        assert (client.get("a"), client.get("a", 1), client.get("b", 1)) == (None, "2", None)

    def test_the_server_has_no_more_than_it_has(self, client: Any) -> None:
        """The binary protocol passes over what is not there, a call refuses it."""
        assert client.set("k", "v", db=99) == 0
        assert client.get("k", db=99) is None
        for call in (client.add, client.append):
            with pytest.raises(ServerError, match="400: no such database"):
                call("k", "v", 99)
        with pytest.raises(ServerError, match="400"):
            client.status(99)

    @pytest.mark.parametrize("db", [-1, 1 << 16, "1", 1.0])
    def test_nothing_else_is_an_index(self, client: Any, connect: Connect, db: Any) -> None:
        for call in (lambda: client.get("k", db), lambda: client.exists("k", db), lambda: client.clear(db)):
            with pytest.raises(InvalidInput, match="a database is meant by its index"):
                call()
        for call in (lambda: client.set_database(db), lambda: client.cursor(db)):
            with pytest.raises(InvalidInput, match="a database is meant by its index"):
                call()
        with pytest.raises(InvalidInput):
            connect(default_db=db)


class TestCounters:
    def test_incr(self, client: Any) -> None:
        assert client.incr("n") == 1
        assert client.incr("n", 41) == 42
        assert client.incr("n", -43) == -1
        assert client.increment("n", n=2) == 1

    def test_where_a_counter_begins(self, client: Any) -> None:
        assert client.incr("n", 5, "try") is None
        assert client.exists("n") is False
        assert client.incr("n", 5, orig=100) == 105
        assert client.incr("n", 5, orig=100) == 110
        assert client.incr("n", 5, orig="try") == 115
        assert client.incr("n", 5, orig="set") == 5
        assert client.incr("m", 0) == 0
        assert client.exists("m") is True

    def test_incr_double(self, client: Any) -> None:
        assert client.incr_double("d") == 1.0
        assert client.incr_double("d", 2.5) == 3.5
        assert client.incr_double("d", -1.25, 7.0) == 2.25
        assert client.incr_double("e", 1, orig=0.5) == 1.5
        assert client.incr_double("f", 1.0, "try") is None
        assert client.increment_double("d", n=math.inf) == math.inf

    @pytest.mark.parametrize("serializer", ["binary", KT_JSON, KT_NONE, KT_PICKLE])
    def test_a_counter_is_read_whatever_the_serializer(self, connect: Connect, serializer: str) -> None:
        client = connect(serializer=serializer)
        assert client.get_int("n") is client.get_double("n") is None
        client.incr("n", -42)
        client.incr_double("d", -0.75)
        assert client.get_int("n") == -42
        assert client.get_double("d") == -0.75

    def test_what_is_no_counter_stays_as_it_is(self, client: Any) -> None:
        client.set("k", "value")
        for call in (client.incr, client.incr_double, client.get_int, client.get_double):
            with pytest.raises(NotACounter):
                call("k")
        assert client.get("k") == "value"

    @pytest.mark.parametrize("number", [1.0, "1", "try", None, 1 << 63, -(1 << 63) - 1])
    def test_an_integer_of_64_bits_is_added(self, client: Any, number: Any) -> None:
        with pytest.raises(InvalidInput, match="not an integer of 64 bits"):
            client.incr("n", number)
        if number not in ("try", None):
            with pytest.raises(InvalidInput, match="not an integer of 64 bits"):
                client.incr("n", 1, number)
        assert client.exists("n") is False

    @pytest.mark.parametrize("number", ["1", math.nan, b"1"])
    def test_a_number_is_added(self, client: Any, number: Any) -> None:
        with pytest.raises(InvalidInput, match="is not a number"):
            client.incr_double("d", number)
        with pytest.raises(InvalidInput, match="is not a number"):
            client.incr_double("d", 1.0, number)
        assert client.exists("d") is False


WRITES: dict[str, Callable[[Any, Any], object]] = {
    "set": lambda client, when: client.set("k", "new", expire_time=when),
    "set_bytes": lambda client, when: client.set_bytes("k", b"new", expire_time=when),
    "set_bulk": lambda client, when: client.set_bulk({"k": "new"}, expire_time=when),
    "set_bulk_details": lambda client, when: client.set_bulk_details([(0, "k", "new", when)]),
    "update": lambda client, when: client.update({"k": "new"}, expire_time=when),
    "replace": lambda client, when: client.replace("k", "new", expire_time=when),
    "append": lambda client, when: client.append("k", "new", expire_time=when),
    "cas": lambda client, when: client.cas("k", "old", "new", expire_time=when),
    "touch": lambda client, when: client.touch("k", when),
}
writes = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


class TestExpiry:
    @writes
    def test_every_write_may_say_when(self, client: Any, write: Callable[[Any, Any], object]) -> None:
        client.set("k", "old")
        assert write(client, 1000)
        assert abs(client.expire_time("k") - (time.time() + 1000)) < 2

    @writes
    def test_a_write_that_does_not_say_when_is_for_ever(self, client: Any, write: Callable[[Any, Any], object]) -> None:
        client.set("k", "old", expire_time=1000)
        assert write(client, None)
        assert client.expire_time("k") is None
        assert client.exists("k")

    @writes
    def test_a_write_may_be_over_at_once(self, client: Any, write: Callable[[Any, Any], object]) -> None:
        client.set("k", "old")
        assert write(client, datetime(2000, 1, 1, tzinfo=UTC))
        assert client.get("k") is None

    def test_add_and_the_counters_say_when(self, client: Any) -> None:
        when = datetime.fromtimestamp(int(time.time()) + 500, UTC)
        client.add("a", "v", expire_time=when)
        client.incr("n", expire_time=when)
        client.incr_double("d", expire_time=when)
        assert {client.expire_time(key) for key in "and"} == {when.timestamp()}
        client.incr("n")
        assert client.expire_time("n") is None

    def test_a_fraction_of_a_second_is_not_for_ever(self, client: Any) -> None:
        client.set("k", "v", expire_time=0.001)
        assert abs(client.expire_time("k") - time.time()) < 2

    def test_no_time_from_now_is_the_end_of_this_second(self, client: Any) -> None:
        for _ in range(10):  # unless a new second begins in between
            now = int(time.time())
            client.set("k", "v", expire_time=0)
            if client.expire_time("k") == now:
                return
        pytest.fail("the record does not expire in this second")

    def test_value_and_expiry_come_together(self, client: Any) -> None:
        client.set("k", "v", expire_time=-3_000_000_000)
        assert client.get_record("k") == Record("v", 3_000_000_000)
        client.set("k", "v")
        assert client.get_record("k") == Record("v", None)
        assert client.get_record("none") is None
        assert client.expire_time("none") is None

    def test_an_expiry_is_kept_by_negating_it(self, client: Any) -> None:
        client.set("k", "v", expire_time=timedelta(days=1))
        said = client.expire_time("k")
        client.append("k", "w", expire_time=-said)
        assert client.get_record("k") == Record("vw", said)

    def test_touch_finds_no_record_to_touch(self, client: Any) -> None:
        assert client.touch("k", 10) is False
        assert client.exists("k") is False

    @pytest.mark.parametrize("key", ["n", "d", "k"])
    def test_touch_leaves_everything_else(self, client: Any, key: str) -> None:
        client.incr("n", 5)
        client.incr_double("d", 0.5)
        client.set("k", "", db=0)
        before = client.get_bytes(key)
        assert client.touch(key, expire_time=100, db=0) is True
        assert client.get_bytes(key) == before
        assert client.expire_time(key) > time.time()

    def test_what_is_no_time_is_refused(self, client: Any) -> None:
        for when in ("10", math.nan, [10]):
            with pytest.raises(InvalidInput, match="write seconds from now"):
                client.set("k", "v", expire_time=when)
        assert client.exists("k") is False


class TestMatching:
    def test_prefix(self, client: Any) -> None:
        client.set_bulk(dict.fromkeys(["a", "ab", "abc", "b"], "v"), db=ORDERED)
        assert client.match_prefix("ab", db=ORDERED) == ["ab", "abc"]
        assert client.match_prefix("", db=ORDERED) == ["a", "ab", "abc", "b"]
        assert client.match_prefix("a", 2, ORDERED) == ["a", "ab"]
        assert client.match_prefix("a", max_keys=0, db=ORDERED) == []
        assert client.match_prefix("x") == []

    def test_regex(self, client: Any) -> None:
        client.set_bulk(dict.fromkeys(["k1", "k2", "k10", "x"], "v"))
        assert sorted(client.match_regex("^k[0-9]$")) == ["k1", "k2"]
        assert len(client.match_regex("k", 2)) == 2
        with pytest.raises(ServerError, match="compilation failed"):
            client.match_regex("(")

    def test_similar(self, client: Any) -> None:
        client.set_bulk(dict.fromkeys(["kä", "ka", "kab", "kabc"], "v"))
        assert client.match_similar("ka") == ["ka", "kab", "kä"]
        assert client.match_similar("ka", 2) == ["ka", "kab", "kä", "kabc"]
        assert client.match_similar("ka", 2, 1) == ["ka"]
        assert client.match_similar("ka", distance=0) == ["ka"]

    def test_similar_counts_bytes_where_keys_are_bytes(self, connect: Connect) -> None:
        client = connect(decode_keys=False)
        client.set_bulk(dict.fromkeys(["kä", "ka"], "v"))
        assert client.match_similar("k") == [b"ka"]


class TestWholeDatabases:
    @pytest.mark.parametrize("db", range(len(DATABASES)))
    @pytest.mark.parametrize("count", [0, 1, 8, 9, 1000])
    def test_everything_is_iterated_over(self, client: Any, db: int, count: int) -> None:
        data = {f"k{number}": f"v{number}" for number in range(count)}
        client.set_bulk(data, db)
        assert sorted(client.keys(db)) == sorted(client.iter_keys(db)) == sorted(data)
        assert sorted(client.keys_nonlazy(db)) == sorted(data)
        assert sorted(client.iter_values(db)) == sorted(client.values(db)) == sorted(data.values())
        assert dict(client.iter_items(db)) == dict(client.items(db)) == data
        assert client.count(db) == count

    def test_order_is_kept_where_there_is_one(self, client: Any) -> None:
        client.set_bulk(dict.fromkeys(["b", "a", "", "ab"], "v"), ORDERED)
        assert client.keys(ORDERED) == ["", "a", "ab", "b"]

    def test_what_has_expired_is_not_seen(self, client: Any) -> None:
        client.set_bulk({f"k{number}": "v" for number in range(20)}, expire_time=timedelta(-1))
        client.set("there", "v")
        assert client.keys() == list(client) == ["there"]
        assert list(client.iter_items()) == [("there", "v")]

    def test_vacuum_collects_what_has_expired(self, client: Any) -> None:
        client.set_bulk({f"k{number}": "v" for number in range(20)}, expire_time=timedelta(-1))
        assert client.vacuum() is True
        assert client.vacuum(step=2, db=1) is True
        assert client.count() == 0

    def test_synchronize(self, client: Any) -> None:
        assert client.synchronize() is True
        assert client.synchronize(hard=True, db=1) is True

    def test_status(self, client: Any) -> None:
        client.set("k", "v", 1)
        status = client.status(1)
        assert status.count == status["count"] == 1
        assert status.size == status["size"] >= 0
        assert status.path == status["path"] == "%"
        assert status.type == status["type"]
        assert client.status().count == 0

    def test_size_and_path_are_of_the_default_database(self, client: Any) -> None:
        assert client.path == "*"
        assert client.set_database(1).path == "%"
        assert client.size >= 0

    def test_report(self, client: Any) -> None:
        client.set("k", "v")
        report = client.report()
        assert [database.path for database in report.databases] == list(DATABASES)
        assert report.databases[0].count == 1
        assert report.counters["set"] >= 1
        assert report.counters == {**report.counters, "get": report["cnt_get"]}
        assert report.memory["rss"] > 1 << 20
        assert abs(report.current_time - time.time()) < 100
        assert report.running_time >= 0
        assert report.process_id == report["serv_proc_id"] > 1
        assert report.connections >= 1
        assert report.version


class TestForms:
    def test_an_item_is_a_record(self, client: Any) -> None:
        client.set("k", "0")
        client.set("k", "1", db=1)
        assert client["k"] == "0"
        assert client["k", 1] == "1"
        assert client["k", None] == "0"
        assert client["none"] is None

    @pytest.mark.parametrize("item", [("k",), ("k", 1, 2), ()])
    def test_a_tuple_is_a_key_and_a_database(self, client: Any, item: Any) -> None:
        with pytest.raises(InvalidInput, match=r"\(key, db\)"):
            client[item]

    def test_iterating_gives_the_keys(self, client: Any) -> None:
        client.set_bulk(a="1", b="2")
        assert sorted(client) == ["a", "b"]

    def test_a_client_is_closed_at_the_end_of_a_block_and_usable_after_it(self, client: Any) -> None:
        with client as same:
            same.set("k", "v")
        assert client.get("k") == "v"
        client.close()
        assert client.get("k") == "v"
        client.close_all()
        assert client.checkin() is None


class TestScripts:
    def test_a_server_without_scripts_says_so(self, client: Any) -> None:
        with pytest.raises(ServerError):
            client.script("echo", {"k": "v"})
        assert client.get("k") is None


def test_errors_have_one_root(client: Any) -> None:
    with pytest.raises(KTError):
        client.get(1)
