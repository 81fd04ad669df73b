"""A marker tells its own follower when it was sent, and nobody else anything."""

from __future__ import annotations

import pytest

from kt_cache.stores.replica.markers import Markers, is_marker


@pytest.mark.parametrize("now", [0, 1, 123_456_789_012_345, (1 << 63) - 1])
def test_a_marker_tells_when_it_was_sent(now: int) -> None:
    markers = Markers()
    key = markers.key(now)
    assert is_marker(key)
    assert markers.sent_at(key) == now


def test_a_marker_of_another_follower_tells_nothing() -> None:
    key = Markers().key(5)
    assert is_marker(key)
    assert Markers().sent_at(key) is None


KEYS = {
    "empty": b"",
    "plain": b"key",
    "nul": b"\0",
    "begins alike": b"\0kt-cache",
    "too short": Markers().key(1)[:-1],
    "too long": Markers().key(1) + b"\0",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_other_keys_are_no_markers(key: bytes) -> None:
    assert not is_marker(key)
