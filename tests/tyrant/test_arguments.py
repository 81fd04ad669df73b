"""Arguments that cannot be used: an error that says what to write, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from kt_core.errors import InvalidInput
from kt_core.transport import Address
from tests.tyrant.conftest import Connect

NO_KEY = r"a key is str or bytes, not \w+: write str\("
MISTAKES: dict[str, tuple[Callable[[Any], object], str]] = {
    **{
        f"{name}({key!r})": (lambda client, name=name, key=key: getattr(client, name)(key), NO_KEY)
        for name in ("get", "exists", "remove", "incr", "match_prefix")
        for key in (1, None, ("a",), bytearray(b"a"))
    },
    "a key in a list": (lambda client: client.get_bulk([1]), NO_KEY),
    "one key": (lambda client: client.get_bulk("key"), "'key' is one key: write a list"),
    "one key to remove": (lambda client: client.remove_bulk(b"key"), "b'key' is one key: write a list"),
    "a range from no key": (lambda client: client.get_range(5), NO_KEY),
    "a range to no key": (lambda client: client.get_rangelist("a", 5), NO_KEY),
    "a slice from no key": (lambda client: client[5:], NO_KEY),
    "a key of many": (lambda client: client.set_bulk({5: "v"}), NO_KEY),
    "a key for a script": (lambda client: client.script("f", 0), NO_KEY),
    "a key to begin with": (lambda client: client.iter_from(0), NO_KEY),
    "half a character": (lambda client: client.get("\ud800"), "UTF-8"),
    "another value": (lambda client: client.set("k", None), "KT_JSON, KT_MSGPACK or KT_PICKLE"),
    "a text as bytes": (lambda client: client.set_bytes("k", "v"), "encode the str"),
    **{
        f"incr by {number!r}": (lambda client, number=number: client.incr("n", number), "not an integer of 32 bits")
        for number in (1.0, "1", None, 1 << 31, -(1 << 31) - 1)
    },
    **{
        f"incr_double by {number!r}": (lambda client, number=number: client.incr_double("n", number), "not a number")
        for number in ("1", None, math.nan)
    },
    **{
        f"a width of {width!r}": (lambda client, width=width: client.addshl("k", "", width), "bytes are to be kept")
        for width in (-1, "4", None, 1 << 31)
    },
    **{
        f"{name} of {limit!r} keys": (
            lambda client, name=name, limit=limit: getattr(client, name)("", max_keys=limit),
            "how many keys are wanted",
        )
        for name in ("match_prefix", "match_regex", "match_regexlist")
        for limit in (-1, "1", 1 << 31)
    },
    "a slice with a step": (lambda client: client[::2], "no step"),
    "one argument": (lambda client: client.misc("get", "key"), "write a list of arguments"),
    "data that is none": (lambda client: client.misc("get", ["key"], False), "is update_log=False meant"),
    "an argument of another kind": (lambda client: client.misc("get", [None]), "NoneType"),
    "an empty key for a function": (lambda client: client.misc("put", ["", "v"]), r"write set\(\) or add\(\)"),
    **{
        f"{name} at {when!r}": (call, "microseconds since 1970")
        for when in (-1, 1.5, "now", 1 << 63)
        for name, call in {
            "restore": lambda client, when=when: client.restore("/x", when),
            "set_master": lambda client, when=when: client.set_master("h", 1, when),
        }.items()
    },
    "two locks": (lambda client: client.script("f", lock_records=True, lock_all=True), "not both"),
}


@pytest.mark.parametrize(("mistake", "words"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_used_is_told(connect_to: Connect, mistake: Callable[[Any], object], words: str) -> None:
    nowhere = connect_to(Address(port=1))
    with pytest.raises(InvalidInput, match=words):
        mistake(nowhere)
