"""Searches of tables, on every server found, and what they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.errors import InvalidInput, ServerError
from kt_core.tyrant import AsyncTokyoTyrant, QueryBuilder
from kt_core.tyrant.constants import (
    INDEX_NUM,
    INDEX_STR,
    OP_FTS_ALL,
    OP_NEGATE,
    OP_NOINDEX,
    OP_NUM_ANYEXACT,
    OP_NUM_BETWEEN,
    OP_NUM_GE,
    OP_STR_ANYEXACT,
    OP_STR_CONTAINS,
    OP_STR_ENDSWITH,
    OP_STR_EQ,
    OP_STR_REGEX,
    OP_STR_STARTSWITH,
    ORDER_NUM_ASC,
    ORDER_NUM_DESC,
    ORDER_STR_DESC,
)
from tests.tyrant.conftest import Connect, Start
from tests.tyrant.databases import PLAIN, TABLE

PEOPLE = {
    "1": {"name": "alice", "age": "30", "notes": "likes red wine"},
    "2": {"name": "bob", "age": "9"},
    "3": {"name": "carol", "age": "101", "notes": "likes blue and red"},
    "4": {"name": "dave"},
}
EVERYBODY = QueryBuilder()
GROWN = EVERYBODY.filter("age", OP_NUM_GE, 18)


@pytest.fixture
def client(open_database: Connect) -> Any:
    """Return a client of a table of people."""
    client = open_database(TABLE)
    assert client.set_bulk(PEOPLE) is True
    return client


CONDITIONS: dict[str, tuple[tuple[str, int, Any], str]] = {
    "equal": (("name", OP_STR_EQ, "bob"), "2"),
    "contains": (("name", OP_STR_CONTAINS, "a"), "134"),
    "begins with": (("name", OP_STR_STARTSWITH, "ca"), "3"),
    "ends with": (("name", OP_STR_ENDSWITH, "e"), "14"),
    "one of": (("name", OP_STR_ANYEXACT, ["bob", "dave"]), "24"),
    "one of, in one text": (("name", OP_STR_ANYEXACT, "bob,dave"), "24"),
    "an expression": (("name", OP_STR_REGEX, "^[ad]"), "14"),
    "not less": (("age", OP_NUM_GE, 30), "13"),
    "between": (("age", OP_NUM_BETWEEN, (9, 30)), "12"),
    "one of some numbers": (("age", OP_NUM_ANYEXACT, [9, 101]), "23"),
    "all words": (("notes", OP_FTS_ALL, "red likes"), "13"),
    "not equal": (("name", OP_STR_EQ | OP_NEGATE, "bob"), "134"),
    "without an index": (("name", OP_STR_EQ | OP_NOINDEX, "bob"), "2"),
    "the key": (("", OP_STR_EQ, "3"), "3"),
}


@pytest.mark.parametrize(("condition", "found"), CONDITIONS.values(), ids=CONDITIONS)
def test_conditions(client: Any, condition: tuple[str, int, Any], found: str) -> None:
    assert sorted(EVERYBODY.filter(*condition).execute(client)) == list(found)


def test_all_conditions_are_to_be_met(client: Any) -> None:
    assert GROWN.filter("name", OP_STR_CONTAINS, "o").execute(client) == ["3"]


def test_order(client: Any) -> None:
    assert GROWN.order_by("name").execute(client) == ["1", "3"]
    assert GROWN.order_by("name", ORDER_STR_DESC).execute(client) == ["3", "1"]
    assert EVERYBODY.filter("age", OP_NUM_GE, 0).order_by("age", ORDER_NUM_ASC).execute(client) == ["2", "1", "3"]
    assert EVERYBODY.filter("age", OP_NUM_GE, 0).order_by("age", ORDER_NUM_DESC).execute(client) == ["3", "1", "2"]


def test_limit_and_offset(client: Any) -> None:
    by_name = EVERYBODY.order_by("name")
    assert by_name.limit(2).execute(client) == ["1", "2"]
    assert by_name.limit(2).offset(1).execute(client) == ["2", "3"]
    assert by_name.offset(3).execute(client) == ["4"]
    assert by_name.limit(0).execute(client) == []
    assert by_name.limit(2).limit().execute(client) == ["1", "2", "3", "4"]


def test_rows(client: Any) -> None:
    assert GROWN.order_by("name").get(client) == [("1", PEOPLE["1"]), ("3", PEOPLE["3"])]
    assert EVERYBODY.filter("name", OP_STR_EQ, "nobody").get(client) == []


def test_some_columns_of_rows(client: Any) -> None:
    by_name = EVERYBODY.order_by("name").columns("age", "name")
    assert by_name.get(client)[2:] == [("3", {"age": "101", "name": "carol"}), ("4", {"name": "dave"})]
    assert by_name.columns("none").get(client)[0] == ("1", {})
    assert by_name.columns().limit(1).get(client) == [("1", PEOPLE["1"])]


def test_count(client: Any) -> None:
    assert EVERYBODY.count(client) == 4
    assert GROWN.count(client) == 2
    assert EVERYBODY.limit(3).count(client) == 3


def test_delete(client: Any) -> None:
    assert GROWN.delete(client) is True
    assert sorted(client.keys()) == ["2", "4"]
    assert GROWN.delete(client) is True


def test_take_returns_what_was_removed(client: Any) -> None:
    one = EVERYBODY.filter("", OP_STR_EQ, "2").filter("age", OP_STR_EQ, "9")
    assert one.take(client) == [("2", PEOPLE["2"])]
    assert one.take(client) == []
    assert client.count() == 3


def test_combinations(client: Any) -> None:
    a = EVERYBODY.filter("name", OP_STR_CONTAINS, "a").order_by("name", ORDER_STR_DESC)
    assert a.execute(client) == ["4", "3", "1"]
    assert sorted(GROWN.union(EVERYBODY.filter("name", OP_STR_EQ, "bob")).execute(client)) == ["1", "2", "3"]
    assert sorted(a.intersection(GROWN).execute(client)) == ["1", "3"]
    assert a.difference(GROWN).execute(client) == ["4"]
    assert [key for key, _ in a.difference(GROWN).get(client)] == ["4"]
    assert a.intersection(GROWN).count(client) == 2
    for remove in (a.union(GROWN).delete, a.union(GROWN).take):
        with pytest.raises(InvalidInput, match="remove_bulk"):
            remove(client)


def test_a_builder_is_not_changed_by_what_is_made_of_it() -> None:
    built = EVERYBODY.filter("a", OP_STR_EQ, "b")
    built.order_by("a").limit(1).columns("a").union(GROWN)
    assert built.build_search() == [("addcond", "a", OP_STR_EQ, "b")]
    assert EVERYBODY.build_search() == []


def test_a_search_of_an_awaited_client_is_awaited(client: Any, start_tyrant: Start, kind: str) -> None:
    address = start_tyrant(kind, TABLE.name)

    async def main() -> list[Any]:
        async with AsyncTokyoTyrant(address.host, address.port, timeout=10) as awaited:
            return [await GROWN.count(awaited), sorted(await GROWN.execute(awaited))]

    assert asyncio.run(main()) == [2, ["1", "3"]]


def test_expressions(client: Any) -> None:
    grown = [("addcond", "age", OP_NUM_GE, 18), ("setorder", "name", ORDER_STR_DESC)]
    assert client.search(grown) == ["3", "1"]
    assert client.search(grown, "count") == 2
    assert client.search([*grown, ("setlimit", 1)], "get") == [("3", client.get_bytes("3"))]
    assert client.search(grown, "out") is True
    assert client.count() == 2


MISTAKES: dict[str, Callable[[Any], object]] = {
    "a word that no server knows": lambda client: client.search([("addcnd", "a", 0, "b")]),
    "a text": lambda client: client.search(["addcond"]),
    "nothing": lambda client: client.search([()]),
    "a command that is none": lambda client: client.search([], "delete"),
    "NUL": lambda client: client.search([("addcond", "a\0b", 0, "b")]),
    "an operation that is none": lambda client: EVERYBODY.filter("a", 19, "b"),
    "a name as an operation": lambda client: EVERYBODY.filter("a", "STREQ", "b"),
    "an order that is none": lambda client: EVERYBODY.order_by("a", 4),
    "a limit below zero": lambda client: EVERYBODY.limit(-1),
    "an offset that is a text": lambda client: EVERYBODY.offset("1"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_what_a_server_would_pass_over_is_an_error(client: Any, mistake: Callable[[Any], object]) -> None:
    with pytest.raises(InvalidInput):
        mistake(client)
    assert client.count() == 4


def test_only_tables_can_be_searched(open_database: Connect) -> None:
    client = open_database(PLAIN[0])
    for call in (lambda: EVERYBODY.execute(client), lambda: client.search([], "get"), client.genuid):
        with pytest.raises(ServerError, match="which only tables"):
            call()
    assert client.set_index("name", INDEX_STR) is False


class TestTables:
    def test_indices(self, client: Any) -> None:
        assert client.delete_index("age") in (True, False)  # what a test before has made
        assert client.delete_index("age") is client.optimize_index("age") is False
        assert client.set_index("age", INDEX_NUM) is True
        assert client.set_index("age", INDEX_NUM, check_exists=True) is False
        assert client.set_index("age", INDEX_NUM) is client.optimize_index("age") is True
        assert sorted(GROWN.execute(client)) == ["1", "3"]
        assert client.delete_index("age") is True

    def test_numbers_of_its_own(self, client: Any) -> None:
        first = client.genuid()
        assert client.genuid() == first + 1

    def test_a_row_without_a_key_gets_one(self, client: Any) -> None:
        client.clear()  # the number may be one of those
        assert client.set("", {"name": "eve"}) is True
        (new,) = client.keys()
        assert new.isdigit()
        assert client.get(new) == {"name": "eve"}

    def test_append_adds_the_columns_that_are_missing(self, client: Any) -> None:
        assert client.append("2", {"age": "10", "notes": "new"}) is True
        assert client.get("2") == {"name": "bob", "age": "9", "notes": "new"}

    def test_a_counter_is_a_column(self, client: Any) -> None:
        assert client.incr("2", -5) == -5
        assert client.get("2")["_num"] == "-5"

    def test_a_row_without_columns(self, client: Any) -> None:
        assert client.set("5", {}) is True
        assert client.get("5") == {}
        assert client.get_bulk(["5"]) == {"5": {}}
