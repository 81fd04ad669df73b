"""The manager of real Tokyo Tyrant servers: what its user does with it."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core import EmbeddedTokyoTyrantServer
from kt_core.errors import ConnectionFailed
from kt_core.serializers import KT_JSON
from kt_core.tyrant import TT_TABLE, TokyoTyrant
from tests.embedded.conftest import watched
from tests.embedded.kinds import Kind
from tests.embedded.watching import eventually


def _process_id(client: TokyoTyrant) -> int:
    return client.status().process_id


REAL = {"bundled": Kind(lambda **settings: EmbeddedTokyoTyrantServer(None, **settings), _process_id)}
if shutil.which("ttserver"):
    REAL["ttserver"] = Kind(EmbeddedTokyoTyrantServer, _process_id)


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest) -> Iterator[Kind]:
    yield from watched(REAL[request.param])


@pytest.fixture
def bundled() -> Iterator[Kind]:
    yield from watched(REAL["bundled"])


def test_its_arguments_are_those_that_users_know() -> None:
    parameters = list(inspect.signature(EmbeddedTokyoTyrantServer).parameters.values())
    known = [(one.name, one.default) for one in parameters if one.kind is not one.KEYWORD_ONLY]
    assert known == [
        ("server", "ttserver"),
        ("host", "127.0.0.1"),
        ("port", None),
        ("database", "*"),
        ("server_args", None),
    ]


def test_its_client_is_one(real: Kind) -> None:
    server = real.make()
    assert server.run() is True
    client = server.client
    assert isinstance(client, TokyoTyrant)
    assert client.set("k1", "v1") is True
    assert client.get("k1") == "v1"
    assert real.process_id(client) == server.pid
    assert server.stop() is True


def test_the_next_server_begins_anew(real: Kind) -> None:
    """No connection to the server that ended is used."""
    with real.make() as server:
        client = server.client
        assert client.incr("count", 5) == 5
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: server.pid not in (None, killed))
        assert client.incr("count") == 1


def test_a_database_in_a_file_is_kept(real: Kind, tmp_path: Path) -> None:
    server = real.make(database=str(tmp_path / "data.tcb"))
    with server:
        server.client.set("key", "value")
        assert server.client.status().type == "B+ tree"
    with server:
        assert server.client.get("key") == "value"


def test_the_serializer_is_the_clients(real: Kind, tmp_path: Path) -> None:
    with real.make(serializer=KT_JSON) as server:
        server.client.set("key", {"a": [1, None]})
        assert server.client.get("key") == {"a": [1, None]}
    with real.make(database=str(tmp_path / "data.tct"), serializer=TT_TABLE) as server:
        server.client.set("key", {"a": 1})
        assert server.client.get("key") == {"a": "1"}


def test_there_may_be_more_arguments(real: Kind, tmp_path: Path) -> None:
    with real.make(server_args=["-mask", "vanish"]) as server:
        assert server.client.clear() is False


def test_a_database_that_cannot_be_opened_is_an_error_in_the_servers_words(real: Kind) -> None:
    """The original goes on without one, and then fails whatever it is asked."""
    words = r"(?s)cannot open its database:\n.*tcadbopen failed|before it answered:\n.*nothing"
    with pytest.raises(ConnectionFailed, match=words):
        real.make(database="/dev/null/nothing.tch").run()


def test_the_bundled_server_listens_on_a_unix_socket(bundled: Kind, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bundled.make(path=str(path)) as server:
        assert server.port is None
        assert server.client.set("key", "value") is True
    assert not path.exists()


def test_a_name_that_is_not_on_path_means_the_bundled_server() -> None:
    with EmbeddedTokyoTyrantServer("no-ttserver-of-this-name") as server:
        assert server.bundled
        assert server.client.set("key", "value") is True
