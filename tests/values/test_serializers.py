"""Serializers: exact or refused, and found by name, path, class or object."""

from __future__ import annotations

import collections
import datetime as dt
import enum
import json
import math
import pickle
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgpack
import pytest

from kt_cache import serializers
from kt_cache.serializers import CUSTOM, SERIALIZERS, Json, MessagePack, Pickle, Raw, register_extension, resolve
from kt_cache.values import Codec, Unreadable
from kt_core.errors import Misconfigured

from . import exact

Point = collections.namedtuple("Point", "x y")


class Markup(str):
    """Stands for the marked-up strings of web frameworks."""

    __slots__ = ()


register_extension(126, Markup, lambda text: [str.__str__(text)], Markup)


class Colour(enum.IntEnum):
    RED = 1


class Upper:
    """A serializer of an application."""

    def dumps(self, value: Any) -> bytes:
        return str(value).upper().encode()

    def loads(self, data: bytes) -> Any:
        return data.decode()


UPPER = Upper()
PARIS = ZoneInfo("Europe/Paris")
JSON_CASES = [
    (None, b"null"),
    (True, b"true"),
    (5 * 10**40, b"5" + b"0" * 40),
    (1.5, b"1.5"),
    ("é\n", '"é\\n"'.encode()),
    ([1, [], {}], b"[1,[],{}]"),
    ({"a": {"b": None}}, b'{"a":{"b":null}}'),
]
MSGPACK_CASES = [
    None,
    True,
    -0.0,
    math.nan,
    2**64 - 1,
    2**64,
    -(2**63) - 1,
    10**300,
    1 - 2j,
    b"\x00" * 8,
    (),
    (1, (2, [3, (4,)])),
    [(), [], [[]]],
    {1, 2},
    frozenset({(1, "a")}),
    {(1, (2,)): 1, 256: "int", None: 2, False: 3, 2.5: 4, frozenset(): 5, Decimal(1): 6},
    Decimal("1.00"),
    Decimal("-sNaN123"),
    uuid.UUID(int=7),
    dt.date(1, 1, 1),
    dt.time(1, 2, 3, 4, fold=1),
    dt.time(1, tzinfo=dt.UTC),
    dt.datetime.max,
    dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "office")),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=-1))),
    dt.timedelta(-1, 1, 1),
    PARIS,
    dt.UTC,
    Markup("<b>"),
    [Markup("<b>"), {Markup("k"): (Markup(""),)}],
]


class TestJson:
    @pytest.mark.parametrize(("value", "stored"), JSON_CASES)
    def test_both_ways(self, value: object, stored: bytes) -> None:
        assert Json().dumps(value) == stored
        assert exact(Json().loads(stored)) == exact(value)

    def test_documented_changes(self) -> None:
        for value, read in (((1, (2,)), [1, [2]]), (Markup("x"), "x"), (Colour.RED, 1), (Point(1, 2), [1, 2])):
            assert exact(Json().loads(Json().dumps(value))) == exact(read)

    @pytest.mark.parametrize(
        ("value", "named"),
        [
            (Decimal(1), "decimal.Decimal"),
            ([b""], "builtins.bytes"),
            ({1: 2}, "builtins.int as a key"),
            ({"a": [{"b": ({None: 1},)}]}, "builtins.NoneType as a key"),
            (Upper(), "tests.values.test_serializers.Upper"),
        ],
    )
    def test_refuses_what_would_change(self, value: object, named: str) -> None:
        with pytest.raises(TypeError, match=f"json cannot keep {named}"):
            Json().dumps(value)

    def test_refuses_other_encodings_and_endless_values(self) -> None:
        endless: list[Any] = []
        endless.append(endless)
        with pytest.raises(ValueError, match="Circular"):
            Json().dumps(endless)
        with pytest.raises(UnicodeDecodeError):
            Json().loads('"é"'.encode("utf-16"))


class TestMessagePack:
    @pytest.mark.parametrize("value", MSGPACK_CASES, ids=repr)
    def test_exact(self, value: object) -> None:
        assert exact(MessagePack().loads(MessagePack().dumps(value))) == exact(value)

    def test_time_zones_are_the_same_objects(self) -> None:
        assert MessagePack().loads(MessagePack().dumps([dt.UTC, PARIS])) == [dt.UTC, PARIS]
        assert MessagePack().loads(MessagePack().dumps(PARIS)) is PARIS

    @pytest.mark.parametrize(
        "value",
        [Upper(), Colour.RED, Point(1, 2), collections.OrderedDict(), range(3), ZoneInfo, ...],
        ids=repr,
    )
    def test_refuses_other_types_by_name(self, value: object) -> None:
        for inside in (value, [value], (value,), {"k": [(value,)]}):
            with pytest.raises(TypeError, match=rf"msgpack cannot keep .*{type(value).__qualname__}"):
                MessagePack().dumps(inside)

    def test_refuses_a_zone_without_a_key(self, tmp_path: Any) -> None:
        with open(_zone_file(tmp_path), "rb") as file:
            zone = ZoneInfo.from_file(file)
        with pytest.raises(TypeError, match="ZoneInfo without a key"):
            MessagePack().dumps(zone)

    def test_deep_nesting_is_read_without_nested_unpacking(self) -> None:
        value: Any = ()
        for _ in range(200):
            value = (value,)
        assert MessagePack().loads(MessagePack().dumps(value)) == value

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xc1",
            msgpack.packb(1) + b"\x00",
            msgpack.packb([1, 2])[:-1],
            msgpack.packb(msgpack.ExtType(1, b"")),
            msgpack.packb([1, msgpack.ExtType(1, b"")]),
            msgpack.packb([msgpack.ExtType(99, b""), 1]),
            msgpack.packb([msgpack.ExtType(1, b"x"), 1]),
            msgpack.packb([msgpack.ExtType(9, b""), b"\x07\xe8\x01\xff"]),
            msgpack.packb([msgpack.ExtType(9, b""), 2024, 13, 1]),
            msgpack.packb([msgpack.ExtType(13, b""), "No/Where"]),
            msgpack.packb([msgpack.ExtType(13, b""), "../../etc/passwd"]),
            b"\x91" * 5000 + b"\xc0",
        ],
    )
    def test_damage_raises(self, data: bytes) -> None:
        with pytest.raises(Unreadable, match="damaged msgpack"):
            Codec(serializer=MessagePack).loads(b"\x20" + data, b"key")

    def test_registered_once(self) -> None:
        with pytest.raises(Misconfigured, match="already keeps tuple as extension 1"):
            register_extension(125, tuple, tuple, lambda *items: items)
        with pytest.raises(Misconfigured, match="already keeps Markup as extension 126"):
            register_extension(126, Upper, lambda _: [], Upper)
        with pytest.raises(Misconfigured, match="choose 64 to 127"):
            register_extension(1, Upper, lambda _: [], Upper)


def _zone_file(folder: Any) -> Any:
    """Write the smallest time zone file: version 1, no transitions, UTC."""
    path = folder / "zone"
    path.write_bytes(
        b"TZif" + bytes(16) + b"".join(n.to_bytes(4, "big") for n in (0, 0, 0, 0, 1, 4)) + bytes(6) + b"UTC\0"
    )
    return path


class TestRaw:
    @pytest.mark.parametrize("value", [b"", b"12345678", b"\x80\x05."])
    def test_as_it_is(self, value: bytes) -> None:
        assert Raw().dumps(value) is value
        assert Raw().loads(value) is value

    @pytest.mark.parametrize("value", ["text", bytearray(b"x"), None, 2**64])
    def test_refuses_all_else(self, value: object) -> None:
        with pytest.raises(TypeError, match=f"raw cannot keep builtins.{type(value).__name__}"):
            Raw().dumps(value)


class TestPickle:
    def test_protocol(self) -> None:
        assert Pickle().dumps((1,)) == pickle.dumps((1,), pickle.HIGHEST_PROTOCOL)
        assert Pickle(2).dumps((1,)) == pickle.dumps((1,), 2)
        assert Pickle().loads(Pickle(2).dumps((1,))) == (1,)

    @pytest.mark.parametrize("protocol", [0, 1, pickle.HIGHEST_PROTOCOL + 1])
    def test_other_protocols_are_refused(self, protocol: int) -> None:
        with pytest.raises(Misconfigured, match="choose 2 to"):
            Pickle(protocol)


class TestResolve:
    @pytest.mark.parametrize("name", SERIALIZERS)
    def test_names(self, name: str) -> None:
        assert resolve(name) == SERIALIZERS[name]

    @pytest.mark.parametrize("known", [Json, MessagePack, Pickle, Raw])
    def test_own_classes_keep_their_number(self, known: Any) -> None:
        expected = SERIALIZERS[{"MessagePack": "msgpack"}.get(known.__name__, known.__name__.lower())][0]
        for spec in (known, known(), f"{serializers.__name__}.{known.__name__}"):
            number, serializer = resolve(spec)
            assert number == expected
            assert type(serializer) is known

    @pytest.mark.parametrize("spec", [Upper, UPPER, f"{__name__}.Upper", f"{__name__}.UPPER"], ids=repr)
    def test_custom(self, spec: Any) -> None:
        number, serializer = resolve(spec)
        assert number == CUSTOM
        assert serializer.loads(serializer.dumps("abc")) == "ABC"

    def test_custom_must_return_bytes(self) -> None:
        with pytest.raises(TypeError, match=r"json.*dumps must return bytes, not str"):
            resolve(json)[1].dumps({})

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("pickel", "no serializer 'pickel': did you mean 'pickle'"),
            ("MsgPack", "did you mean 'msgpack'"),
            ("zzz", "choose one of 'raw', 'json', 'msgpack', 'pickle'"),
            ("no.such.Thing", "'no.such.Thing' cannot be loaded"),
            (f"{__name__}.Nothing", "cannot be loaded"),
            ("not a path.at all", "cannot be loaded"),
            (f"{__name__}.Point", "cannot be loaded"),
            (f"{__name__}.Colour.RED", "has no dumps and loads"),
            (object(), "has no dumps and loads"),
            (None, "has no dumps and loads"),
        ],
    )
    def test_mistakes_are_explained(self, spec: Any, message: str) -> None:
        with pytest.raises(Misconfigured, match=message):
            resolve(spec)
