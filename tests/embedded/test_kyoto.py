"""The manager of real Kyoto Tycoon servers: what its user does with it."""

from __future__ import annotations

import inspect
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kt_core import EmbeddedServer
from kt_core.errors import ConnectionFailed, Misconfigured
from kt_core.kyoto import KT_JSON, KyotoTycoon
from tests.embedded.conftest import watched
from tests.embedded.kinds import REAL, Kind
from tests.embedded.watching import eventually


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest) -> Iterator[Kind]:
    yield from watched(REAL[request.param])


@pytest.fixture
def bundled() -> Iterator[Kind]:
    yield from watched(REAL["bundled"])


def test_its_arguments_are_those_that_users_know() -> None:
    parameters = list(inspect.signature(EmbeddedServer).parameters.values())
    known = [(one.name, one.default) for one in parameters if one.kind is not one.KEYWORD_ONLY]
    assert known == [
        ("server", "ktserver"),
        ("host", "127.0.0.1"),
        ("port", None),
        ("database", "*"),
        ("server_args", None),
    ]


def test_its_client_is_one(real: Kind) -> None:
    with real.make() as server:
        client = server.client
        assert isinstance(client, KyotoTycoon)
        assert client.set("k1", "v1") == 1
        assert client.get("k1") == "v1"
        assert client.incr("count") == 1


def test_what_must_not_be_sent_twice_reaches_the_next_server(real: Kind) -> None:
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
    server = real.make(database=str(tmp_path / "data.kct"))
    with server:
        server.client.set("key", "value")
    with server:
        assert server.client.get("key") == "value"


def test_there_may_be_several_databases(real: Kind) -> None:
    with real.make(database=["*", "%"]) as server:
        server.client.set("key", "value", db=1)
        assert server.client.get("key") is None
        assert server.client.get("key", db=1) == "value"


def test_there_may_be_more_arguments(real: Kind, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with real.make(server_args=["-log", str(log), "-ls"]):
        pass
    assert log.read_text()


def test_the_serializer_is_the_clients(real: Kind) -> None:
    with real.make(serializer=KT_JSON) as server:
        server.client.set("key", {"a": [1, None]})
        assert server.client.get("key") == {"a": [1, None]}


def test_a_database_that_cannot_be_opened_is_an_error_in_the_servers_words(real: Kind) -> None:
    with pytest.raises(ConnectionFailed, match=r"before it answered:\n.*nothing"):
        real.make(database="/dev/null/nothing.kct").run()


def test_it_need_not_be_started_again(real: Kind) -> None:
    server = real.make(restart=False)
    server.run()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    eventually(lambda: not server.running)
    with pytest.raises(ConnectionFailed, match=r"call run\(\) again"):
        _ = server.client
    assert server.stop() is False


def test_the_bundled_server_listens_on_a_unix_socket(bundled: Kind, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bundled.make(path=str(path)) as server:
        assert server.port is None
        killed = server.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: server.pid not in (None, killed))
        assert server.client.set("key", "value") == 1
    assert not path.exists()


def test_a_name_that_is_not_on_path_means_the_bundled_server() -> None:
    with EmbeddedServer("no-ktserver-of-this-name") as server:
        assert server.bundled
        assert server.client.set("key", "value") == 1


@pytest.mark.parametrize("name", set(REAL) & {"ktserver"})
def test_ktserver_takes_no_high_port(name: str) -> None:
    with pytest.raises(Misconfigured, match="takes no port above 32767"):
        REAL[name].make(port=32768).run()
