"""The client as a mapping: the forms that only a waiting client has."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kt_core.errors import InvalidInput
from kt_core.kyoto import KT_PICKLE, KyotoTycoon
from kt_core.transport import Address
from tests.kyoto.conftest import Connect


@pytest.fixture
def client(connect: Connect, kyoto: Address) -> KyotoTycoon:
    """Return a client of empty databases."""
    return KyotoTycoon(kyoto.host, kyoto.port, timeout=10)


def test_an_item_is_stored(client: KyotoTycoon) -> None:
    client["k"] = "0"
    client["k", 1] = "1"
    assert (client["k"], client["k", 1]) == ("0", "1")
    assert client.expire_time("k") is None


def test_an_item_may_come_with_its_expiry(client: KyotoTycoon) -> None:
    client["k"] = ("v", 1000)
    client["k", 1] = ("v", -3_000_000_000)
    assert client["k"] == "v"
    assert abs((client.expire_time("k") or 0) - (time.time() + 1000)) < 2
    assert client.expire_time("k", 1) == 3_000_000_000
    client["k"] = ("w", None)
    assert client.expire_time("k") is None


@pytest.mark.parametrize("value", [(), ("v",), ("v", 1, 2)])
def test_another_tuple_is_not_stored(client: KyotoTycoon, value: Any) -> None:
    with pytest.raises(InvalidInput, match=r"write set\(\)"):
        client["k"] = value
    assert "k" not in client


def test_a_tuple_is_stored_by_set(kyoto: Address, client: KyotoTycoon) -> None:
    pickling = KyotoTycoon(kyoto.host, kyoto.port, KT_PICKLE, timeout=10)
    pickling.set("k", (1, 2))
    assert pickling["k"] == (1, 2)
    pickling["k"] = ((1, 2, 3), None)
    assert pickling["k"] == (1, 2, 3)


def test_an_item_is_deleted(client: KyotoTycoon) -> None:
    client.set("k", "v")
    client.set("k", "v", 1)
    del client["k", 1]
    assert ("k" in client, ("k", 1) in client) == (True, False)
    del client["k"]
    del client["k"]
    assert "k" not in client


def test_it_has_a_length(client: KyotoTycoon) -> None:
    assert len(client) == 0
    client.update(a="1", b="2")
    client.set("c", "3", 1)
    assert len(client) == 2
    assert dict(client) == {"a": "1", "b": "2"}
