"""The report on session engines: a row for each that took part, beside the database."""

from __future__ import annotations

from typing import Any

from bench.calls import Samples
from bench.report import Report, Setting
from bench.sessions import OPERATIONS, report


def reported(samples: dict[str, list[float]]) -> Report:
    operations: Samples = {
        operation.title: {name: list(own) for name, own in samples.items()} for operation in OPERATIONS
    }
    return report(operations, "a disk", Setting("python -m bench sessions"), ["Left out: one"])


def test_engines_are_compared_with_the_database() -> None:
    told = reported({"commit": [10.0, 30.0, 20.0], "db": [40.0, 60.0, 80.0]})
    rows = told.text.splitlines()
    assert "- Files: a disk" in rows
    assert "- Left out: one" in rows
    assert "| kt_cache, durability commit | 20.0 | 20.0 | 20.0 | 20.0 |" in rows
    assert "| kt_cache, durability commit | 0.25 | 0.25 | 0.25 | 0.25 |" in rows
    assert set(told.charts) == {"sessions"}


def test_without_the_database_there_are_no_ratios() -> None:
    assert "ratio" not in reported({"commit": [10.0]}).text


class Recorder:
    """Sessions that note what is done to them."""

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.keys = ["key0", "key1"]
        self.requests = [Session(self.done), Session(self.done)]

    def begin(self) -> Any:
        return lambda key: self.done.append(key) or {"seen": 0}

    def create(self) -> None:
        self.done.append("create")


class Session(dict[str, Any]):
    def __init__(self, done: list[Any]) -> None:
        super().__init__(seen=0)
        self._done = done

    def save(self) -> None:
        self._done.append(self["seen"])


def test_each_operation_does_what_it_says() -> None:
    done = {}
    for operation in OPERATIONS:
        recorder = Recorder()
        operation.loop(recorder, [1, 0, 1])  # type: ignore[arg-type]
        done[operation.title] = recorder.done
    assert done == {
        "load": ["key1", "key0", "key1"],
        "save": [1, 1, 2],
        "save, unchanged": [0, 0, 0],
        "create": ["create"] * 3,
    }
