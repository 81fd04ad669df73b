"""The calls for one list or map become operators with the arguments in their places."""

from __future__ import annotations

from typing import Any

import pytest

from kt_core import aerospike
from kt_core.aerospike.collections import COLLECTIONS
from tests.aerospike.real import REAL, OnARealServer


@pytest.mark.parametrize("name", COLLECTIONS)
def test_each_is_an_operator(name: str) -> None:
    call = COLLECTIONS[name]
    values = tuple(range(1, 1 + len(call.names)))
    assert call.operator("b", (*values, {"ttl": 1}, {"timeout": 2}), {})[0]["bin"] == "b"
    operator, meta, policy = call.operator("b", values, {"meta": {"ttl": 1}, "policy": {"timeout": 2}})
    assert (meta, policy) == ({"ttl": 1}, {"timeout": 2})
    assert set(values) <= set(operator.values())
    with pytest.raises(TypeError, match="key, bin"):
        call.operator("b", (*values, {}, {}, {}), {})


if REAL:

    class TestOnAServer(OnARealServer):
        def test_a_list(self, client: Any, key: Any) -> None:
            client.put(key, {"l": []})
            assert client.list_append(key, "l", (1, 2)) == 1
            assert client.list_extend(key, "l", [3, 4, 5]) == 4
            assert client.list_insert(key, "l", 0, "first") == 5
            assert client.list_insert_items(key, "l", 1, ["a", "b"]) == 7
            assert client.list_get(key, "l", 3) == (1, 2)
            assert client.list_get_range(key, "l", 0, 3) == ["first", "a", "b"]
            assert client.list_pop(key, "l", 0) == "first"
            assert client.list_pop_range(key, "l", 0, 2) == ["a", "b"]
            client.list_set(key, "l", 0, None)
            assert client.list_remove(key, "l", 1) == 1
            assert client.list_size(key, "l") == 3
            client.list_trim(key, "l", 1, 1)
            assert client.get(key)[2] == {"l": [4]}
            assert client.list_remove_range(key, "l", 0, 1) == 1
            client.list_clear(key, "l")
            assert client.get(key)[2] == {"l": []}

        def test_a_map(self, client: Any, key: Any) -> None:
            value, both = aerospike.MAP_RETURN_VALUE, aerospike.MAP_RETURN_KEY_VALUE
            client.put(key, {"m": {}})
            assert client.map_put(key, "m", "a", (1,)) == 1
            assert client.map_put_items(key, "m", {"b": 2, "c": 3}) == 3
            assert client.map_increment(key, "m", "b", 10) == 12
            assert client.map_decrement(key, "m", "b", 1) == 11
            assert client.map_get_by_key(key, "m", "a", value) == (1,)
            assert client.map_get_by_key_range(key, "m", "b", "d", value) == [11, 3]
            assert client.map_size(key, "m") == 3
            assert client.map_remove_by_key(key, "m", "c", value) == 3
            assert client.map_remove_by_key_list(key, "m", ["b"], both) == ["b", 11]
            client.map_clear(key, "m")
            assert client.get(key)[2] == {"m": {}}
