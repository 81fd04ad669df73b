"""A child process: what it writes is heard line by line, and waiting for it ends in time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kt_core.embedded.child import Child, Stop


@contextmanager
def shell(script: str) -> Iterator[tuple[Child, list[str]]]:
    """Run a shell script, and give what is heard of it."""
    heard: list[str] = []
    child = Child(["/bin/sh", "-c", script], heard.append, cwd="/")
    try:
        yield child, heard
    finally:
        child.end(0)


def test_lines_are_heard_until_the_end() -> None:
    with shell("echo one; echo two >&2; echo; printf three") as (child, heard):
        assert child.wait(None) is False
        assert heard == list(child.last_lines) == ["one", "two", "three"]
        assert (child.ended, child.fate) == (True, "ended with exit status 0")


def test_only_the_last_lines_are_kept() -> None:
    with shell("for i in 0 1 2 3 4 5 6 7 8 9 10 11; do echo $i; done") as (child, heard):
        child.wait(None)
        assert len(heard) == 12
        assert list(child.last_lines) == heard[2:]


def test_a_line_without_an_end_does_not_grow_for_ever() -> None:
    with shell("head -c 100000 /dev/zero | tr '\\0' x; echo end") as (child, heard):
        child.wait(None)
        assert "".join(heard) == "x" * 100000 + "end"
        assert len(heard) > 1


def test_bytes_that_are_no_text_are_heard() -> None:
    with shell(r"printf 'a\377b\n'") as (child, heard):
        child.wait(None)
        assert heard == ["a\ufffdb"]


def test_more_than_a_pipe_holds_does_not_hold_it_up() -> None:
    with shell("head -c 1000000 /dev/zero | tr '\\0' '\\n'; exit 5") as (child, _):
        child.wait(None)
        assert child.fate == "ended with exit status 5"


def test_waiting_ends_when_the_time_is_over() -> None:
    with shell("exec sleep 1000") as (child, _):
        assert child.wait(0.01) is False
        assert (child.ended, child.fate) == (False, "is running")


def test_waiting_ends_when_a_descriptor_can_be_read() -> None:
    stop = Stop()
    with shell("exec sleep 1000") as (child, _):
        assert child.wait(0, stop.fileno()) is False
        stop.ask()
        assert child.wait(None, stop.fileno()) is True
        assert child.wait(None, stop.fileno()) is True


@pytest.mark.parametrize(
    ("script", "signal"), [("exec sleep 1000", "SIGTERM"), ("trap '' TERM; echo; sleep 1000", "SIGKILL")]
)
def test_it_is_asked_to_end_and_then_killed(script: str, signal: str) -> None:
    with shell(script) as (child, _):
        child.wait(0.1)
        child.end(0.1 if signal == "SIGKILL" else 30)
        assert child.fate == f"was ended by {signal}"


def test_it_begins_in_the_given_directory_without_input() -> None:
    with shell("pwd; cat") as (child, heard):
        child.wait(None)
        assert heard == ["/"]


def test_a_stop_stays() -> None:
    stop = Stop()
    assert not stop.asked
    stop.wait(0.001)
    stop.ask()
    stop.ask()
    stop.wait(1000)
    assert stop.asked


def test_a_stop_leaves_no_descriptor() -> None:
    stop = Stop()
    descriptor = stop.fileno()
    os.fstat(descriptor)
    del stop
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
