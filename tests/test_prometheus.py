"""The collector for Prometheus, read back with Prometheus's own parser."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kt_cache.options import Options
from kt_cache.prometheus import KTCacheCollector, Observed
from kt_cache.stores import Stats, open_store
from kt_core.database import Environment
from kt_core.errors import ConnectionFailed
from tests.processes import python


class Fixed:
    """A store with figures that stay."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def ping(self) -> bool:
        return True

    def stats(self) -> Stats:
        return self._stats


class Absent(Fixed):
    def ping(self) -> bool:
        return False


class Unreachable(Fixed):
    def ping(self) -> bool:
        raise ConnectionFailed("connection refused")


FIGURES = Stats("embedded", "/a/place", 5, 4096, 1 << 20, 7, 3, 2, 1, 4)
OF_A_SERVER = Stats("kyoto", "kt://host:1978", 5, 4096, 0, 7, 3, None, None, 1)


def samples(**caches: Observed) -> dict[tuple[str, ...], float]:
    """Return what a scrape tells: name and label values with the figure."""
    registry = CollectorRegistry()
    registry.register(KTCacheCollector(caches))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_scrape_tells_all_figures() -> None:
    assert samples(default=Fixed(FIGURES)) == {
        ("kt_cache_up", "default"): 1,
        ("kt_cache_hits_total", "default", "embedded"): 7,
        ("kt_cache_misses_total", "default", "embedded"): 3,
        ("kt_cache_evictions_total", "default", "embedded"): 2,
        ("kt_cache_expirations_total", "default", "embedded"): 1,
        ("kt_cache_entries", "default", "embedded"): 5,
        ("kt_cache_bytes", "default", "embedded"): 4096,
        ("kt_cache_max_bytes", "default", "embedded"): 1 << 20,
        ("kt_cache_processes", "default", "embedded"): 4,
    }


def test_what_a_store_does_not_know_is_left_out() -> None:
    told = samples(default=Fixed(OF_A_SERVER))
    assert ("kt_cache_evictions_total", "default", "kyoto") not in told
    assert ("kt_cache_hits_total", "default", "kyoto") in told


@pytest.mark.parametrize("broken", [Absent(FIGURES), Unreachable(FIGURES)])
def test_a_store_that_is_out_of_order_leaves_the_others_alone(broken: Observed) -> None:
    told = samples(broken=broken, default=Fixed(FIGURES))
    assert told["kt_cache_up", "broken"] == 0
    assert told["kt_cache_up", "default"] == 1
    assert [key for key in told if "broken" in key] == [("kt_cache_up", "broken")]


def test_kinds_and_help_are_told() -> None:
    registry = CollectorRegistry()
    registry.register(KTCacheCollector({"default": Fixed(FIGURES)}))
    families = {each.name: each for each in text_string_to_metric_families(generate_latest(registry).decode())}
    assert families["kt_cache_hits"].type == "counter"
    assert families["kt_cache_bytes"].type == "gauge"
    assert all(each.documentation.endswith(".") for each in families.values())


def test_no_store_is_asked_when_it_is_registered() -> None:
    class Unasked(Fixed):
        def ping(self) -> bool:
            raise AssertionError

    CollectorRegistry().register(KTCacheCollector({"default": Unasked(FIGURES)}))


_READER = """
import sys
from kt_cache.options import Options
from kt_cache.stores import open_store
store = open_store(Options.parse(sys.argv[1], {}, default_name=""))
store.get(b"key"), store.get(b"absent")
"""


def test_one_process_tells_the_figures_of_all(tmp_path: Path) -> None:
    location = f"embedded://{tmp_path}/place?max_size=1MiB"
    store = open_store(Options.parse(location, {}, default_name=""))
    store.set(b"key", b"value", None)
    python("-c", _READER, location)
    told = samples(default=store)
    Environment.close_below(tmp_path)
    assert told["kt_cache_hits_total", "default", "embedded"] == 1
    assert told["kt_cache_misses_total", "default", "embedded"] == 1
    assert told["kt_cache_entries", "default", "embedded"] == 1


_WITHOUT = """
import sys
sys.modules["prometheus_client"] = None
try:
    import kt_cache.prometheus
except ModuleNotFoundError as error:
    print(error)
"""


def test_without_the_library_the_import_says_what_to_install() -> None:
    assert python("-c", _WITHOUT) == "kt_cache.prometheus needs prometheus_client: pip install 'kt-cache[prometheus]'\n"
