"""The calls for records: their arguments by position and by name, and what they return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kt_core import aerospike


class TestMissing:
    def test_get_and_select_return_none(self, client: Any, key: Any) -> None:
        whole = (*key, client.get_key_digest(*key))
        assert client.get(key) == client.select(key, ["v"]) == (whole, None, None)
        assert client.exists(key) == (whole, None)

    def test_or_they_raise(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(raise_not_found=True)
        for call in (lambda: client.get(key), lambda: client.select(key, ["v"])):
            with pytest.raises(aerospike.exception.RecordNotFound):
                call()

    def test_remove_touch_and_operate_raise(self, client: Any, key: Any) -> None:
        read = [{"op": aerospike.OPERATOR_READ, "bin": "v"}]
        for call in (lambda: client.remove(key), lambda: client.touch(key, 1), lambda: client.operate(key, read)):
            with pytest.raises(aerospike.exception.RecordNotFound):
                call()


class TestCalls:
    def test_writing_and_reading(self, client: Any, key: Any) -> None:
        assert client.put(key, {"a": 1, "b": "x"}, {"ttl": 100}, {"timeout": 1000}) == 0
        found, meta, bins = client.get(key, {"timeout": 1000})
        assert found[:3] == key
        assert meta["gen"] == 1
        assert 98 <= meta["ttl"] <= 100
        assert bins == {"a": 1, "b": "x"}
        assert client.select(key, ("b",), {"timeout": 1000})[2] == {"b": "x"}
        assert client.exists(key, {"timeout": 1000})[1]["gen"] == 1

    def test_by_name(self, client: Any, key: Any) -> None:
        client.put(key=key, bins={"i": 1}, meta={}, policy={}, serializer=aerospike.SERIALIZER_NONE)
        client.increment(key=key, bin="i", offset=2, meta={}, policy={})
        client.append(key=key, bin="s", val="b", meta={}, policy={})
        client.prepend(key=key, bin="s", val="a", meta={}, policy={})
        client.touch(key=key, val=100, meta={}, policy={})
        assert client.select(key=key, bins=["i", "s"], policy={})[2] == {"i": 3, "s": "ab"}
        client.remove_bin(key=key, list=["s"], meta={}, policy={})
        read = [{"op": aerospike.OPERATOR_READ, "bin": "i"}]
        assert client.operate(key=key, list=read, meta={}, policy={})[2] == {"i": 3}
        assert client.get(key=key, policy=None)[2] == {"i": 3}
        assert client.remove(key=key, meta=None, policy=None) == 0
        assert client.exists(key=key, policy=None)[1] is None

    def test_joining_bytes(self, client: Any, key: Any) -> None:
        client.put(key, {"b": b"\0b"})
        client.append(key, "b", bytearray(b"c\0"))
        client.prepend(key, "b", b"\0a")
        assert client.get(key)[2] == {"b": b"\0a\0bc\0"}

    def test_a_life_in_meta_data_goes_before_one_in_the_policy(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1}, {"ttl": 50}, {"ttl": 100})
        assert 48 <= client.exists(key)[1]["ttl"] <= 50
        client.put(key, {"v": 1}, {"ttl": aerospike.TTL_NEVER_EXPIRE})
        assert client.exists(key)[1]["ttl"] == 2**32 - 1

    def test_generations(self, client: Any, key: Any) -> None:
        client.put(key, {"v": 1})
        equal = {"gen": aerospike.POLICY_GEN_EQ}
        for call in (
            lambda: client.increment(key, "v", 1, {"gen": 9}, equal),
            lambda: client.append(key, "s", "x", {"gen": 9}, equal),
            lambda: client.remove_bin(key, ["v"], {"gen": 9}, equal),
            lambda: client.touch(key, 1, {"gen": 9}, equal),
            lambda: client.remove(key, {"gen": 9}, equal),
            lambda: client.operate(key, [{"op": aerospike.OPERATOR_INCR, "bin": "v", "val": 1}], {"gen": 9}, equal),
        ):
            with pytest.raises(aerospike.exception.RecordGenerationError):
                call()
        assert client.get(key)[1:] == ({"ttl": 2**32 - 1, "gen": 1}, {"v": 1})
        assert client.remove(key, {"gen": 1}, equal) == 0

    def test_keys_of_all_kinds(self, client: Any, key: Any) -> None:
        primaries = ["é", 4711, bytearray(b"\0"), b"bytes"]
        for primary in primaries:
            each = (*key[:2], primary)
            client.put(each, {"v": repr(primary)})
            assert client.get(each)[2] == {"v": repr(primary)}
            assert client.get((*key[:2], None, client.exists(each)[0][3]))[2] == {"v": repr(primary)}
            client.remove(each)

    def test_lists_are_keys_too(self, client: Any, key: Any) -> None:
        client.put(list(key), {"v": 1})
        assert client.get(key)[2] == {"v": 1}

    def test_bins_are_a_dict(self, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="dict"):
            client.put(key, [("v", 1)])


class TestMany:
    def test_records_come_in_the_order_of_their_keys(self, client: Any, key: Any) -> None:
        other = (*key[:2], f"{key[2]}-other")
        client.put(key, {"a": (1,), "b": 2})
        found = client.get_many([other, key, other], {"timeout": 1000})
        assert [bins for _, _, bins in found] == [None, {"a": (1,), "b": 2}, None]
        assert [each[0][:3] for each in found] == [other, key, other]
        assert [bins for _, _, bins in client.select_many([key, other], ["a"])] == [{"a": (1,)}, None]
        assert [meta and meta["gen"] for _, meta in client.exists_many([other, key])] == [None, 1]

    def test_no_keys(self, client: Any) -> None:
        assert client.get_many([]) == client.select_many([], ["a"]) == client.exists_many([]) == []

    def test_batches_of_the_official_client(self, client: Any, key: Any) -> None:
        client.batch_operate([key], [{"op": aerospike.OPERATOR_WRITE, "bin": "v", "val": 1}])
        assert client.batch_read([key]).batch_records[0].record[2] == {"v": 1}


class TestCluster:
    def test_what_is_known_of_nodes(self, client: Any, aerospike_place: Any) -> None:
        host = aerospike_place.hosts[0]
        assert host in client.get_nodes()
        assert all(error is None and answer for error, answer in client.info("build").values())
        assert client.info_node("build", host).startswith("build\t")
        with pytest.raises(aerospike.exception.InvalidHostError):
            client.info_node("build", ("127.0.0.1", 1))
        with pytest.warns(UserWarning, match="hosts"):
            client.info("build", [host])

    def test_geo(self, client: Any) -> None:
        assert client.has_geo() is True

    def test_a_method_that_there_is_not(self, client: Any) -> None:
        with pytest.raises(AttributeError, match="llist"):
            _ = client.llist
