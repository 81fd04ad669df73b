"""Cursors: moving, reading and writing, and that their connections come back clean."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from kt_core.errors import ConnectionFailed, ServerError, Timeout
from kt_core.kyoto import KT_JSON, KyotoTycoon
from kt_core.kyoto.operations import scan_keys
from kt_core.transport import Address
from tests.fix_servers import DATABASES
from tests.kyoto.conftest import Connect

UNORDERED, ORDERED = DATABASES.index("*"), DATABASES.index("%")


@pytest.fixture
def client(connect: Connect) -> Any:
    """Return a client whose default database is an ordered one, with four records."""
    client = connect(default_db=ORDERED)
    client.set_bulk({f"k{number}": f"v{number}" for number in (1, 2, 3, 4)})
    return client


class TestMoving:
    def test_a_new_cursor_stands_nowhere(self, client: Any) -> None:
        with client.cursor() as cursor:
            assert not cursor.is_valid()
            assert cursor.get() is cursor.key() is cursor.value() is cursor.seize() is None
            assert cursor.remove() is cursor.set_value("v") is cursor.step() is False

    def test_forwards(self, client: Any) -> None:
        with client.cursor() as cursor:
            assert cursor.jump() is True
            assert cursor.is_valid()
            assert (cursor.get(), cursor.key(), cursor.value()) == (("k1", "v1"), "k1", "v1")
            assert cursor.step() is True
            assert cursor.key() == "k2"
            assert cursor.jump("k2x") is True
            assert cursor.key() == "k3"
            assert cursor.step() is True
            assert cursor.step() is False
            assert not cursor.is_valid()
            assert cursor.get() is None
            assert cursor.jump("k5") is False

    def test_a_scan_may_begin_at_a_key(self, client: Any) -> None:
        with client.cursor() as cursor:
            assert list(cursor.scan(scan_keys, b"k2x")) == [b"k3", b"k4"]
            assert list(cursor.scan(scan_keys)) == [b"k1", b"k2", b"k3", b"k4"]
            assert list(cursor.scan(scan_keys, "k5")) == []

    def test_backwards(self, client: Any) -> None:
        with client.cursor() as cursor:
            assert cursor.jump_back() is True
            assert cursor.key() == "k4"
            assert cursor.step_back() is True
            assert cursor.key() == "k3"
            assert cursor.jump_back("k2x") is True
            assert cursor.key() == "k2"
            assert cursor.jump_back("k0") is False
            assert cursor.jump("k1") is True
            assert cursor.step_back() is False

    def test_reading_may_step(self, client: Any) -> None:
        with client.cursor() as cursor:
            cursor.jump()
            assert cursor.key(step=True) == "k1"
            assert cursor.value(step=True) == "v2"
            assert cursor.get(step=True) == ("k3", "v3")
            assert cursor.get(True) == ("k4", "v4")
            assert cursor.get() is None

    def test_without_an_order_a_key_is_there_or_not_and_there_is_no_back(self, client: Any, kyoto: Address) -> None:
        client.set("k", "v", db=UNORDERED)
        with client.cursor(UNORDERED) as cursor:
            assert cursor.jump("k") is True
            if client.status(UNORDERED).type == client.status(ORDERED).type:
                return  # this server keeps every database in order
            assert cursor.jump("j") is False
            for move in (cursor.jump_back, cursor.step_back):
                with pytest.raises(ServerError, match="501"):
                    move()


class TestWriting:
    def test_set_value(self, client: Any) -> None:
        with client.cursor() as cursor:
            cursor.jump("k2")
            assert cursor.set_value("new") is True
            assert cursor.get() == ("k2", "new")
            assert cursor.set_value("newer", step=True, expire_time=-3_000_000_000) is True
            assert cursor.key() == "k3"
        assert client.get_record("k2") == ("newer", 3_000_000_000)

    def test_remove_and_seize_stand_on_the_next_record(self, client: Any) -> None:
        with client.cursor() as cursor:
            cursor.jump("k2")
            assert cursor.remove() is True
            assert cursor.key() == "k3"
            assert cursor.seize() == ("k3", "v3")
            assert cursor.seize() == ("k4", "v4")
            assert cursor.seize() is None
            assert not cursor.is_valid()
        assert client.keys() == ["k1"]

    def test_cursors_do_not_disturb_each_other(self, client: Any) -> None:
        with client.cursor() as one, client.cursor() as other:
            one.jump("k1")
            other.jump("k2")
            assert one.step() is True
            assert (one.key(), other.key()) == ("k2", "k2")
            assert one.remove() is True
            assert (one.key(), other.key()) == ("k3", "k3")

    def test_values_go_through_the_serializer(self, connect: Connect) -> None:
        client = connect(serializer=KT_JSON)
        client.set("k", [1])
        with client.cursor() as cursor:
            cursor.jump()
            assert cursor.set_value({"a": None}) is True
            assert cursor.get() == ("k", {"a": None})
        assert list(client.iter_items()) == [("k", {"a": None})]


class TestIterating:
    def test_all_items_or_those_from_here_on(self, client: Any) -> None:
        items = [(f"k{number}", f"v{number}") for number in (1, 2, 3, 4)]
        with client.cursor() as cursor:
            assert list(cursor) == items
            assert list(cursor) == items
            cursor.jump("k3")
            assert list(cursor) == items[2:]

    def test_nothing(self, client: Any) -> None:
        client.clear()
        with client.cursor() as cursor:
            assert cursor.jump() is False
            assert list(cursor) == []


ITERATORS: dict[str, Callable[[Any], Any]] = {
    "keys": lambda client: client.iter_keys(),
    "values": lambda client: client.iter_values(),
    "items": lambda client: client.iter_items(),
    "client": iter,
}


class TestConnections:
    """With one connection, whoever keeps it keeps out the others."""

    @pytest.fixture
    def client(self, connect: Connect) -> Any:
        client = connect(default_db=ORDERED, max_connections=1, timeout=0.5)
        client.set_bulk({f"k{number:03}": "v" for number in range(100)})
        return client

    def test_a_cursor_holds_one_from_its_first_use_until_it_is_closed(self, client: Any) -> None:
        cursor = client.cursor()
        assert client.count() == 100
        cursor.jump()
        with pytest.raises(Timeout, match="max_connections"):
            client.get("k000")
        cursor.close()
        assert client.get("k000") == "v"
        cursor.close()

    def test_a_closed_cursor_begins_anew(self, client: Any) -> None:
        cursor = client.cursor()
        cursor.jump()
        cursor.close()
        assert not cursor.is_valid()
        assert cursor.get() is None
        cursor.close()

    @pytest.mark.parametrize("iterate", ITERATORS.values(), ids=ITERATORS)
    def test_an_iterator_gives_its_one_back_when_it_ends(self, client: Any, iterate: Callable[[Any], Any]) -> None:
        assert len(list(iterate(client))) == 100
        assert client.get("k000") == "v"

    @pytest.mark.parametrize("iterate", ITERATORS.values(), ids=ITERATORS)
    def test_an_iterator_gives_its_one_back_when_it_is_closed(self, client: Any, iterate: Callable[[Any], Any]) -> None:
        iterator = iterate(client)
        assert len(list(islice(iterator, 10))) == 10
        with pytest.raises(Timeout):
            client.get("k000")
        iterator.close()
        assert client.get("k000") == "v"

    def test_no_cursor_goes_on_in_the_database_of_another(self, client: Any) -> None:
        """The server minds the database of a number only when that is new on the connection."""
        client.set("other", "v", db=UNORDERED)
        for _ in range(2):
            for db, count in ((UNORDERED, 1), (ORDERED, 100)):
                iterator = client.iter_keys(db)
                next(iterator)
                iterator.close()
                assert len(client.keys(db)) == count

    def test_a_connection_whose_cursor_cannot_be_freed_is_closed(self, client: Any) -> None:
        """Nothing has made it: the server does not know its number."""
        cursor = client.cursor(99)
        with pytest.raises(ServerError, match="no such cursor"):
            cursor.jump()
        cursor.close()
        assert client.count() == 100


def test_a_forgotten_cursor_leaves_its_place_to_others(connect: Connect) -> None:
    client = connect(max_connections=1, timeout=0.5)
    for _ in range(3):
        client.cursor().jump()
    assert client.get("none") is None


def test_a_cursor_whose_connection_broke_says_so(kyoto: Address) -> None:
    client = KyotoTycoon(kyoto.host, kyoto.port, max_connections=1, timeout=0.5)
    cursor = client.cursor()
    cursor.jump()
    assert cursor._connection is not None
    cursor._connection.close()
    with pytest.raises(ConnectionFailed, match="closed"):
        cursor.get()
    cursor.close()
    assert client.get("none") is None
    client.close()
