"""Our own keys are nobody else's, and none of them another's."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from kt_cache.reserved import Kind, kind_of, reserved

kinds = st.sampled_from(Kind)


@given(kinds, st.binary(max_size=20))
def test_a_key_of_ours_tells_its_kind(kind: Kind, key: bytes) -> None:
    assert kind_of(reserved(kind, key)) is kind


@given(kinds, st.binary(max_size=20), kinds, st.binary(max_size=20))
def test_no_two_are_the_same(kind: Kind, key: bytes, other_kind: Kind, other_key: bytes) -> None:
    assert (reserved(kind, key) == reserved(other_kind, other_key)) is ((kind, key) == (other_kind, other_key))


@given(st.binary(max_size=20))
def test_they_begin_as_no_users_key_does(key: bytes) -> None:
    assert all(reserved(kind, key)[:1] == b"\0" for kind in Kind)
    if not key.startswith(b"\0"):
        assert kind_of(key) is None


def test_what_begins_with_nul_need_not_be_ours() -> None:
    for key in (b"\0", b"\0\0", b"\0tag", b"\0other\0key", b"\0tags\0key", b"tag\0key"):
        assert kind_of(key) is None


def test_no_kind_begins_like_another() -> None:
    for kind, other in product(Kind, repeat=2):
        assert kind is other or not reserved(kind, b"").startswith(reserved(other, b""))
