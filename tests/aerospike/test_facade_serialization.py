"""Values of every kind come back as they were, by the serializer that the specification says."""

from __future__ import annotations

import json
import marshal
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest

from kt_core import aerospike
from kt_core.aerospike.serialization import MARK

EXAMPLE = """\
Use the built-in serialization (cPickle)
{'i': 321, 't': (1, 2, 3)}
Use the class-level user-defined serialization (marshal)
{'i': 321, 't': (1, 2, 3)}
Use the instance-level user-defined serialization (json)
{'i': 321, 't': [1, 2, 3]}
"""


class Colour(IntEnum):
    RED = 1


def nested(depth: int) -> Any:
    return [nested(depth - 1)] if depth else 1


VALUES = [
    *[1, -(2**63), 2**63 - 1, True, False, 1.5, float("inf"), "text", "", "ü", b"blob", b"", [], {}],
    *[[1, "a", b"b", None, [2.5, {"k": [True]}]], {"a": 1, 2: "b", b"c": None}],
    # What the database has no type for.
    *[2**63, -(2**63) - 1, (1, 2), {1, 2}, frozenset([3]), 1j, date(2020, 2, 29), Decimal("1.50"), range(3)],
    *[[1, (2, [3, {4}])], {"a": {"b": (1,)}}],
    # What the native client would lose.
    *[None, "a\0b", ["a\0b"], {"k": "a\0b"}, {"a\0b": 1}, "\ud800", {"\ud800": 1}],
    *[{1.5: 2}, {None: 1}, {True: 1}, {(1, 2): 3}, {"a": {2**64: 1}}, MARK, MARK + b"x", [MARK]],
    *[nested(64), nested(65), nested(200), {"a": nested(64)}],
]


class TestRoundTrips:
    @pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value!r:.30}")
    def test_a_value_comes_back(self, value: Any, client: Any, key: Any) -> None:
        assert client.put(key, {"v": value}) == 0
        assert client.get(key)[2] == {"v": value}
        assert client.select(key, ["v"])[2] == {"v": value}
        assert type(client.get(key)[2]["v"]) is type(value)

    @pytest.mark.parametrize(
        ("value", "flat"),
        [
            (bytearray(b"x"), b"x"),
            (Colour.RED, 1),
            (OrderedDict(a=1), {"a": 1}),
            (type("Text", (str,), {})("x"), "x"),
            ([bytearray(b"x")], [b"x"]),
        ],
    )
    def test_some_come_back_as_the_type_they_are_made_of(self, value: Any, flat: Any, client: Any, key: Any) -> None:
        client.put(key, {"v": value})
        assert client.get(key)[2] == {"v": flat}

    def test_a_list_that_holds_itself(self, client: Any, key: Any) -> None:
        value: list[Any] = [1]
        value.append(value)
        client.put(key, {"v": value})
        found = client.get(key)[2]["v"]
        assert found[0] == found[1][0] == found[1][1][0] == 1

    def test_operators_have_values_too(self, client: Any, key: Any) -> None:
        write = {"op": aerospike.OPERATOR_WRITE, "bin": "v", "val": (1, "a\0b")}
        read = {"op": aerospike.OPERATOR_READ, "bin": "v"}
        assert client.operate(key, [write, read])[2] == {"v": (1, "a\0b")}
        assert client.operate_ordered(key, [write, read])[2] == [("v", (1, "a\0b"))]

    def test_null_deletes_a_bin(self, client: Any, key: Any) -> None:
        client.put(key, {"a": 1, "b": 2})
        client.put(key, {"a": aerospike.null()})
        assert client.get(key)[2] == {"b": 2}

    def test_what_is_given_stays_as_it_is(self, client: Any, key: Any) -> None:
        value = [(1, 2), {"a": {3}}]
        client.put(key, {"v": value})
        assert value == [(1, 2), {"a": {3}}]

    @pytest.mark.parametrize("value", [lambda: 1, memoryview(b"x"), [lambda: 1]])
    def test_what_cannot_be_pickled_is_an_error_and_nothing_is_written(self, value: Any, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ClientError, match="cannot be stored"):
            client.put(key, {"v": value})
        assert client.exists(key)[1] is None


class TestModes:
    def test_python_goes_before_the_client_s_own(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(serialization=(json.dumps, json.loads))
        client.put(key, {"v": (1, 2)}, serializer=aerospike.SERIALIZER_PYTHON)
        assert client.get(key)[2] == {"v": (1, 2)}

    def test_without_a_mode_the_client_s_own_is_taken(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(serialization=(json.dumps, json.loads))
        client.put(key, {"v": (1, 2)})
        assert client.get(key)[2] == {"v": [1, 2]}

    @pytest.mark.usefixtures("registered")
    def test_without_a_mode_the_registered_one_is_not(self, client: Any, key: Any) -> None:
        aerospike.set_serializer(json.dumps)
        client.put(key, {"v": (1, 2)})
        assert client.get(key)[2] == {"v": (1, 2)}

    @pytest.mark.usefixtures("registered")
    def test_the_client_s_own_goes_before_the_registered_one(self, connect: Callable[..., Any], key: Any) -> None:
        aerospike.set_serializer(lambda value: b"registered")
        aerospike.set_deserializer(lambda blob: "registered")
        own = connect(serialization=(json.dumps, json.loads))
        own.put(key, {"v": (1, 2)}, serializer=aerospike.SERIALIZER_USER)
        assert own.get(key)[2] == {"v": [1, 2]}
        assert connect().get(key)[2] == {"v": "registered"}

    @pytest.mark.usefixtures("registered")
    def test_half_a_pair_is_completed_by_the_registered_one(self, connect: Callable[..., Any], key: Any) -> None:
        aerospike.set_deserializer(json.loads)
        client = connect(serialization=(json.dumps, None))
        client.put(key, {"v": (1, 2)}, serializer=aerospike.SERIALIZER_USER)
        assert client.get(key)[2] == {"v": [1, 2]}

    @pytest.mark.parametrize("value", [(1, 2), None, 2**64, "a\0b", [{1}]])
    def test_none_refuses_and_writes_nothing(self, value: Any, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="SERIALIZER_NONE"):
            client.put(key, {"v": value}, serializer=aerospike.SERIALIZER_NONE)
        assert client.exists(key)[1] is None

    def test_none_stores_what_is_supported(self, client: Any, key: Any) -> None:
        client.put(key, {"v": [1, "a"]}, serializer=aerospike.SERIALIZER_NONE)
        assert client.get(key)[2] == {"v": [1, "a"]}

    def test_user_without_a_serializer(self, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ClientError, match="set_serializer"):
            client.put(key, {"v": (1, 2)}, serializer=aerospike.SERIALIZER_USER)

    def test_a_mode_that_there_is_not(self, client: Any, key: Any) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="SERIALIZER_PYTHON"):
            client.put(key, {"v": 1}, serializer=99)

    @pytest.mark.usefixtures("registered")
    def test_unset_serializers(self, client: Any, key: Any) -> None:
        aerospike.set_serializer(json.dumps)
        aerospike.set_deserializer(json.loads)
        client.put(key, {"v": (1,)}, serializer=aerospike.SERIALIZER_USER)
        assert aerospike.unset_serializers() == 0
        assert client.get(key)[2] == {"v": b"[1]"}
        with pytest.raises(aerospike.exception.ClientError):
            client.put(key, {"v": (1,)}, serializer=aerospike.SERIALIZER_USER)

    @pytest.mark.parametrize("register", [aerospike.set_serializer, aerospike.set_deserializer])
    def test_what_cannot_be_called_is_not_registered(self, register: Callable[[Any], int]) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="function"):
            register("json")

    def test_the_serializer_s_own_error_is_the_cause(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(serialization=(json.dumps, json.loads))
        with pytest.raises(aerospike.exception.ClientError, match="serializer failed") as caught:
            client.put(key, {"v": {1, 2}})
        assert isinstance(caught.value.__cause__, TypeError)

    @pytest.mark.parametrize("blob", [None, 3, MARK + b"x"])
    def test_what_a_serializer_may_not_return(self, blob: Any, connect: Callable[..., Any], key: Any) -> None:
        client = connect(serialization=(lambda value: blob, None))
        with pytest.raises(aerospike.exception.ClientError, match="returned"):
            client.put(key, {"v": (1, 2)})

    def test_a_deserializer_s_error_leaves_the_blob(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(serialization=(json.dumps, json.loads))
        client.put(key, {"v": b"\xff not JSON"})
        assert client.get(key)[2] == {"v": b"\xff not JSON"}

    def test_every_way_to_read_goes_through_the_deserializer(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(serialization=(json.dumps, json.loads))
        client.put(key, {"v": [(1,), 2]})
        read = [{"op": aerospike.OPERATOR_READ, "bin": "v"}]
        found = [
            client.get(key),
            client.select(key, ["v"]),
            client.operate(key, read),
            client.get_many([key])[0],
            client.select_many([key], ["v"])[0],
        ]
        assert [bins for _, _, bins in found] == [{"v": [[1], 2]}] * 5


class TestExample:
    """The example of the specification, in Python 3."""

    @pytest.mark.usefixtures("registered")
    def test_its_output(self, connect: Callable[..., Any], key: Any) -> None:
        keys = [(*key[:2], f"{key[2]}-foo{i}") for i in range(1, 4)]
        printed: list[str] = []
        aerospike.set_serializer(marshal.dumps)
        aerospike.set_deserializer(marshal.loads)
        client = connect()
        client2 = connect(serialization=(json.dumps, json.loads))
        for each in keys:
            client.put(each, {"i": 321})  # the records that the example finds
        bins = {"t": (1, 2, 3)}

        printed.append("Use the built-in serialization (cPickle)")
        client.put(keys[0], bins)
        printed.append(str(client.get(keys[0])[2]))
        printed.append("Use the class-level user-defined serialization (marshal)")
        client.put(keys[1], bins, serializer=aerospike.SERIALIZER_USER)
        printed.append(str(client.get(keys[1])[2]))
        printed.append("Use the instance-level user-defined serialization (json)")
        client2.put(keys[2], bins, serializer=aerospike.SERIALIZER_USER)
        printed.append(str(client2.get(keys[2])[2]))

        assert "\n".join([*printed, ""]) == EXAMPLE

    @pytest.mark.parametrize(
        ("serializer", "stored"),
        [
            (lambda value: marshal.dumps(value, 2), "28 03 00 00 00 69 01 00 00 00 69 02 00 00 00 69 03 00 00 00"),
            (json.dumps, "5B 31 2C 20 32 2C 20 33 5D"),
        ],
    )
    def test_the_bytes_that_aql_shows(
        self, serializer: Any, stored: str, connect: Callable[..., Any], native: Any, key: Any
    ) -> None:
        connect(serialization=(serializer, None)).put(key, {"t": (1, 2, 3)}, serializer=aerospike.SERIALIZER_USER)
        assert native.get(key)[2] == {"t": bytes.fromhex(stored)}


Point = namedtuple("Point", "x y")


class TestWhatMayBeLoaded:
    def test_a_class_of_one_s_own_is_refused_by_name(self, client: Any, key: Any) -> None:
        client.put(key, {"v": Point(1, 2), "w": 3})
        with pytest.raises(aerospike.exception.ClientError, match=r"test_facade_serialization\.Point.*'unpickle'"):
            client.get(key)
        assert client.select(key, ["w"])[2] == {"w": 3}

    @pytest.mark.parametrize("names", [[f"{__name__}.Point"], [f"{__name__}.*"], ["tests.*"], ["*"]])
    def test_it_is_loaded_once_it_is_named(self, names: list[str], connect: Callable[..., Any], key: Any) -> None:
        client = connect(unpickle=names)
        client.put(key, {"v": [Point(1, 2)]})
        assert client.get(key)[2] == {"v": [Point(1, 2)]}

    def test_it_can_be_turned_off(self, connect: Callable[..., Any], key: Any) -> None:
        client = connect(unpickle=False)
        client.put(key, {"v": (1, 2)})
        assert client.get(key)[2]["v"].startswith(MARK)

    def test_one_name_is_not_a_list(self) -> None:
        with pytest.raises(aerospike.exception.ParamError, match="list"):
            aerospike.client({"hosts": [("a", 1)], "unpickle": "a.b"})
