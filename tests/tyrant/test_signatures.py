"""The clients have the methods that they shall have, and the same ones."""

from __future__ import annotations

import inspect

import pytest

import kt_core
from kt_core.tyrant import AsyncTokyoTyrant, TokyoTyrant
from tests.kyoto.test_signatures import parameters, public

# What users of other clients of this server write; ours may add what is given by keyword alone.
SIGNATURES = {
    "__init__": "host='127.0.0.1', port=1978, serializer='binary', decode_keys=True, timeout=None",
    "checkin": "",
    "close": "",
    "get": "key",
    "set": "key, value",
    "remove": "key",
    "get_bulk": "keys",
    "set_bulk": "__data=None, **kwargs",
    "remove_bulk": "keys",
    "clear": "",
    "status": "",
    "add": "key, value",
    "append": "key, value",
    "addshl": "key, value, width",
    "get_part": "key, start=None, end=None",
    "exists": "key",
    "length": "key",
    "seize": "key",
    "pop": "key",
    "incr": "key, n=1",
    "incr_double": "key, n=1.0",
    "misc": "cmd, keys=None, data=None",
    "__getitem__": "key",
    "__setitem__": "key, value",
    "__delitem__": "key",
    "__contains__": "key",
    "__len__": "",
    "update": "__data=None, **kwargs",
    "get_range": "start, stop=None, max_keys=0",
    "get_rangelist": "start, stop=None, max_keys=0",
    "match_prefix": "prefix, max_keys=1024",
    "match_regex": "regex, max_keys=1024",
    "match_regexlist": "regex, max_keys=1024",
    "iter_from": "start_key",
    "keys": "",
    "keys_fast": "",
    "items": "start_key=None",
    "items_fast": "start_key=None",
    "setdup": "key, value",
    "setdupback": "key, value",
    "synchronize": "",
    "copy": "path",
    "restore": "path, timestamp, options=0",
    "clear_cache": "",
    "defragment": "nsteps=None",
    "set_index": "name, index_type, check_exists=False",
    "optimize_index": "name",
    "delete_index": "name",
    "search": "expressions, cmd=None",
    "genuid": "",
}
PROPERTIES = ["size", "error", "lua"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_method_is_called_as_it_is_written_down(name: str) -> None:
    ours = [
        str(parameter)
        for parameter in parameters(getattr(TokyoTyrant, name))
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert ", ".join(ours) == SIGNATURES[name]


def test_a_script_is_called_with_key_and_value() -> None:
    assert [parameter.name for parameter in parameters(TokyoTyrant.script)][:3] == ["name", "key", "value"]


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("client", [TokyoTyrant, AsyncTokyoTyrant])
def test_a_property_is_one(client: type, name: str) -> None:
    assert isinstance(getattr(client, name), property)


def test_the_awaited_class_has_the_same_methods() -> None:
    ours, theirs = public(TokyoTyrant), public(AsyncTokyoTyrant)
    assert list(ours) == list(theirs)
    for name, method in ours.items():
        if name not in PROPERTIES:
            assert parameters(method) == parameters(theirs[name]), name


def test_both_are_made_alike() -> None:
    assert inspect.signature(TokyoTyrant) == inspect.signature(AsyncTokyoTyrant)


def test_every_method_says_what_it_does() -> None:
    for name, method in public(TokyoTyrant).items():
        assert inspect.getdoc(method), name


def test_a_client_names_its_server() -> None:
    assert repr(TokyoTyrant("::1", 5)) == "<TokyoTyrant [::1]:5>"
    assert repr(AsyncTokyoTyrant(path="/run/tt")) == "<AsyncTokyoTyrant /run/tt>"


def test_both_are_public() -> None:
    assert kt_core.TokyoTyrant is TokyoTyrant
    assert kt_core.AsyncTokyoTyrant is AsyncTokyoTyrant
