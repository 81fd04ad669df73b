"""Values taken apart: what is shown of each, and that nothing of it is ever run."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_cache.inspector import anatomy
from kt_cache.inspector.anatomy import MOST_EXPANDED, Anatomy, take_apart
from kt_cache.terms import Terms
from kt_cache.values import Codec

KEY = b"key"


def stored(value: object, **options: Any) -> Anatomy:
    return take_apart(Codec(**options).dumps(value, KEY))


def facts(found: Anatomy) -> dict[str, str]:
    return dict(found.facts)


def view(found: Anatomy, title: str) -> str:
    return {view.title: view.text for view in found.views}[title]


def pickled(found: Anatomy) -> str:
    return view(found, "Instructions of the pickle, which is not run")


def test_a_counter() -> None:
    found = take_apart(-5)
    assert facts(found) == {"Kind": "counter"}
    assert view(found, "Number") == "-5"
    assert view(found, "Bytes as stored").startswith("000000  ff ff ff ff ff ff ff fb")


def test_json_is_laid_out() -> None:
    found = stored({"a": [1, "<b>", None], "ü": 1.5}, serializer="json")
    assert facts(found)["Kind"] == "json"
    assert json.loads(view(found, "JSON")) == {"a": [1, "<b>", None], "ü": 1.5}
    assert "\n" in view(found, "JSON")
    assert "ü" in view(found, "JSON")


def test_msgpack_is_shown_with_the_names_of_its_types() -> None:
    value = {"when": datetime(2026, 1, 2, 3, 4), "pair": (1, 2), "price": Decimal("1.5"), "plain": [True, None]}
    shown = view(stored(value, serializer="msgpack"), "MessagePack")
    assert "datetime(2026, 1, 2, 3, 4, 0, 0, None, 0)" in shown
    assert "tuple(1, 2)" in shown
    assert "Decimal('1.5')" in shown
    assert "[True, None]" in shown


def test_msgpack_of_others_is_shown() -> None:
    packed = msgpack.packb({"x": msgpack.ExtType(99, b"data"), b"\xff": "text", (1, 2): 1}, strict_types=False)
    shown = view(take_apart(b"\x20" + packed), "MessagePack")
    assert "extension 99 of b'data'" in shown


def test_raw_bytes_are_text_and_hex() -> None:
    found = stored(b"line one\nline \x00two\xff", serializer="raw")
    assert facts(found)["Kind"] == "raw"
    assert view(found, "Text") == "line one\nline \\x00two\\xff"
    assert "6c 69 6e 65" in view(found, "Bytes as stored")


def test_compressed_values_are_expanded() -> None:
    found = stored("text " * 1000, serializer="json", compression="zlib", compress_min_length=10)
    assert facts(found)["Compression"] == "zlib"
    assert facts(found)["Expanded"] == "4.9 KiB"
    assert "text text" in view(found, "JSON")


def test_signed_values_are_shown_without_a_key() -> None:
    found = stored({"a": 1}, serializer="json", signing_keys=[b"secret"])
    assert facts(found)["Signature"] == "signed, not checked here"
    assert json.loads(view(found, "JSON")) == {"a": 1}


@pytest.mark.parametrize("signing_keys", [[], [b"secret"]])
def test_terms_are_told(signing_keys: list[bytes]) -> None:
    terms = Terms(1_800_000_000_000, ((b"users", 7), (b"\xff", 8))).encode()
    codec = Codec(serializer="json", signing_keys=signing_keys)
    found = take_apart(codec.dumps_with(terms, ["x"], KEY))
    assert facts(found)["Tags"] == "users (version 7), \\xff (version 8)"
    assert facts(found)["Fresh until"] == "2027-01-15 08:00:00+00:00"
    assert json.loads(view(found, "JSON")) == ["x"]


def test_a_number_with_terms() -> None:
    found = take_apart(Codec().dumps_with(Terms(0, ((b"t", 1),)).encode(), 42, KEY))
    assert facts(found)["Kind"] == "counter"
    assert view(found, "Number") == "42"


# -- pickles are not run -----------------------------------------------------------------------------------


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "compress_min_length": 1}, {"signing_keys": [b"k"]}])
def test_a_pickle_is_listed_and_not_run(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "sprung"
    shown = pickled(stored(Trap(path), **options))
    assert "mkdir" in shown
    assert str(path) in shown
    assert "REDUCE" in shown
    assert not path.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_listed(protocol: int) -> None:
    found = take_apart(b"\x30" + pickle.dumps({"key": [1, 2.5, "text", None, b"bytes"]}, protocol))
    assert facts(found)["Kind"] == "pickle"
    assert "text" in pickled(found)
    assert "damaged" not in pickled(found)


def test_a_long_pickle_is_cut() -> None:
    shown = pickled(stored(list(range(10_000))))
    assert shown.count("\n") == 400
    assert shown.endswith("only the first 400 instructions are listed")


def test_a_long_argument_is_cut() -> None:
    shown = pickled(stored("x" * 100_000))
    assert "… (100,002 characters)" in shown
    assert len(shown) < 1000


def test_a_damaged_pickle_is_shown_as_far_as_it_goes() -> None:
    whole = pickle.dumps(["a", "b"])
    shown = pickled(take_apart(whole[:-3]))
    assert "damaged" in shown
    assert "'a'" in shown


def test_a_custom_serializer_is_not_called() -> None:
    found = take_apart(b"\x70whatever")
    assert facts(found)["Kind"] == "custom"
    assert view(found, "Text") == "whatever"


def test_the_module_has_nothing_that_unpickles() -> None:
    source = Path(anatomy.__file__).read_text()
    assert "import pickle\n" not in source
    assert "loads(" not in source.replace("json.loads(", "")


# -- damage, and too much ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\x10{", b"\x10\xff", b"\x10" + b"[" * 100_000, b"\x10" + b"9" * 10_000], ids=len)
def test_damaged_json_is_told(data: bytes) -> None:
    assert view(take_apart(data), "JSON").startswith("cannot be decoded: ")


@pytest.mark.parametrize(
    "data", [b"\x20", b"\x20\xc1", b"\x20\x92\x01", b"\x20" + b"\x91" * 100_000 + b"\x01"], ids=len
)
def test_damaged_msgpack_is_told(data: bytes) -> None:
    assert view(take_apart(data), "MessagePack").startswith("cannot be decoded: ")


def test_deep_msgpack_is_no_fault() -> None:
    assert view(take_apart(b"\x20" + b"\x91" * 500 + b"\x01"), "MessagePack")


def test_too_large_a_value_is_not_decoded() -> None:
    found = stored("x" * (1 << 20), serializer="json")
    assert "larger than" in view(found, "JSON")
    assert all(len(view.text) < 25_000 for view in found.views)


def test_a_bomb_is_not_expanded() -> None:
    found = take_apart(b"\x12" + zlib.compress(b" " * (100 << 20)))
    assert facts(found)["Problem"] == f"not expanded: expands to more than {MOST_EXPANDED} bytes"


@pytest.mark.parametrize(
    "data", [b"\x12garbage", b"\x1e", b"\x51\x00", b"\x50\xff\xff", b"\x50\x00\x01x\x10[]"], ids=repr
)
def test_damage_of_any_kind_is_told(data: bytes) -> None:
    found = take_apart(data)
    assert "Problem" in facts(found) or "not a value" in facts(found)["Kind"] or "unknown" in str(found)
    assert view(found, "Bytes as stored")


def test_an_unknown_serializer_is_told() -> None:
    assert facts(take_apart(b"\x60abc"))["Kind"] == "unknown (6)"


def test_an_empty_value_is_none_of_ours() -> None:
    found = take_apart(b"")
    assert "not a value" in facts(found)["Kind"]
    assert view(found, "Bytes as stored") == "none"


@given(st.binary(max_size=200))
def test_no_value_is_a_fault(data: bytes) -> None:
    found = take_apart(data)
    assert found.facts
    assert all(isinstance(view.text, str) for view in found.views)
