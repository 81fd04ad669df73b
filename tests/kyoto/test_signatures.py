"""The clients have the methods that they shall have, and the same ones."""

from __future__ import annotations

import inspect
import re

import pytest

from kt_core.kyoto import AsyncCursor, AsyncKyotoTycoon, Cursor, KyotoTycoon

# What users of other clients of this server write; ours may add what is given by keyword alone.
SIGNATURES = {
    "__init__": "host='127.0.0.1', port=1978, serializer='binary', decode_keys=True, timeout=None, default_db=0",
    "checkin": "",
    "close": "",
    "get": "key, db=None",
    "set": "key, value, db=None, expire_time=None",
    "remove": "key, db=None",
    "get_bulk": "keys, db=None",
    "set_bulk": "__data=None, db=None, expire_time=None, **kwargs",
    "remove_bulk": "keys, db=None",
    "script": "name, __data=None, encode_values=True, **kwargs",
    "clear": "db=None",
    "status": "db=None",
    "report": "",
    "add": "key, value, db=None, expire_time=None",
    "replace": "key, value, db=None, expire_time=None",
    "append": "key, value, db=None, expire_time=None",
    "exists": "key, db=None",
    "seize": "key, db=None",
    "cas": "key, old_val, new_val, db=None, expire_time=None",
    "incr": "key, n=1, orig=None, db=None, expire_time=None",
    "incr_double": "key, n=1.0, orig=None, db=None, expire_time=None",
    "__getitem__": "key_or_keydb",
    "__setitem__": "key_or_keydb, value_or_valueexpire",
    "__delitem__": "key_or_keydb",
    "__contains__": "key_or_keydb",
    "__len__": "",
    "update": "__data=None, db=None, expire_time=None, **kwargs",
    "pop": "key, db=None",
    "match_prefix": "prefix, max_keys=None, db=None",
    "match_regex": "regex, max_keys=None, db=None",
    "match_similar": "origin, distance=None, max_keys=None, db=None",
    "keys": "db=None",
    "set_database": "db",
}
PROPERTIES = ["size", "path", "lua"]


def parameters(function: object) -> list[inspect.Parameter]:
    """Return the parameters behind the first, without types and the marks of private names."""
    assert callable(function)
    _, *others = inspect.signature(function).parameters.values()
    return [
        parameter.replace(annotation=inspect.Parameter.empty, name=re.sub(r"^_\w+?(?=__)", "", parameter.name))
        for parameter in others
    ]


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_method_is_called_as_it_is_written_down(name: str) -> None:
    ours = [
        str(parameter)
        for parameter in parameters(getattr(KyotoTycoon, name))
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert ", ".join(ours) == SIGNATURES[name]


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("client", [KyotoTycoon, AsyncKyotoTycoon])
def test_a_property_is_one(client: type, name: str) -> None:
    assert isinstance(getattr(client, name), property)


def public(owner: type) -> dict[str, object]:
    """Return what a class offers by name."""
    return {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_")}


@pytest.mark.parametrize(("waiting", "awaited"), [(KyotoTycoon, AsyncKyotoTycoon), (Cursor, AsyncCursor)])
def test_the_awaited_class_has_the_same_methods(waiting: type, awaited: type) -> None:
    ours, theirs = public(waiting), public(awaited)
    assert list(ours) == list(theirs)
    for name, method in ours.items():
        if name not in PROPERTIES:
            assert parameters(method) == parameters(theirs[name]), name


def test_both_are_made_alike() -> None:
    assert inspect.signature(KyotoTycoon) == inspect.signature(AsyncKyotoTycoon)


def test_every_method_says_what_it_does() -> None:
    for owner in (KyotoTycoon, Cursor):
        for name, method in public(owner).items():
            assert inspect.getdoc(method), name


def test_a_client_names_its_server() -> None:
    assert repr(KyotoTycoon("::1", 5)) == "<KyotoTycoon [::1]:5>"
    assert repr(AsyncKyotoTycoon(path="/run/kt")) == "<AsyncKyotoTycoon /run/kt>"
