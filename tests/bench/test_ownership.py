"""The report on what kt-cache costs to have: medians, and what starting Django with it adds."""

from __future__ import annotations

from bench.ownership import Results, Start, report
from bench.report import Setting


def start(*seconds: float) -> Start:
    memory = {"Rss": [40 << 10], "Pss": [30 << 10], "Private_Clean": [1 << 10], "Private_Dirty": [20 << 10]}
    return Start(list(seconds), memory)


RESULTS = Results(
    imports={"kt_core": [0.001, 0.009, 0.002]},
    opening={"a new one": [0.004, 0.003, 0.009]},
    starts={"LocMemCache": start(0.200, 0.300, 0.250), "KTCache": start(0.210, 0.320, 0.290)},
    entry=300.0,
    connection=4000.0,
)


def test_it_tells_what_kt_cache_adds_in_the_same_round() -> None:
    rows = report(RESULTS, Setting("python -m bench ownership")).text.splitlines()
    assert "| `import kt_core` | 2.00 |" in rows
    assert "| opening an embedded database, a new one, and the first write | 4.00 |" in rows
    assert "| Django with KTCache | 290 |" in rows
    assert "| what KTCache adds to Django's start | 20.0 |" in rows


def test_it_tells_the_memory_of_a_process_an_entry_and_a_connection() -> None:
    text = report(RESULTS, Setting("python -m bench ownership")).text
    assert "| KTCache | 40.0 | 30.0 | 21.0 |" in text
    assert "| 300 |" in text
    assert "| 4,000 |" in text
