"""How a record is laid out: keys in LMDB's order and limits, whatever their bytes; headers and values."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kt_core.database.record import (
    HEADER_SIZE,
    LONG_KEY,
    NEVER,
    Record,
    encode,
    original_key,
    stored_key,
    stored_prefix,
    to_record,
    unpack_header,
    value_offset,
)

LMDB_LONGEST = 511
EXACT = 478
"""Bytes up to which any two keys keep their order, one that begins with NUL included."""

KEYS = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda fill, length, tail: fill * length + tail,
        st.sampled_from([b"\0", b"a", b"\xff"]),
        st.sampled_from([0, 1, 477, 478, 479, 480, 508, 509, 510, 511, 600, 5000]),
        st.binary(max_size=3),
    ),
)
EXPIRIES = st.integers(0, NEVER)
EDGES = [b"", b"\0", b"\0\0", b"\0a", b"a", b"\xff", b"a" * 510, b"a" * 511, b"\0" * 509, b"\0" * 510, b"a" * 5000]


def is_long(key: bytes) -> bool:
    return len(key) + key.startswith(b"\0") > 510


@given(KEYS)
def test_lmdb_takes_every_stored_key(key: bytes) -> None:
    assert 1 <= len(stored_key(key)) <= LMDB_LONGEST


@given(KEYS, KEYS)
@example(b"", b"\0")
@example(b"\0", b"\0\0")
@example(b"a" * 511, b"a" * 512)
@example(b"\0" * 510, b"\0" * 511)
def test_different_keys_are_stored_differently(one: bytes, other: bytes) -> None:
    assert (stored_key(one) == stored_key(other)) is (one == other)


@given(st.lists(KEYS.filter(lambda key: not is_long(key))))
@example([b"", b"\0", b"\0\0", b"\0\xff", b"\1", b"a", b"a\0", b"a" * 510, b"\xff"])
def test_short_keys_keep_their_order(keys: list[bytes]) -> None:
    assert sorted(keys, key=stored_key) == sorted(keys)


@given(KEYS, KEYS)
def test_all_keys_keep_the_order_of_their_beginnings(one: bytes, other: bytes) -> None:
    if one[:EXACT] < other[:EXACT]:
        assert stored_key(one) < stored_key(other)


@given(KEYS)
def test_only_a_long_key_fills_all_that_lmdb_takes(key: bytes) -> None:
    """That length is how a reader of the bare stored key could tell; no short key may have it."""
    assert (len(stored_key(key)) == LMDB_LONGEST) is is_long(key)


@given(KEYS, st.integers(0, 600))
def test_the_stored_prefix_begins_every_stored_key_with_that_prefix(key: bytes, length: int) -> None:
    assert stored_key(key).startswith(stored_prefix(key[:length]))


def test_the_prefix_nul_leaves_the_empty_key_out() -> None:
    assert not stored_key(b"").startswith(stored_prefix(b"\0"))


@given(KEYS, st.binary(max_size=30), EXPIRIES, st.integers(0, (1 << 55) - 1))
def test_a_record_gives_back_what_was_encoded(key: bytes, value: bytes, expiry: int, now: int) -> None:
    stored = stored_key(key)
    raw = encode(key, stored, value, expiry, now)
    for seen in (raw, memoryview(raw)):
        assert original_key(stored, seen) == key
        assert bytes(seen[value_offset(seen) :]) == value
        assert to_record(seen) == Record(value, expiry)
        assert unpack_header(seen) == (expiry, now << 8 | (LONG_KEY if is_long(key) else 0))


@pytest.mark.parametrize("key", EDGES)
def test_the_original_key_is_bytes_even_from_a_view(key: bytes) -> None:
    stored = stored_key(key)
    raw = encode(key, stored, b"value", NEVER, 1)
    found = original_key(memoryview(stored), memoryview(raw))
    assert type(found) is bytes
    assert found == key


@pytest.mark.parametrize("key", EDGES)
def test_only_a_long_key_stands_inside_the_record(key: bytes) -> None:
    raw = encode(key, stored_key(key), b"value", NEVER, 1)
    assert value_offset(raw) == HEADER_SIZE + (4 + len(key) if is_long(key) else 0)
