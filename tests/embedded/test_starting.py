"""Starting a server: which one, on which port, and what is said when it does not come to serve."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kt_core.errors import ConnectionFailed, KTError, Misconfigured, ProtocolError, Timeout
from tests.embedded.kinds import STAND_INS, Kind, StandInClient
from tests.embedded.watching import children, eventually, is_gone, supervisors
from tests.processes import python


def failure(kind: Kind, **settings: Any) -> KTError:
    """Run a server that does not come to serve and return the error; nothing may be left behind."""
    before = children()
    manager = kind.make(**settings)
    with pytest.raises(KTError) as caught:
        manager.run()
    assert (manager.running, manager.port) == (False, settings.get("port"))
    assert children() == before
    assert supervisors() == 0
    assert manager.stop() is False
    return caught.value


def test_a_server_that_ends_at_once_is_an_error_with_its_last_words(stand_in: Kind) -> None:
    error = failure(stand_in, arguments=("-behave", "die"))
    assert isinstance(error, ConnectionFailed)
    assert "ended with exit status 1 before it answered:\na reason\n[ERROR]: a last word" in str(error)


def test_a_server_that_never_answers_is_an_error_with_its_last_words(stand_in: Kind) -> None:
    error = failure(stand_in, arguments=("-behave", "keep silent"), timeout=0.5)
    assert isinstance(error, Timeout)
    assert "did not answer within 0.5 s:\nthinking" in str(error)


def test_another_server_that_answers_is_not_taken_for_it(stand_in: Kind) -> None:
    error = failure(stand_in, arguments=("-behave", "lie"), timeout=0.3)
    assert isinstance(error, Timeout)
    assert "did not answer within 0.3 s; it wrote nothing" in str(error)


def test_a_server_that_answers_without_its_database_is_an_error_with_its_last_words(stand_in: Kind) -> None:
    error = failure(stand_in, arguments=("-behave", "talk"), has_database=lambda client: False)
    assert isinstance(error, ConnectionFailed)
    assert "cannot open its database:\n[SYSTEM]: one\n[ERROR]: two\nnow\tERROR\ttwo\nthree" in str(error)


def test_nonsense_in_place_of_a_report_is_an_error(bundled: Kind) -> None:
    error = failure(bundled, arguments=("-behave", "report nonsense"))
    assert isinstance(error, ProtocolError)
    assert "reported b'nonsense" in str(error)


def test_another_thread_may_stop_it_while_it_starts(stand_in: Kind) -> None:
    manager = stand_in.make(arguments=("-behave", "keep silent"))
    before, errors = children(), list[str]()

    def run() -> None:
        with pytest.raises(ConnectionFailed) as caught:
            manager.run()
        errors.append(str(caught.value))

    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: children() != before)
    manager.stop()
    thread.join()
    assert "was stopped before it answered" in errors[0]
    assert children() == before


@pytest.mark.parametrize("name", STAND_INS)
@pytest.mark.parametrize(
    ("handler", "said"),
    [("lambda *_: manager.stop()", "ConnectionFailed"), ("signal.default_int_handler", "KeyboardInterrupt")],
)
def test_a_signal_may_stop_it_while_it_starts(name: str, handler: str, said: str) -> None:
    """The handler runs in the very thread that waits in run()."""
    code = f"""
import os, signal, sys, threading
from tests.embedded.kinds import STAND_INS
from tests.embedded.watching import children, eventually, supervisors
manager = STAND_INS[sys.argv[1]].make(arguments=("-behave", "keep silent"))
signal.signal(signal.SIGINT, {handler})
def interrupt():
    eventually(children)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    manager.run()
except BaseException as error:
    print(type(error).__name__, manager.running, children(), supervisors())
"""
    assert python("-c", code, name) == f"{said} False set() 0\n"


def test_a_lost_race_for_a_port_leads_to_another_port(foreign: Kind, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with foreign.make(arguments=("-behave", "lose the port", "-file", str(file))) as manager:
        os.kill(int(file.read_text()), signal.SIGKILL)
        assert foreign.process_id(manager.client) == manager.pid


def test_a_race_is_lost_even_if_the_winner_is_gone(foreign: Kind, tmp_path: Path) -> None:
    with foreign.make(arguments=("-behave", "lose the port for a moment", "-file", str(tmp_path / "file"))) as manager:
        assert foreign.process_id(manager.client) == manager.pid


def test_a_lost_race_for_a_given_port_is_an_error(foreign: Kind, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    file = tmp_path / "pid"
    error = failure(foreign, port=port, arguments=("-behave", "lose the port", "-file", str(file)))
    os.kill(int(file.read_text()), signal.SIGKILL)
    assert isinstance(error, Misconfigured)
    assert f"port {port} of 127.0.0.1 is taken: end the process" in str(error)


@pytest.mark.parametrize("host", ["192.0.2.1", "fe80::1%none"])
def test_a_host_that_is_not_this_one_is_an_error_in_the_servers_words(stand_in: Kind, host: str) -> None:
    error = failure(stand_in, host=host, port=20000)
    assert isinstance(error, ConnectionFailed)
    assert f"while attempting to bind on address ('{host}', 20000)" in str(error)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(stand_in: Kind, port: int) -> None:
    with pytest.raises(Misconfigured, match="write one from 1 to 65535, or 0 or None"):
        stand_in.make(port=port)


def test_a_port_that_the_program_does_not_take_is_refused(foreign: Kind) -> None:
    assert "takes no port above 65534" in str(failure(foreign, port=65535))


@pytest.mark.parametrize("argument", ["-host", "-port", "-sock", "-dmn"])
def test_arguments_that_are_the_managers_own_are_refused(stand_in: Kind, argument: str) -> None:
    with pytest.raises(Misconfigured, match=f"'{argument}' in server_args: .* instead"):
        stand_in.make(arguments=("-th", "4", argument, "x"))


def test_what_only_the_bundled_server_does_is_not_asked_of_another(foreign: Kind) -> None:
    with pytest.raises(Misconfigured, match="write server=None with path="):
        foreign.make(path="/tmp/x.sock")
    with pytest.raises(Misconfigured, match="embedded://x: write server=None"):
        foreign.make(databases=("*", "embedded://x"))


def test_a_name_that_is_not_on_path_means_the_bundled_server(bundled: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    manager = bundled.make(server="no-such-server")
    assert manager.bundled is None
    with manager:
        assert manager.bundled is True
    assert "there is no no-such-server on PATH: the bundled server runs instead" in caplog.text


def test_another_program_is_told_from_the_bundled_server(foreign: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with foreign.make() as manager:
        assert manager.bundled is False
    assert f"{sys.executable} serves 127.0.0.1:" in caplog.text


def test_a_path_that_leads_to_no_program_is_an_error(bundled: Kind, tmp_path: Path) -> None:
    error = failure(bundled, server=str(tmp_path / "none"))
    assert isinstance(error, Misconfigured)
    assert "is no program: write the path of one, or server=None" in str(error)


def test_the_unix_socket_is_used_and_removed(bundled: Kind, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bundled.make(path=str(path)) as manager:
        assert (manager.path, manager.port) == (str(path), None)
        assert manager.client.ask() == manager.pid
        assert path.is_socket()
        assert str(path) in repr(manager)
    assert not path.exists()


def test_a_unix_socket_goes_with_a_given_port(bundled: Kind, tmp_path: Path) -> None:
    with bundled.make() as manager:
        port = manager.port
    assert port is not None
    with bundled.make(path=str(tmp_path / "socket"), port=port) as manager:
        assert manager.port == port
        assert StandInClient("127.0.0.1", port).ask() == manager.client.ask() == manager.pid


def test_a_server_that_is_started_again_listens_on_its_unix_socket(bundled: Kind, tmp_path: Path) -> None:
    with bundled.make(path=str(tmp_path / "socket")) as manager:
        killed = manager.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: manager.pid not in (None, killed))
        assert manager.client.ask() == manager.pid


def test_what_is_no_socket_is_not_removed(bundled: Kind, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("dear")
    assert "Address already in use" in str(failure(bundled, path=str(path)))
    assert path.read_text() == "dear"


def test_the_client_has_the_serializer(stand_in: Kind) -> None:
    with stand_in.make() as manager:
        assert manager.client.serializer == "none"


@pytest.mark.parametrize("quiet", [False, True])
def test_what_a_server_writes_is_logged(stand_in: Kind, caplog: pytest.LogCaptureFixture, quiet: bool) -> None:
    caplog.set_level(logging.DEBUG, "kt_core.embedded")
    with stand_in.make(arguments=("-behave", "talk"), quiet=quiet):
        pass
    levels = {record.message.partition(": ")[2]: record.levelname for record in caplog.records}
    levels = {text: level for text, level in levels.items() if text[-3:] in ("one", "two", "ree")}
    assert levels == {
        "[SYSTEM]: one": "DEBUG" if quiet else "INFO",
        "[ERROR]: two": "DEBUG" if quiet else "ERROR",
        "now\tERROR\ttwo": "DEBUG" if quiet else "ERROR",
        "three": "DEBUG" if quiet else "WARNING",
    }


def test_a_forked_process_that_holds_the_output_open_does_not_hide_the_end(stand_in: Kind, tmp_path: Path) -> None:
    file = tmp_path / "pid"
    with stand_in.make(arguments=("-behave", "fork", "-file", str(file))) as manager:
        killed = manager.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: manager.pid not in (None, killed))
        assert not is_gone(int(file.read_text()))
        os.kill(int(file.read_text()), signal.SIGKILL)
