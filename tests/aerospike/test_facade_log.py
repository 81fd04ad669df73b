"""Events of the native client come to the handler, as far as the level lets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kt_core import aerospike
from tests.processes import python


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """Return what comes to a handler."""
    events: list[Any] = []

    def as_logger(level: int, func: str, path: str, line: int, msg: str) -> None:
        events.append((level, func, path, line, msg))

    aerospike.set_log_handler(as_logger)
    yield events
    aerospike.set_log_level(aerospike.LOG_LEVEL_ERROR)
    aerospike.set_log_handler(None)


def test_a_handler_gets_five_arguments(events: list[Any], connect: Callable[..., Any]) -> None:
    assert aerospike.set_log_level(aerospike.LOG_LEVEL_DEBUG) == 0
    connect()
    assert events
    assert {tuple(map(type, event)) for event in events} == {(int, str, str, int, str)}
    assert all(event[0] <= aerospike.LOG_LEVEL_DEBUG for event in events)


@pytest.mark.parametrize("name", ["OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"])
def test_no_event_passes_a_level(name: str, events: list[Any], connect: Callable[..., Any]) -> None:
    level = getattr(aerospike, f"LOG_LEVEL_{name}")
    aerospike.set_log_level(level)
    connect()
    assert all(event[0] <= level for event in events)


def test_silence(events: list[Any], connect: Callable[..., Any]) -> None:
    aerospike.set_log_level(aerospike.LOG_LEVEL_TRACE)
    assert aerospike.set_log_handler(None) == 0
    connect()
    assert events == []


def test_without_a_handler_events_are_printed() -> None:
    code = """
from kt_core import aerospike
aerospike.set_log_handler()
aerospike.set_log_level(aerospike.LOG_LEVEL_DEBUG)
try:
    aerospike.client({"hosts": [("127.0.0.1", 1)]}).connect()
except aerospike.exception.ClusterError:
    pass
"""
    assert python("-c", code)


@pytest.mark.parametrize("level", [99, -2, "x", None])
def test_a_level_that_there_is_not(level: Any) -> None:
    with pytest.raises(aerospike.exception.ParamError, match="LOG_LEVEL_OFF"):
        aerospike.set_log_level(level)


def test_a_handler_that_cannot_be_called() -> None:
    with pytest.raises(aerospike.exception.ParamError, match="function"):
        aerospike.set_log_handler("print")
