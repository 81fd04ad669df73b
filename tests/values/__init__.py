"""How cached values become bytes: what the tests of this package share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable
from importlib.util import find_spec
from typing import Any

from hypothesis import strategies as st

from kt_cache.compression import COMPRESSIONS

INSTALLED = [name for name, one in COMPRESSIONS.items() if find_spec(one.module.partition(".")[0])]
MISSING = sorted(set(COMPRESSIONS) - set(INSTALLED))


def exact(value: Any) -> Hashable:
    """Return something equal only for values of the same types, bits and contents."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(exact, value))
    if kind in (set, frozenset):
        return kind, frozenset(map(exact, value))
    if kind is dict:
        return kind, tuple((exact(key), exact(item)) for key, item in value.items())
    if kind in (dt.datetime, dt.time):
        return kind, value.isoformat(), value.fold, repr(value.tzinfo)
    return kind, repr(value)  # tells -0.0, nan, 1.0 and 1.00 apart


_zones = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.timezones(),
    st.builds(dt.timezone, st.timedeltas(dt.timedelta(hours=-23), dt.timedelta(hours=23))),
    st.just(dt.timezone(dt.timedelta(hours=1), "summer")),
)
_strings = st.text()
_json_scalars = st.none() | st.booleans() | st.integers() | st.floats() | _strings
_hashable_scalars = st.one_of(
    _json_scalars,
    st.binary(),
    st.integers(-(2**200), 2**200),
    st.complex_numbers(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.timedeltas(),
    st.dates(),
    st.times(timezones=_zones),
    st.datetimes(timezones=_zones, allow_imaginary=True),
)
_scalars = _hashable_scalars | st.decimals()
_hashables = st.recursive(
    _hashable_scalars, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=4
)

JSON_VALUES = st.recursive(
    _json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_strings, inner, max_size=4),
    max_leaves=10,
)
RICH_VALUES = st.recursive(
    _scalars | _hashables | st.sets(_hashables, max_size=3),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(_hashables, inner, max_size=4),
    ),
    max_leaves=10,
)
# Compressible and not, empty, and around the eight bytes of a counter.
RAW_VALUES = st.binary(max_size=12) | st.builds(lambda data, n: data * n, st.binary(max_size=9), st.integers(0, 90))

VALUES = {"pickle": RICH_VALUES, "msgpack": RICH_VALUES, "json": JSON_VALUES, "raw": RAW_VALUES}
