"""Calls of clients, and the tables that compare them."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.calls import Samples
from bench.client import CALLS, SET, VALUE, Call, report
from bench.report import Report, Setting

TITLES = {"redis": "RedisCache", "ktcache-socket": "KTCache (kt+unix)"}


class Recorder:
    """A client that notes what is asked of it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def set(self, *arguments: Any) -> None:
        self.seen.append(arguments)


class AwaitedRecorder(Recorder):
    async def set(self, *arguments: Any) -> None:  # type: ignore[override]
        super().set(*arguments)


def test_a_call_is_made_on_each_subject() -> None:
    client = Recorder()
    SET.operation(None).loop(client, ["one", "two"])
    assert client.seen == [("one", VALUE), ("two", VALUE)]


def test_a_call_is_awaited_where_it_must_be() -> None:
    client = AwaitedRecorder()
    SET.operation(asyncio.run).loop(client, ["one", "two"])
    assert client.seen == [("one", VALUE), ("two", VALUE)]


def test_an_operation_has_the_subjects_of_the_call() -> None:
    assert Call("title", "get", ["one"]).operation(None).subjects == ["one"]


def reported(clients: dict[str, list[float]], caches: Samples) -> Report:
    samples: Samples = {call.title: {name: list(own) for name, own in clients.items()} for call in CALLS}
    return report(samples if clients else {}, caches, TITLES, Setting("python -m bench client"), ["Left out: one"])


def test_ours_is_compared_on_the_same_server_and_with_redis() -> None:
    told = reported(
        {
            "KyotoTycoon on bundled server": [10.0, 30.0, 20.0],
            "KyotoTycoon on ktserver": [8.0, 24.0, 16.0],
            "ukt on bundled server": [20.0, 60.0, 40.0],
            "redis-py on redis-server": [40.0, 120.0, 80.0],
            "AsyncKyotoTycoon on bundled server": [50.0, 50.0, 50.0],
        },
        {},
    )
    ratios = [line for line in told.text.splitlines() if " / " in line]
    cells = len(CALLS)
    assert ratios == [
        f"| KyotoTycoon on bundled server / ukt on bundled server |{' 0.50 |' * cells}",
        f"| KyotoTycoon on bundled server / redis-py on redis-server |{' 0.25 |' * cells}",
        f"| KyotoTycoon on ktserver / redis-py on redis-server |{' 0.20 |' * cells}",
    ]
    assert f"| ukt on bundled server |{' 40.0 |' * cells}" in told.text
    assert "- Left out: one" in told.text
    assert set(told.charts) == {"client"}


def test_django_caches_are_compared_with_redis_cache() -> None:
    told = reported({}, {"get": {"redis": [100.0, 100.0], "ktcache-socket": [40.0, 40.0]}})
    assert "| KTCache (kt+unix) | 40.0 |" in told.text
    assert "| KTCache (kt+unix) | 0.40 |" in told.text
    assert "## Clients" not in told.text
