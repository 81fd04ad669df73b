"""What every test may ask for."""

from __future__ import annotations

import gc

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.fix_servers", "tests.fix_aerospike", "tests.fix_browser", "tests.fix_driving"]

settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # no test asserts a time
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the tests themselves: to look at tens of thousands takes it seconds."""
    gc.collect()
    gc.freeze()
