"""Scripts, on the servers that run them."""

from __future__ import annotations

from typing import Any

import pytest

from kt_core.errors import ServerError
from kt_core.kyoto import KT_JSON
from kt_core.transport import Address
from tests.kyoto.conftest import Connect


@pytest.fixture
def connect(scripted_kyoto: Address, connect_to: Connect) -> Connect:
    """Return a function that makes a client."""
    return lambda **options: connect_to(scripted_kyoto, **options)


@pytest.fixture
def client(connect: Connect) -> Any:
    """Return a client with the options that it has by itself."""
    return connect()


def test_what_goes_in_comes_out(client: Any) -> None:
    assert client.script("echo") == {}
    assert client.script("echo", {"a": "ä", "b": 5}, c="") == {"a": "ä", "b": "5", "c": ""}


def test_values_go_through_the_serializer_or_not(connect: Connect) -> None:
    client = connect(serializer=KT_JSON)
    assert client.script("echo", {"a": [1, None]}) == {"a": [1, None]}
    assert client.script("echo", {"a": "text", "b": b"\xff", "c": 5}, False) == {
        "a": b"text",
        "b": b"\xff",
        "c": b"5",
    }


def test_keys_are_text_or_not(connect: Connect) -> None:
    assert connect().script("echo", {b"\xff": "1", "a": "2"}) == {b"\xff": "1", "a": "2"}
    assert connect(decode_keys=False).script("echo", a="2") == {b"a": "2"}


def test_nobody_may_hear_of_it(client: Any) -> None:
    assert client.script("echo", {"a": "1"}, no_reply=True) == {}
    assert client.script("echo", {"a": "2"}) == {"a": "2"}


@pytest.mark.parametrize("name", ["fail", "none"])
def test_a_failure_is_told(client: Any, name: str) -> None:
    with pytest.raises(ServerError):
        client.script(name, {"a": "1"})
    assert client.script("echo", {"a": "2"}) == {"a": "2"}


def test_a_procedure_is_a_method(client: Any, connect: Connect) -> None:
    assert client.lua.echo({"a": 1}, b="2") == {"a": "1", "b": "2"}
    assert client.lua.echo(encode_values=False, a=b"1") == {"a": b"1"}
    assert client.lua.echo(a="1", no_reply=True) == {}
    with pytest.raises(ServerError):
        client.lua.none()
    with pytest.raises(AttributeError):
        _ = connect().lua.__wrapped__
