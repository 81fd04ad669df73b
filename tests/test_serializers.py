"""What each serializer keeps, how it looks on the server, and what it refuses."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.errors import InvalidInput, Misconfigured
from kt_core.serializers import SERIALIZERS, choose_serializer

KEPT: list[tuple[str, Any, bytes]] = [
    ("binary", "text", b"text"),
    ("binary", "", b""),
    ("binary", "ä鍵", "ä鍵".encode()),
    ("json", {"a": [1, 2.5, None, True, "ä"]}, '{"a":[1,2.5,null,true,"ä"]}'.encode()),
    ("json", "", b'""'),
    ("msgpack", {"a": [1, b"\xff", None], 5: "ä"}, msgpack.packb({"a": [1, b"\xff", None], 5: "ä"})),
    ("none", b"\xff\0", b"\xff\0"),
    ("pickle", {1, (2, 3)}, pickle.dumps({1, (2, 3)}, pickle.HIGHEST_PROTOCOL)),
]

CHANGED: list[tuple[Any, bytes, Any]] = [
    (42, b"42", "42"),
    (-1.5, b"-1.5", "-1.5"),
    (math.inf, b"inf", "inf"),
    (b"text", b"text", "text"),
    (bytearray(b"text"), b"text", "text"),
    (memoryview(b"text"), b"text", "text"),
    (b"\xff", b"\xff", b"\xff"),
]


@pytest.mark.parametrize(("name", "value", "stored"), KEPT)
def test_what_is_kept(name: str, value: Any, stored: bytes) -> None:
    serializer = choose_serializer(name)
    assert serializer.dumps(value) == stored
    assert serializer.loads(stored) == value


@pytest.mark.parametrize(("value", "stored", "loaded"), CHANGED)
def test_what_binary_makes_text_of(value: Any, stored: bytes, loaded: Any) -> None:
    serializer = SERIALIZERS["binary"]
    assert serializer.dumps(value) == stored
    assert type(serializer.dumps(value)) is bytes
    assert serializer.loads(stored) == loaded


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("binary", None, "not NoneType: take serializer=KT_JSON"),
        ("binary", True, "not bool"),
        ("binary", ["a"], "not list"),
        ("binary", "\ud800", "UTF-8"),
        ("none", "text", "encode the str"),
        ("none", bytearray(b"a"), "encode the bytearray"),
    ],
)
def test_what_is_refused(name: str, value: Any, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        SERIALIZERS[name].dumps(value)


@pytest.mark.parametrize(("name", "value"), [("json", object()), ("msgpack", object()), ("pickle", lambda: None)])
def test_a_serializer_s_own_errors_are_not_changed(name: str, value: Any) -> None:
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        SERIALIZERS[name].dumps(value)


@given(st.text() | st.binary())
def test_binary_loses_nothing_but_the_type_of_bytes(value: str | bytes) -> None:
    serializer = SERIALIZERS["binary"]
    loaded = serializer.loads(serializer.dumps(value))
    assert serializer.dumps(loaded) == serializer.dumps(value)
    assert loaded == value or isinstance(value, bytes)


def test_json_is_read_as_utf_8_alone() -> None:
    with pytest.raises(ValueError, match="decode"):
        SERIALIZERS["json"].loads(json.dumps("a").encode("utf-16"))


def test_an_object_with_dumps_and_loads_is_a_serializer() -> None:
    assert choose_serializer(pickle) is pickle


def test_other_names_and_objects_are_refused() -> None:
    with pytest.raises(Misconfigured, match="did you mean 'msgpack'"):
        choose_serializer("msgpak")
    with pytest.raises(Misconfigured, match=r"has no dumps\(\) and loads\(\)"):
        choose_serializer(object())  # type: ignore[arg-type]
