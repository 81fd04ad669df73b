"""What every manager does, whichever server it runs."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kt_core.errors import ConnectionFailed, Misconfigured
from tests.embedded.kinds import KINDS, Kind
from tests.embedded.watching import eventually, is_gone, supervisors
from tests.processes import python, running

names = pytest.mark.parametrize("name", KINDS)

_BEGIN = """
import os, signal, sys, time
from tests.embedded.kinds import KINDS
kind = KINDS[sys.argv[1]]
manager = kind.make()
"""


def test_it_runs_until_it_is_stopped(kind: Kind) -> None:
    manager = kind.make()
    assert (manager.running, manager.pid, manager.port, manager.host) == (False, None, None, "127.0.0.1")
    assert manager.run() is True
    pid, port = manager.pid, manager.port
    assert pid is not None
    assert port is not None
    assert manager.running
    assert kind.process_id(manager.client) == pid
    assert manager.stop() is True
    assert is_gone(pid)
    assert (manager.running, manager.pid, manager.port) == (False, None, None)
    assert supervisors() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((manager.host, port))


def test_to_run_what_runs_does_nothing(kind: Kind) -> None:
    manager = kind.make()
    manager.run()
    pid = manager.pid
    assert manager.run() is False
    assert kind.process_id(manager.client) == manager.pid == pid
    assert supervisors() == 1


def test_to_stop_what_does_not_run_does_nothing(kind: Kind) -> None:
    manager = kind.make()
    assert manager.stop() is False
    manager.run()
    assert manager.stop() is True
    assert manager.stop() is False


def test_there_is_a_client_while_it_runs(kind: Kind) -> None:
    manager = kind.make()
    with pytest.raises(ConnectionFailed, match=r"not running.*call run\(\) first"):
        _ = manager.client
    with manager as entered:
        assert entered is manager
        assert manager.client is manager.client
    with pytest.raises(ConnectionFailed, match=r"not running.*call run\(\) first"):
        _ = manager.client


def test_it_runs_again(kind: Kind) -> None:
    manager = kind.make()
    for _ in range(2):
        with manager:
            assert kind.process_id(manager.client) == manager.pid


def test_managers_do_not_know_each_other(kind: Kind) -> None:
    with kind.make() as one, kind.make() as other:
        assert one.port != other.port
        one.stop()
        assert kind.process_id(other.client) == other.pid


def test_it_listens_on_the_given_port(kind: Kind) -> None:
    with kind.make() as manager:
        port = manager.port
    with kind.make(port=port) as manager:
        assert manager.port == port
        assert kind.process_id(manager.client) == manager.pid


def test_a_taken_port_is_an_error(kind: Kind) -> None:
    with kind.make() as manager:
        other = kind.make(port=manager.port)
        with pytest.raises(Misconfigured, match=f"port {manager.port} of 127.0.0.1 is taken"):
            other.run()
        assert kind.process_id(manager.client) == manager.pid
        assert not other.running


def test_a_server_that_ends_is_started_again(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    """On the same port: clients go on."""
    with kind.make() as manager:
        client, port = manager.client, manager.port
        for _ in range(2):
            killed = manager.pid
            assert killed is not None
            assert kind.process_id(client) == killed
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: manager.pid not in (None, killed))  # noqa: B023 - called at once
            assert manager.port == port
            assert manager.client is client
            assert kind.process_id(client) == manager.pid
    assert "was ended by SIGKILL; it is started again" in caplog.text


def test_it_does_not_need_the_thread_that_ran_it(kind: Kind) -> None:
    manager = kind.make()
    thread = threading.Thread(target=manager.run)
    thread.start()
    thread.join()
    pid = manager.pid
    assert pid is not None
    assert kind.process_id(manager.client) == pid
    assert manager.pid == pid


def test_one_of_several_threads_runs_it(kind: Kind) -> None:
    manager = kind.make()
    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(lambda _: manager.run(), range(4))) == [False, False, False, True]
        assert kind.process_id(manager.client) == manager.pid
        assert sorted(pool.map(lambda _: manager.stop(), range(4))) == [False, False, False, True]


def test_the_terminal_does_not_reach_it(kind: Kind) -> None:
    """Ctrl-C is for the program, which stops the server in its own time."""
    with kind.make() as manager:
        assert manager.pid is not None
        assert os.getpgid(manager.pid) == manager.pid


@names
def test_it_ends_with_a_killed_program(name: str) -> None:
    with running(f"{_BEGIN}manager.run(); print(manager.pid, flush=True); time.sleep(1000)", name) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert not is_gone(pid)
        program.kill()
        eventually(lambda: is_gone(pid))


@names
@pytest.mark.parametrize("end", ["", "sys.exit(0)", "manager.stop()"])
def test_it_ends_with_the_program(name: str, end: str) -> None:
    code = f"{_BEGIN}manager.run(); print(manager.pid); {end}"
    assert is_gone(int(python("-X", "dev", "-W", "error", "-c", code, name)))


@names
def test_a_forked_child_uses_it_and_leaves_it_alone(name: str) -> None:
    code = f"""{_BEGIN}
manager.run()
assert kind.process_id(manager.client) == manager.pid
child = os.fork()
if child == 0:
    assert kind.process_id(manager.client) == manager.pid
    assert manager.run() is False
    assert manager.stop() is False
    assert manager.running
    sys.exit(0)  # calls what was registered for the end of the program
assert os.waitpid(child, 0)[1] == 0
assert kind.process_id(manager.client) == manager.pid
print(manager.stop())
"""
    assert python("-c", code, name) == "True\n"


@names
def test_a_forked_child_runs_its_own(name: str) -> None:
    """Even if a lock was held at the fork."""
    code = f"""{_BEGIN}
import threading
held, free = threading.Event(), threading.Event()
def hold():
    with manager._lock:
        held.set()
        free.wait()
thread = threading.Thread(target=hold, daemon=True)
thread.start()
held.wait()
child = os.fork()
if child == 0:
    assert manager.run() is True
    assert kind.process_id(manager.client) == manager.pid
    assert manager.stop() is True
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
free.set()
thread.join()
"""
    python("-c", code, name)


@names
def test_it_hears_sigterm_though_the_program_does_not(name: str) -> None:
    """What a program blocks or ignores is blocked and ignored in what it starts."""
    code = f"""{_BEGIN}
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
manager.run()
for line in open(f"/proc/{{manager.pid}}/status"):
    if line.startswith(("SigBlk", "SigIgn")):
        print(int(line.split()[1], 16) >> signal.SIGTERM - 1 & 1)
"""
    assert python("-c", code, name) == "0\n0\n"


def test_it_says_what_it_is(kind: Kind) -> None:
    manager = kind.make()
    assert "not running" in repr(manager)
    with manager:
        assert f":{manager.port}, process {manager.pid}" in repr(manager)


def test_it_works_where_the_program_goes(stand_in: Kind, tmp_path: Path) -> None:
    """Relative paths mean the same when the server is started again."""
    manager = stand_in.make()
    here = os.getcwd()
    with manager:
        os.chdir(tmp_path)
        try:
            killed = manager.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            eventually(lambda: manager.pid not in (None, killed))
        finally:
            os.chdir(here)
        assert os.readlink(f"/proc/{manager.pid}/cwd") == here
