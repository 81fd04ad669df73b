"""What a script can call on texts and numbers; what the original makes of them is in the recordings."""

from __future__ import annotations

import pytest

from kt_core.server.tyrant import texts


@pytest.mark.parametrize("form", ["c", "C", "s", "S", "i", "I", "l", "L", "n", "N", "M", "w"])
@pytest.mark.parametrize("number", [0, 1, 100])
def test_what_is_packed_is_unpacked(form: str, number: int) -> None:
    assert texts.unpack(form.encode(), texts.pack(form.encode(), [number])) == [number]


def test_formats_repeat() -> None:
    assert texts.pack(b"n2N*", [1, 2, 3, 4]) == bytes.fromhex("000100020000000300000004")
    assert texts.unpack(b"n2N*", bytes.fromhex("000100020000000300000004")) == [1, 2, 3, 4]
    assert texts.unpack(b"n*", b"\0\1\0") == [1]
    assert texts.unpack(b"w*", None) == []
    assert texts.pack(b"n", []) == texts.pack(b"", [1]) == b""


def test_numbers_wrap_to_their_size() -> None:
    assert texts.pack(b"C", [257]) == b"\1"
    assert texts.pack(b"c", [-1]) == b"\xff"


@pytest.mark.parametrize("mode", [b"url", b"base", b"hex", b"deflate"])
@pytest.mark.parametrize("data", [b"", b"a b", bytes(range(256))])
def test_what_is_coded_is_decoded(mode: bytes, data: bytes) -> None:
    coded = texts.codec(mode, data)
    assert coded is not None
    assert texts.codec(b"~" + mode, coded) == data


@pytest.mark.parametrize("mode", [b"~hex", b"~deflate", b"none"])
def test_what_cannot_be_decoded_is_nothing(mode: bytes) -> None:
    assert texts.codec(mode, b"xyz") is None


def test_letters_and_distances() -> None:
    assert texts.code_points("aé".encode()) == [97, 233]
    assert texts.code_points([97.0, 233.0]) == "aé".encode()
    assert texts.distance(b"kitten", b"sitting") == 3
    assert texts.distance("é".encode(), b"e") == 2
    assert texts.distance("é".encode(), b"e", True) == 1
    assert texts.distance(b"", b"abc") == 3


def test_the_rest() -> None:
    assert texts.split(b"a,b;c", b",;") == [b"a", b"b", b"c"]
    assert texts.split(b"a\0b") == [b"a", b"b"]
    assert texts.find(b"aXbX", b"X", b"-") == b"a-b-"
    assert texts.operate(b"right", 12, 2) == 3
    assert texts.operate(b"none", 1) is None
    assert texts.digest(b"md5raw", b"abc") == bytes.fromhex("900150983cd24fb0d6963f7d28e17f72")
    assert texts.digest(b"none", b"abc") is None
    assert texts.union([b"b"], [b"a", b"b"]) == [b"a", b"b"]
    assert texts.intersection() == []
    assert texts.matches(b"abc", b"(") is False
