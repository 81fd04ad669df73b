"""Pickles load what is on the list, and nothing else."""

from __future__ import annotations

import pickle
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kt_core import aerospike
from kt_core.aerospike.unpickling import Unpickler

PLAIN = [
    *[None, (1, 2), {1}, frozenset([1]), 1j, range(3), slice(1, 2), bytearray(b"x"), b"x", 2**80, "a\0b"],
    *[date(2020, 2, 29), datetime(2020, 1, 1, tzinfo=UTC), time(1), timedelta(1), Decimal("1.5"), Fraction(1, 3)],
    *[datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC")), uuid.UUID(int=7), OrderedDict(a=1), Counter("aab"), deque([1])],
    defaultdict(list, a=[1]),
]


class Rows(list[int]):
    pass


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_values(value: Any, protocol: int) -> None:
    assert Unpickler().loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"(I1\nI2\nI3\ntp1\n.", (1, 2, 3)),
        (b"\x80\x02]q\x01(U\x01aU\x02\xc3\xbce.", ["a", "ü"]),  # str of Python 2 in UTF-8
        (b"\x80\x02]q\x01(U\x01aU\x01\xfce.", ["a", "ü"]),  # and in Latin-1
        (b"\x80\x02c__builtin__\nset\nq\x01]q\x02K\x01a\x85q\x03Rq\x04.", {1}),
        (b"I01\n.", True),
        (b"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", 2**64),
        (b"cdatetime\ndate\n(S'\\x07\\xe4\\x02\\x1d'\ntR.", date(2020, 2, 29)),
    ],
)
def test_pickles_of_python_2(data: bytes, value: Any) -> None:
    assert Unpickler().loads(data) == value


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cos\nsystem\n(S'exit 1'\ntR.", "os.system"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
        (b"cbuiltins\ngetattr\n(cdatetime\ndate\nS'today'\ntR.", "builtins.getattr"),
        (b"cbuiltins\ngetattr\n(czoneinfo\nZoneInfo\nS'clear_cache'\ntR.", "builtins.getattr"),
        (b"cbuiltins\n__import__\n.", "builtins.__import__"),
        (b"\x80\x04\x8c\x08datetime\x8c\x0asys.exit\x93.", r"datetime\.sys\.exit"),
    ],
)
def test_what_acts_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(aerospike.exception.ClientError, match=name):
        Unpickler().loads(data.replace(b"\x0asys.exit", b"\x08sys.exit"))


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"\x80\x04", pickle.dumps((1, 2))[:-2]])
def test_damaged_pickles(data: bytes) -> None:
    with pytest.raises(aerospike.exception.ClientError, match="cannot be loaded"):
        Unpickler().loads(data)


@pytest.mark.parametrize(
    ("names", "module", "name", "allowed"),
    [
        ((), "a", "B", False),
        (("a.B",), "a", "B", True),
        (("a.B",), "a", "C", False),
        (("a.*",), "a", "B", True),
        (("a.*",), "a.b", "C", True),
        (("a.*",), "ab", "C", False),
        (("a.*",), "a", "os.system", False),
        (("a.B.C",), "a", "B.C", True),
        (("*",), "os", "system", True),
    ],
)
def test_names(names: tuple[str, ...], module: str, name: str, allowed: bool) -> None:
    assert Unpickler(names).allows(module, name) is allowed


def test_one_s_own_class() -> None:
    data = pickle.dumps(Rows([1]))
    with pytest.raises(aerospike.exception.ClientError, match=r"unpickle.*Rows"):
        Unpickler().loads(data)
    assert Unpickler([f"{__name__}.Rows"]).loads(data) == Rows([1])
