"""What only a real server can do: Lua, indexes, operators on lists and maps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fix_aerospike import AEROSPIKE_KINDS, Place

REAL = [kind for kind in AEROSPIKE_KINDS if kind == "real"]


class OnARealServer:
    """Makes the tests of a class run on a real server alone; to be derived from where `REAL` has one."""

    @pytest.fixture(scope="session", params=REAL)
    @classmethod
    def aerospike_place(cls, request: pytest.FixtureRequest, start_aerospike: Callable[[str], Place]) -> Place:
        return start_aerospike(request.param)
