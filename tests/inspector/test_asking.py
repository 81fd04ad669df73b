"""Keys and selections in addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_cache.inspector.asking import Wanted, address, decode_key, encode_key
from kt_core.errors import InvalidInput


@given(st.binary(max_size=600))
def test_every_key_comes_back_from_its_address(key: bytes) -> None:
    encoded = encode_key(key)
    assert encoded.isascii()
    assert not set(encoded) & set("/+&=?# %")
    assert decode_key(encoded) == key


@pytest.mark.parametrize("text", ["a", "ü", "abcde", "\ud800"])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no key"):
        decode_key(text)


@given(st.binary(max_size=60))
def test_every_prefix_can_be_wanted(prefix: bytes) -> None:
    wanted = Wanted.below(prefix)
    assert Wanted.read(wanted.parameters()) == wanted
    assert wanted.selection.prefix == prefix
    assert wanted.selection.fits is None


@pytest.mark.parametrize(
    ("prefix", "text"),
    [(b"user:", "user:"), ("ü".encode(), "ü"), (b"a*", ""), (b"[a", ""), (b"\xff", ""), (b"a\n", "")],
)
def test_a_prefix_is_text_where_it_can_be_written(prefix: bytes, text: str) -> None:
    assert Wanted.below(prefix).text == text


def test_our_own_are_wanted_by_a_one() -> None:
    assert Wanted.read({"own": "1"}).selection.own is True
    assert Wanted.read({"own": "0"}).selection.own is False
    assert Wanted.read({"own": "1"}).parameters() == {"own": "1"}


def test_addresses_are_quoted() -> None:
    assert address("/c/") == "/c/"
    assert address("/c/", "a/b c", "keys", {"match": "x&y"}) == "/c/a%2Fb%20c/keys?match=x%26y"
