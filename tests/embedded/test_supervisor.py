"""A server that ends by itself: started again, not for ever, and not against the will of its user."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from kt_core.embedded.manager import Manager
from kt_core.embedded.supervisor import RESTART_DELAYS, STEADY
from kt_core.errors import ConnectionFailed
from tests.clock import Clock
from tests.embedded.kinds import Kind, StandInClient
from tests.embedded.watching import children, eventually, is_gone, supervisors


def kill(manager: Manager[StandInClient]) -> int:
    """Kill the server and return its number."""
    pid = manager.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def renew(manager: Manager[StandInClient]) -> None:
    """Kill the server and wait until it runs again."""
    killed = kill(manager)
    eventually(lambda: manager.pid not in (None, killed))


def test_a_server_that_dies_again_and_again_is_given_up(
    stand_in: Kind, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "lived"
    manager = stand_in.make(arguments=("-behave", "live once", "-file", str(file)), restart_delays=(0.0, 0.01))
    manager.run()
    kill(manager)
    eventually(lambda: supervisors() == 0)
    assert (manager.running, manager.pid) == (False, None)
    with pytest.raises(ConnectionFailed, match=r"not running any more: call run\(\) again") as caught:
        _ = manager.client
    assert "a last word" in str(caught.value.__cause__)
    tries = [record.message for record in caplog.records if "is started again in" in record.message]
    assert [text.rpartition(" in ")[2] for text in tries] == ["0 s", "0.01 s"]
    assert "a last word; it is given up" in caplog.text

    file.unlink()
    assert manager.run() is True
    assert manager.client.ask() == manager.pid
    assert manager.stop() is True


def test_what_was_given_up_was_not_running(stand_in: Kind) -> None:
    manager = stand_in.make(restart_delays=())
    manager.run()
    kill(manager)
    eventually(lambda: supervisors() == 0)
    assert manager.stop() is False


def test_every_end_uses_up_a_try(stand_in: Kind) -> None:
    manager = stand_in.make(restart_delays=(0.0, 0.0), clock=Clock())
    manager.run()
    renew(manager)
    renew(manager)
    kill(manager)
    eventually(lambda: supervisors() == 0)
    assert not manager.running


def test_a_server_that_has_lived_for_a_while_is_worth_all_tries_anew(stand_in: Kind) -> None:
    clock = Clock()
    with stand_in.make(restart_delays=(0.0,), clock=clock) as manager:
        for _ in range(3):
            clock.advance(STEADY)
            renew(manager)
        assert manager.client.ask() == manager.pid


def test_a_stop_does_not_wait_for_the_next_try(stand_in: Kind) -> None:
    before = children()
    manager = stand_in.make(restart_delays=(10_000.0,))
    manager.run()
    kill(manager)
    eventually(lambda: not manager.running)
    assert manager.stop() is True
    assert children() == before


def test_a_server_that_does_not_end_when_asked_to_is_killed(stand_in: Kind) -> None:
    manager = stand_in.make(arguments=("-behave", "be stubborn"))
    manager.run()
    pid = manager.pid
    assert pid is not None
    assert manager.stop(patience=0.05) is True
    assert is_gone(pid)


def test_the_connections_to_the_server_that_ended_are_not_used_again(stand_in: Kind) -> None:
    with stand_in.make() as manager:
        client = manager.client
        assert client.closed == 0
        renew(manager)
        assert manager.client is client
        assert client.closed == 1
    assert client.closed == 2


def test_a_server_without_output_is_watched_too(stand_in: Kind) -> None:
    with stand_in.make(arguments=("-behave", "close the output")) as manager:
        renew(manager)
        assert manager.client.ask() == manager.pid


def test_the_tries_are_ever_further_apart() -> None:
    assert list(RESTART_DELAYS) == sorted(RESTART_DELAYS)
    assert RESTART_DELAYS[-1] < STEADY
