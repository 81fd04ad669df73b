"""The form of a stored value, told without reading it."""

from __future__ import annotations

from typing import Any

import pytest

from kt_cache.values import Codec, Unreadable, form_of

KEY = b"key"


class Refusing:
    """A serializer that writes, and may not be asked to read."""

    def dumps(self, value: object) -> bytes:
        return b"written"

    def loads(self, data: bytes) -> object:
        raise AssertionError("nothing is read here")


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "pickle"), ({"serializer": "json"}, "json"), ({"serializer": "msgpack"}, "msgpack"),
     ({"serializer": "raw"}, "raw"), ({"serializer": Refusing()}, "custom")],
)  # fmt: skip
@pytest.mark.parametrize("signing_keys", [[], [b"secret"]])
@pytest.mark.parametrize("terms", [None, b"some terms"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_form_is_told(
    options: dict[str, Any], name: str, signing_keys: list[bytes], terms: bytes | None, compression: str | None
) -> None:
    codec = Codec(**options, signing_keys=signing_keys, compression=compression, compress_min_length=1)
    value: object = b"v" * 500 if name == "raw" else "v" * 500
    stored = codec.dumps(value, KEY) if terms is None else codec.dumps_with(terms, value, KEY)
    assert isinstance(stored, bytes)
    form = form_of(stored)
    assert (form.serializer, form.is_signed, form.terms) == (name, bool(signing_keys), terms)
    assert form.compression == (compression if name != "custom" else None)
    if name == "raw" and compression is None:
        assert form.payload == value


def test_padding_is_no_part_of_the_payload() -> None:
    stored = Codec(serializer="raw").dumps(b"1234567", KEY)
    assert isinstance(stored, bytes)
    assert len(stored) == 9
    assert form_of(stored).payload == b"1234567"


def test_a_number_with_terms_is_a_counter() -> None:
    form = form_of(Codec().dumps_with(b"terms", 7, KEY))
    assert (form.serializer, form.payload) == ("counter", (7).to_bytes(8, "big"))


def test_unknown_numbers_are_told() -> None:
    form = form_of(b"\x6eabc")
    assert (form.serializer, form.compression) == ("unknown (6)", "unknown (7)")


@pytest.mark.parametrize("stored", [b"", b"\x50", b"\x50\xff\xff"])
def test_what_no_codec_has_written_is_unreadable(stored: bytes) -> None:
    with pytest.raises(Unreadable):
        form_of(stored)
