"""Scripts: on the servers that run them, and what results are read as."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import InvalidInput, ServerError
from kt_core.kyoto import KT_JSON
from kt_core.transport import Address
from kt_core.tyrant import AsyncTokyoTyrant, TokyoTyrant
from kt_core.tyrant.script import Form
from tests.fix_servers import TYRANT_KINDS, running
from tests.tyrant.conftest import Connect

FUNCTIONS = Path(__file__).with_name("functions.lua")
SCRIPTED = [kind for kind in TYRANT_KINDS if kind != "bundled tyrant" or find_spec("lupa")]

READINGS: dict[str, tuple[Form, bytes, Any]] = {
    "bytes": (Form(), b"a\tb\n", b"a\tb\n"),
    "nothing": (Form(), b"", b""),
    "true": (Form(), b"true", True),
    "false": (Form(decode_value=True), b"false", False),
    "a value": (Form(decode_value=True), "ä".encode(), "ä"),
    "an integer": (Form(as_int=True), b"-5", -5),
    "no integer": (Form(as_int=True), b"", None),
    "lines": (Form(as_list=True), b"a\n\nb\n", [b"a", b"", b"b"]),
    "an empty line": (Form(as_list=True, decode_value=True), b"\n", [""]),
    "no lines": (Form(as_list=True), b"", []),
    "pairs": (Form(as_dict=True, decode_value=True), b"a\t1\nb\t2\n", {"a": "1", "b": "2"}),
    "no pairs": (Form(as_dict=True), b"", {}),
}


def decode(data: bytes) -> str:
    return data.decode()


@pytest.mark.parametrize(("form", "result", "value"), READINGS.values(), ids=READINGS)
def test_what_a_result_is_read_as(form: Form, result: bytes, value: Any) -> None:
    read = form.read(result, decode if form.decode_value else bytes)
    assert read == value
    assert type(read) is type(value)


def test_a_result_that_is_no_integer() -> None:
    with pytest.raises(InvalidInput, match="as_int=True, but"):
        Form(as_int=True).read(b"1.5", bytes)


@pytest.mark.parametrize(
    "options",
    [{"lock_records": True, "lock_all": True}, {"as_list": True, "as_dict": True}, {"as_int": 1, "as_list": 1}],
)
def test_one_way_at_a_time(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="write"):
        Form(**options)
    with pytest.raises(InvalidInput, match="write"):
        TokyoTyrant().script("f", **options)


def test_clients_may_not_call_every_function() -> None:
    with pytest.raises(AttributeError):
        _ = TokyoTyrant().lua._begin


if SCRIPTED:  # without one there is nothing more to test

    @pytest.fixture(scope="module", params=SCRIPTED)
    def scripted(request: pytest.FixtureRequest) -> Iterator[Address]:
        """Return the address of a running server with the functions, one of each kind that runs scripts."""
        with running(request.param, "-ext", str(FUNCTIONS), databases=["*"]) as address:
            yield address

    @pytest.fixture
    def connect(scripted: Address, connect_to: Connect) -> Connect:
        """Return a function that makes a client."""
        return lambda **options: connect_to(scripted, **options)

    @pytest.fixture
    def client(connect: Connect) -> Any:
        """Return a client with the options that it has by itself."""
        return connect()

    def test_what_goes_in_comes_out(client: Any) -> None:
        assert client.script("echo") == b"|"
        assert client.script("echo", "k") == b"k|"
        assert client.script("echo", "ä", 5) == "ä|5".encode()
        assert client.script("echo", b"\xff", "v", decode_value=True) == b"\xff|v"
        assert client.script("echo", key="a", value="b\tc", decode_value=True) == "a|b\tc"

    def test_a_truth_is_one(client: Any) -> None:
        assert client.script("truth") is True
        assert client.script("untruth") is False

    def test_values_go_through_the_serializer_or_not(connect: Connect) -> None:
        client = connect(serializer=KT_JSON)
        assert client.script("same", value=[1, None]) == b"[1,null]"
        assert client.script("same", value=[1, None], decode_value=True) == [1, None]
        assert client.script("same", value="text", encode_value=False) == b"text"

    @pytest.mark.parametrize("name", ["fail", "none", "no_function"])
    def test_a_failure_is_told(client: Any, name: str) -> None:
        with pytest.raises(ServerError, match=name):
            client.script(name)
        assert client.script("echo", "a", "b") == b"a|b"

    @pytest.mark.parametrize("lock", ["lock_records", "lock_all"])
    def test_calls_may_lock(client: Any, lock: str) -> None:
        client.clear()
        assert [client.script("count", "n", as_int=True, **{lock: True}) for _ in range(3)] == [1, 2, 3]

    def test_functions_are_methods(scripted: Address) -> None:
        lua: Any = TokyoTyrant(scripted.host, scripted.port, timeout=10).lua
        functions: Callable[..., Any] = lua.echo
        assert functions("a", "b") == lua.echo("a", value="b") == b"a|b"
        assert lua.same("k", 5, as_int=True) == 5

    def test_functions_are_awaited_methods(scripted: Address) -> None:
        async def main() -> Any:
            async with AsyncTokyoTyrant(scripted.host, scripted.port, timeout=10) as client:
                return await client.lua.echo("a", "b")

        assert asyncio.run(main()) == b"a|b"
