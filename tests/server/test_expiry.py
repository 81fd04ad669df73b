"""Expiry between the protocol's seconds and the database's milliseconds: protocol reference, sections 3.1 to 3.3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kt_core.database import NEVER
from kt_core.server.expiry import to_expiry, to_xt
from kt_core.wire.kt_binary import NEVER_XT, XT_MAX, GetBulk, SetBulk, encode_request
from tests.clock import Clock
from tests.server.exchange import Wire

NOW = 1795295378

CONVERSIONS = {
    "now": (0, NOW),
    "relative": (1, NOW + 1),
    "long": (1000, NOW + 1000),
    "in 1970": (-1, 1),
    "absolute": (-1795295478, 1795295478),
    "never": (NEVER_XT, XT_MAX),
    "lowest": (-(1 << 63), XT_MAX),
    "2^40 from now": (1 << 40, XT_MAX),
    "second 2^40": (-(1 << 40), XT_MAX),
    "2^62 from now": (1 << 62, XT_MAX),
    "second 2^62": (-(1 << 62), XT_MAX),
    "the last but one, relative": (XT_MAX - 2 - NOW, XT_MAX - 2),
    "the last, relative": (XT_MAX - 1 - NOW, XT_MAX - 1),
    "the last, absolute": (-(XT_MAX - 1), XT_MAX - 1),
    "never, absolute": (-XT_MAX, XT_MAX),
    "never, relative": (XT_MAX - NOW, XT_MAX),
}


@pytest.mark.parametrize(("xt", "second"), CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.875])
def test_a_request_means_a_second(xt: int, second: int, fraction: float) -> None:
    expiry = to_expiry(xt, NOW + fraction)
    assert to_xt(expiry) == second
    assert expiry == (NEVER if second == XT_MAX else (second + 1) * 1000)


def stored(xt: int, now: int) -> int:
    """Return what the original stores: section 3.1."""
    if xt == NEVER_XT:
        return XT_MAX
    if xt >= 0:
        return min(now + min(xt, (1 << 62) - 1), XT_MAX)
    return min(-max(xt, -(1 << 62)), XT_MAX)


@given(
    st.integers(-(1 << 63), NEVER_XT) | st.integers(-(1 << 42), 1 << 42) | st.integers(-NOW - 5, 100),
    st.integers(0, 1 << 33),
    st.floats(0, 0.999),
)
def test_any_request_means_what_it_means_to_the_original(xt: int, now: int, fraction: float) -> None:
    assert to_xt(to_expiry(xt, now + fraction)) == stored(xt, now)


@pytest.mark.parametrize(("expiry", "second"), [(1, 0), (1000, 0), (1001, 1), (1500, 1), (2000, 1), (NEVER, XT_MAX)])
def test_an_expiry_of_any_millisecond_is_told_as_the_last_whole_second_it_reaches(expiry: int, second: int) -> None:
    """Those who use the database directly have finer expiries than the protocol can tell."""
    assert to_xt(expiry) == second


# Written so long after the beginning of a second, a record of this xt lives for so long: section 3.2.
LIVES = {
    "one second": (0.0, 1, 2.0),
    "one second, later": (0.25, 1, 1.75),
    "two seconds": (0.25, 2, 2.75),
    "none": (0.25, 0, 0.75),
    "none, late": (0.875, 0, 0.125),
    "one second, late": (0.875, 1, 1.125),
    "until the next second": (0.25, None, 1.75),
}


@pytest.mark.parametrize(("fraction", "xt", "life"), LIVES.values(), ids=LIVES)
def test_a_record_is_seen_until_its_second_has_passed(
    wire: Wire, clock: Clock, fraction: float, xt: int | None, life: float
) -> None:
    clock.advance(fraction)
    if xt is None:
        xt = -(int(clock()) + 1)
    wire.ask(encode_request(SetBulk([(0, b"k", b"v", xt)])))
    clock.advance(life - 1 / 1024)
    assert wire.call("get", key="k").status == 200
    assert wire.ask(encode_request(GetBulk([(0, b"k")])))[4] == 1
    clock.advance(1 / 1024)
    assert wire.call("get", key="k").status == 450
    assert wire.ask(encode_request(GetBulk([(0, b"k")]))) == bytes.fromhex("ba00000000")
