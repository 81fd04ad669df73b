"""What scripts can call on texts, where the original gives no example: what it dies of, and what has no end."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest

from kt_core.errors import InvalidInput
from kt_core.number import INTEGER_MIN
from kt_core.server import Server
from kt_core.server.scripting import texts
from tests.server.running import serving
from tests.server.scripting.playing import play
from tests.server.scripting.record import SCRIPT


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving("%", "*", script=str(SCRIPT)) as server:
        yield server


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        (r"kt.arrayload('\128')", "{}"),
        (r"kt.arrayload('\1a\255\255')", "{1='a'}"),
        (r"kt.mapload('\1\1kv\128\128\128')", "{'k'='v'}"),
        (r"kt.mapload('\129')", "{}"),
        ("kt.codec('~zlib', '')", "nil"),
        ("kt.codec('~deflate', 'abc')", "nil"),
        ("kt.codec('~gzip', kt.codec('gzip', 'abc'):sub(1, -5))", "nil"),
        ("#kt.pack('c999999999', {})", "0"),
        ("#kt.unpack('c999999999', 'abc')", "3"),
        ("#kt.split(('x,'):rep(1000), ',')", "1001"),
        ("kt.regex(('a'):rep(50), '((((')", "false"),
    ],
)
def test_what_is_broken_ends(server: Server, expression: str, told: str) -> None:
    assert play(server, "run", code=f"return {expression}") == {"1": told, "going": "true"}


@pytest.mark.parametrize(
    "expression",
    [
        "kt.codec('~zlib', kt.codec('zlib', ('x'):rep(2^25)) .. '')",
        "kt.strstr(('x'):rep(2^20), 'x', ('y'):rep(2^20))",
        "kt.regex(('x'):rep(2^10), 'x', ('y'):rep(2^20))",
    ],
)
def test_what_grows_without_bound_is_an_error(expression: str) -> None:
    with serving(script=str(SCRIPT), script_memory=64 << 20) as server:
        assert play(server, "run", code=f"return #{expression}")["going"] == "false"
        assert play(server, "echo", a="1") == {"a": "1"}


def test_what_is_compressed_is_expanded_to_a_bound() -> None:
    bomb = zlib.compress(bytes(100 << 20))
    assert texts.codec(b"~deflate", bomb) is None


def test_a_result_has_a_bound() -> None:
    functions = texts.functions(list, 100)
    assert functions["codec"](b"hex", b"x" * 50) == b"78" * 50
    with pytest.raises(InvalidInput, match="larger than there is memory for"):
        functions["codec"](b"hex", b"x" * 51)


@pytest.mark.parametrize(
    ("number", "integer"),
    [(1.9, 1), (-1.9, -1), (2.0**63, INTEGER_MIN), (float("inf"), INTEGER_MIN), (float("nan"), INTEGER_MIN)],
)
def test_a_number_is_cut_to_64_bits(number: float, integer: int) -> None:
    assert texts.to_integer(number) == integer
