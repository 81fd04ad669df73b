"""What the clients promise, waiting and awaited, of every server found; a test's name is the sentence it checks."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kt_core.errors import NotACounter, ServerError
from kt_core.kyoto import KT_JSON, KT_MSGPACK, KT_NONE, KT_PICKLE
from tests.tyrant.conftest import Connect
from tests.tyrant.databases import EVERY, FIXED, PLAIN, TABLE, TREE, Database

KEYS = {"text": "key", "text beyond ASCII": "schlüssel/鍵", "empty": "", "NUL": "a\0b", "long": "k" * 5000}
ORDERED = [database for database in EVERY if database.ordered]
UNORDERED = [database for database in EVERY if not database.ordered]
ordered = pytest.mark.parametrize("database", ORDERED, ids=lambda database: database.name)
unordered = pytest.mark.parametrize("database", UNORDERED, ids=lambda database: database.name)


class TestRecords:
    """On every kind of database."""

    def test_what_is_set_is_got(self, client: Any, database: Database) -> None:
        key = database.key(0)
        assert client.get(key) is None
        assert client.set(key, database.value("v")) is True
        assert client.get(key) == database.value("v")
        assert client.set(key, database.value("w")) is True
        assert client.get(key) == database.value("w")

    def test_remove_tells_how_many_there_were(self, client: Any, database: Database) -> None:
        client.set(database.key(0), database.value("v"))
        assert (client.remove(database.key(0)), client.remove(database.key(0))) == (1, 0)

    def test_many_at_once(self, client: Any, database: Database) -> None:
        data = database.records(1000)
        assert client.set_bulk(data) is True
        assert client.get_bulk([*data, database.key(5000)]) == data
        assert client.count() == 1000
        assert client.remove_bulk([database.key(1), database.key(5000)]) is True
        assert client.get_bulk([database.key(1), database.key(2)]) == {database.key(2): database.value(2)}

    def test_many_may_be_none(self, client: Any) -> None:
        assert client.set_bulk({}) is client.set_bulk() is client.remove_bulk([]) is True
        assert client.get_bulk([]) == {}

    def test_many_replace_what_is_there(self, client: Any, database: Database) -> None:
        key, other = database.key(0), database.key(1)
        assert client.set_bulk({key: database.value("v"), other: database.value("v")}) is True
        assert client.set_bulk({key: database.value("w")}) is True
        assert client.get(key) == database.value("w")
        assert client.count() == 2
        assert client.update({other: database.value("x")}) is True
        assert sorted(client.items()) == [(key, database.value("w")), (other, database.value("x"))]

    def test_what_nobody_hears_of_is_done(self, client: Any, database: Database) -> None:
        data = database.records(3)
        assert client.set(database.key(7), database.value("v"), no_reply=True) is None
        assert client.set_bulk(data, no_reply=True) is None
        assert client.get(database.key(7)) == database.value("v")
        assert client.get_bulk(data) == data

    def test_add_minds_what_is_there(self, client: Any, database: Database) -> None:
        assert client.add(database.key(0), database.value("v")) is True
        assert client.add(database.key(0), database.value("w")) is False
        assert client.get(database.key(0)) == database.value("v")

    def test_exists_and_length(self, client: Any, database: Database) -> None:
        key = database.key(0)
        assert (client.exists(key), client.length(key)) == (False, None)
        client.set(key, database.value("äöü"))
        assert client.exists(key) is True
        # Of a row a server may count the end of its last column, which it does not send.
        assert client.length(key) - len(client.get_bytes(key)) in ((0, 1) if database is TABLE else (0,))

    def test_seize_is_get_and_remove(self, client: Any, database: Database) -> None:
        client.set(database.key(0), database.value("v"))
        assert client.seize(database.key(0)) == database.value("v")
        assert client.pop(database.key(0)) is None
        assert client.count() == 0

    def test_clear(self, client: Any, database: Database) -> None:
        client.set_bulk(database.records(5))
        assert client.clear() is True
        assert client.count() == 0
        assert client.keys() == client.items() == []

    def test_it_tells_of_itself(self, client: Any, database: Database) -> None:
        client.set_bulk(database.records(5))
        status = client.status()
        assert (status.type, status.count, status.size) == (database.type, 5, client.size)
        assert status.path.endswith(database.name)
        assert status.process_id > 0
        assert status.counters["stat"] > 0

    def test_it_can_be_looked_after(self, client: Any) -> None:
        assert client.synchronize() is client.sync() is True
        for told in (client.optimize(), client.clear_cache(), client.defragment(1)):  # not by every database
            assert isinstance(told, bool)


class TestCounters:
    """On every kind of database."""

    def test_incr(self, client: Any, database: Database) -> None:
        key = database.key(0)
        assert client.incr(key) == 1
        assert client.incr(key, 41) == 42
        assert client.incr(key, -43) == -1
        assert client.incr(key, n=0) == -1
        assert client.incr(database.key(1), -5) == -5

    def test_incr_double(self, client: Any, database: Database) -> None:
        key = database.key(0)
        assert client.incr_double(key) == 1.0
        assert client.incr_double(key, 0.5) == 1.5
        assert client.incr_double(key, -2) == -0.5
        assert client.incr_double(database.key(1), 0.1) == 0.1
        assert client.incr_double(database.key(2), -0.3) == -0.3


class TestPlainCounters:
    """On databases that take any value."""

    def test_a_counter_wraps_and_takes_every_value(self, plain: Any) -> None:
        assert plain.incr("n", (1 << 31) - 1) == (1 << 31) - 1
        assert plain.incr("n") == -(1 << 31)
        assert plain.get_int("n") == -(1 << 31)
        assert plain.incr("n", -1) == (1 << 31) - 1
        assert plain.incr("m", -(1 << 31)) == -(1 << 31)

    def test_a_double_may_be_infinite(self, plain: Any) -> None:
        assert plain.incr_double("d", math.inf) == math.inf
        assert plain.incr_double("e", -math.inf) == -math.inf

    @pytest.mark.parametrize("serializer", ["binary", KT_JSON, KT_NONE, KT_PICKLE])
    def test_a_counter_is_read_whatever_the_serializer(self, connect: Connect, serializer: str) -> None:
        client = connect(serializer=serializer)
        assert client.get_int("n") is client.get_double("n") is None
        client.incr("n", -42)
        client.incr_double("d", -0.75)
        assert (client.get_int("n"), client.get_double("d")) == (-42, -0.75)

    def test_what_is_no_counter_stays_as_it_is(self, plain: Any) -> None:
        plain.set("k", "value")
        for call in (plain.incr, plain.incr_double, plain.get_int, plain.get_double):
            with pytest.raises(NotACounter):
                call("k")
        assert plain.get("k") == "value"


class TestPlainRecords:
    """On databases that take any key and value."""

    @pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
    def test_any_text_is_a_key(self, plain: Any, key: str) -> None:
        assert plain.set(key, "value") is True
        assert plain.get(key) == "value"
        assert plain.keys() == [key]
        assert plain.items() == [(key, "value")]

    def test_a_value_may_be_empty_or_large(self, plain: Any) -> None:
        value = "0123456789abcdef" * (1 << 16)
        assert plain.set_bulk({"a": "", "b": value}) is True
        assert (plain.get("a"), plain.get("b")) == ("", value)

    def test_keyword_arguments_are_records_too(self, plain: Any) -> None:
        given = {"a": "1", "b": "1"}
        assert plain.set_bulk(given, b="2", key="3") is True
        assert plain.get_bulk(["a", "b", "key"]) == {"a": "1", "b": "2", "key": "3"}
        assert given == {"a": "1", "b": "1"}

    def test_append(self, plain: Any) -> None:
        assert plain.append("k", "abc") is plain.append("k", "def") is True
        assert plain.get("k") == "abcdef"

    def test_append_and_keep_the_end(self, plain: Any) -> None:
        assert plain.addshl("k", "abcdef", 4) is True
        assert plain.get("k") == "abcdef"
        assert plain.addshl("k", "gh", 4) is True
        assert plain.get("k") == "efgh"

    def test_part_of_a_value(self, plain: Any) -> None:
        plain.set("k", "abcdef")
        assert plain.get_part("k") == "abcdef"
        assert plain.get_part("k", 2, 2) == "cd"
        assert plain.get_part("k", start=4) == "ef"
        assert plain.get_part("k", end=0) == ""
        assert plain.get_part("k", 6) is None
        assert plain.get_part("none") is None

    def test_bytes_past_the_serializer(self, connect: Connect) -> None:
        client = connect(serializer=KT_PICKLE)
        assert client.set_bytes("k", b"\xff\0") is True
        assert client.set_bytes("l", b"\xff", no_reply=True) is None
        assert (client.get_bytes("k"), client.get_bytes("l"), client.get_bytes("none")) == (b"\xff\0", b"\xff", None)
        assert client.get_bulk(["k", "none"], decode_values=False) == {"k": b"\xff\0"}

    @pytest.mark.parametrize(
        ("serializer", "value"),
        [(KT_JSON, {"a": [1, None]}), (KT_MSGPACK, {"a": b"\xff"}), (KT_NONE, b"\0\xff"), (KT_PICKLE, {1, 2})],
    )
    def test_values_go_through_the_serializer(self, connect: Connect, serializer: str, value: Any) -> None:
        client = connect(serializer=serializer)
        assert client.set("k", value) is True
        assert client.get("k") == value
        assert client.get_bulk(["k"]) == {"k": value}
        assert client.items() == [("k", value)]

    def test_keys_that_are_not_to_be_decoded_are_bytes(self, connect: Connect) -> None:
        client = connect(decode_keys=False)
        client.set("ä", "v")
        key = "ä".encode()
        assert client.get_bulk(["ä"]) == {key: "v"}
        assert client.keys() == client.match_prefix("") == [key]
        assert client.items() == [(key, "v")]

    def test_a_key_that_is_no_text_is_given_as_bytes(self, plain: Any) -> None:
        plain.set(b"\xff", "v")
        assert plain.get_bulk([b"\xff"]) == {b"\xff": "v"}
        assert plain.keys() == [b"\xff"]


class TestMatching:
    def test_keys_that_begin_with_a_prefix(self, plain: Any) -> None:
        plain.set_bulk({"a1": "1", "a2": "2", "b": "3"})
        assert sorted(plain.match_prefix("a")) == ["a1", "a2"]
        assert plain.match_prefix("c") == []
        assert len(plain.match_prefix("", 2)) == 2
        assert len(plain.match_prefix("", 0)) == len(plain.match_prefix("", None)) == 3

    def test_records_whose_keys_match_an_expression(self, plain: Any) -> None:
        plain.set_bulk({"a1": "1", "a2": "2", "b": "3"})
        assert plain.match_regex("a[0-9]") == {"a1": "1", "a2": "2"}
        assert sorted(plain.match_regexlist("^.$|2")) == [("a2", "2"), ("b", "3")]
        assert plain.match_regex("x") == {}
        assert len(plain.match_regexlist("", 2)) == 2
        with pytest.raises(ServerError, match="the expression"):
            plain.match_regex("(")

    def test_intervals_of_numbers(self, open_database: Connect) -> None:
        client = open_database(FIXED)
        client.set_bulk(FIXED.records(5))
        assert client.match_prefix("[2,4]") == ["2", "3", "4"]
        assert client.match_prefix("(2,max]") == ["3", "4", "5"]


class TestIteration:
    def test_all_there_is(self, client: Any, database: Database) -> None:
        data = database.records(300)
        client.set_bulk(data)
        assert sorted(client.keys()) == sorted(client.keys_fast()) == sorted(client) == sorted(data)
        assert sorted(client.items()) == sorted(client.items_fast()) == sorted(data.items())
        assert dict(client.iter_items()) == data
        if database.ordered:
            assert client.items() == list(data.items())

    @ordered
    def test_from_a_key_on(self, client: Any, database: Database) -> None:
        data = database.records(300)
        client.set_bulk(data)
        client.remove(database.key(20))
        expected = list(data.items())[21:]
        assert client.iter_from(database.key(20)) == client.items(database.key(21)) == expected
        assert client.iter_from(database.key(5000)) == []

    @unordered
    def test_from_a_key_that_is_there(self, client: Any, database: Database) -> None:
        client.set_bulk(database.records(300))
        keys = client.keys()
        assert [key for key, _ in client.iter_from(keys[20])] == keys[20:]
        assert client.iter_from(database.key(5000)) == []

    def test_two_at_a_time_see_everything(self, client: Any, database: Database) -> None:
        data = database.records(300)
        client.set_bulk(data)
        both = list(zip(client.iter_items(), client.iter_items(), strict=True))
        assert dict(one for one, _ in both) == dict(other for _, other in both) == data

    def test_what_is_removed_meanwhile_is_left_out(self, client: Any, database: Database) -> None:
        data = database.records(600)
        client.set_bulk(data)
        items = client.iter_items()
        seen = dict(next(items) for _ in range(10))
        gone = [key for key in data if key not in seen]
        client.remove_bulk(gone)
        assert len(seen | dict(items)) <= 256
        items.close()

    def test_duplicates_are_all_there(self, open_database: Connect) -> None:
        client = open_database(TREE)
        client.set_bulk({"a": "0", "z": "0"})
        for number in range(300):
            assert client.setdup("k", f"{number:03d}") is True
        assert [value for _, value in client.items()] == ["0", *[f"{number:03d}" for number in range(300)], "0"]
        assert client.keys() == ["a", "k", "z"]
        assert client.remove_bulk(["k"]) is True
        assert client.items() == [("a", "0"), ("z", "0")]

    def test_before_and_behind_the_others_of_a_key(self, open_database: Connect) -> None:
        client = open_database(TREE)
        client.set("k", "1")
        assert client.setdup("k", "2") is client.setdupback("k", "0") is True
        assert client.get_rangelist("k") == [("k", "0"), ("k", "1"), ("k", "2")]

    @pytest.mark.parametrize("database", [*PLAIN[:3], FIXED, TABLE], ids=lambda database: database.name)
    def test_others_have_no_duplicates(self, client: Any, database: Database) -> None:
        assert client.setdup(database.key(0), database.value("v")) is False
        assert client.setdupback(database.key(0), database.value("v")) is False


class TestRanges:
    @ordered
    def test_from_one_key_to_before_another(self, client: Any, database: Database) -> None:
        data = database.records(20)
        client.set_bulk(data)
        some = list(data.items())
        assert client.get_range(database.key(5), database.key(8)) == dict(some[5:8])
        assert client.get_rangelist(database.key(5), database.key(8)) == some[5:8]
        assert client.get_rangelist(database.key(18)) == some[18:]
        assert client.get_rangelist(None, database.key(2)) == some[:2]
        assert client.get_rangelist(None, max_keys=3) == some[:3]
        assert client.get_range(database.key(8), database.key(5)) == {}

    @ordered
    def test_a_slice_is_a_range(self, client: Any, database: Database) -> None:
        data = database.records(20)
        client.set_bulk(data)
        some = list(data.items())
        assert client[database.key(5) : database.key(8)] == dict(some[5:8])
        assert client[database.key(18) :] == dict(some[18:])
        assert client[: database.key(2)] == dict(some[:2])
        assert client[:] == data

    @unordered
    def test_others_have_no_order(self, client: Any, database: Database) -> None:
        for call in (client.get_range, client.get_rangelist):
            with pytest.raises(ServerError, match="only trees and fixed-length"):
                call(database.key(0))


class TestFunctions:
    def test_what_a_function_gives(self, plain: Any) -> None:
        assert plain.misc("put", ["k", "v"]) == []
        assert plain.misc("get", ["k"]) == plain.misc("get", [b"k"], update_log=False) == [b"v"]
        assert plain.misc("get", ["k"], decode_values=True) == ["v"]
        assert plain.misc("get", ["none"]) is None
        assert plain.misc("no function") is None
        assert plain.misc("putlist", data={"a": 1, "b": "2"}) == []
        assert plain.misc("getlist", ["a"], {"b": "c"}) == [b"a", b"1", b"b", b"2"]

    def test_the_servers_own_iterator(self, plain: Any) -> None:
        plain.set("k", "v")
        assert plain.misc("iterinit") == []
        assert plain.misc("iternext") == [b"k", b"v"]
        assert plain.misc("iternext") is None

    def test_a_database_in_memory_tells_no_error(self, open_database: Connect) -> None:
        assert open_database(PLAIN[0]).error is None

    def test_the_last_error_has_a_number_and_a_text(self, open_database: Connect) -> None:
        code, text = open_database(TREE).error
        assert isinstance(code, int)
        assert isinstance(text, str)


class TestFiles:
    def test_a_copy_is_a_database_of_its_own(self, open_database: Connect, tmp_path: Any) -> None:
        client = open_database(PLAIN[2])
        client.set("k", "v")
        assert client.copy(str(tmp_path / "copy.tch")) is True
        assert (tmp_path / "copy.tch").exists()

    def test_a_log_that_is_not_there_cannot_be_restored(self, plain: Any, tmp_path: Any) -> None:
        assert plain.restore(str(tmp_path / "none"), 0) is False

    def test_no_master_is_no_failure(self, plain: Any) -> None:
        assert plain.set_master(None) is True
        assert plain.status().master is None
