"""The client as a mapping: the forms that only a waiting client has."""

from __future__ import annotations

from typing import Any

import pytest

from kt_core.errors import ServerError
from kt_core.transport import Address
from kt_core.tyrant import TokyoTyrant
from tests.peer import peer, say
from tests.tyrant.conftest import Connect, Start
from tests.tyrant.databases import PLAIN


@pytest.fixture
def address(start_tyrant: Start, kind: str) -> Address:
    """Return the address of a server."""
    return start_tyrant(kind, PLAIN[1].name)


@pytest.fixture
def client(address: Address) -> TokyoTyrant:
    """Return a client of an empty database."""
    client = TokyoTyrant(address.host, address.port, timeout=10)
    client.clear()
    return client


def test_an_item_is_stored_read_and_deleted(client: TokyoTyrant) -> None:
    client["k"] = "v"
    assert client["k"] == "v"
    assert "k" in client
    del client["k"]
    del client["k"]
    assert "k" not in client
    assert client["k"] is None


def test_it_has_a_length(client: TokyoTyrant) -> None:
    assert len(client) == 0
    client.update(a="1", b="2")
    assert len(client) == 2
    assert list(client) == ["a", "b"]
    assert dict(client) == {"a": "1", "b": "2"}


def test_a_slice_is_a_range(client: TokyoTyrant) -> None:
    client.update(a="1", b="2", c="3")
    assert client["b":"c"] == {"b": "2"}
    assert client[:"b"] == {"a": "1"}
    assert client["b":] == {"b": "2", "c": "3"}


def test_an_item_that_is_refused_is_an_error() -> None:
    with peer(say(b"\1")) as server:
        client = TokyoTyrant(server.address.host, server.address.port, timeout=5)
        with pytest.raises(ServerError, match="to store 'k'"):
            client["k"] = "v"
        client.close()


def test_a_client_is_closed_by_the_end_of_its_block(address: Address) -> None:
    with TokyoTyrant(address.host, address.port, timeout=10) as client:
        client.set("k", "v")
    assert client.get("k") == "v"  # and opened again
    client.checkin()
    client.close_all()


def test_an_awaited_client_reads_items(connect: Connect) -> None:
    client: Any = connect()
    client.set("k", "v")
    assert client["k"] == "v"
