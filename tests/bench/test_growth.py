"""The keys that fill a growing store."""

from __future__ import annotations

from bench.growth import name_of


def test_names_are_distinct_of_one_length_and_out_of_order() -> None:
    names = [name_of(number) for number in range(10_000)]
    assert len(set(names)) == len(names)
    assert len({len(name) for name in names}) == 1
    assert names != sorted(names)
