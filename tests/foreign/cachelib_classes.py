"""The tests that cachelib has for every cache, for `KTCache` where they would have a SimpleCache."""

from __future__ import annotations

from typing import Any

import pytest
from clear import ClearTests  # type: ignore[import-not-found]
from common import CommonTests
from delete_many_with_prefix import DeleteManyWithPrefixTests  # type: ignore[import-not-found]
from has import HasTests  # type: ignore[import-not-found]
from serializer import SerializerTests  # type: ignore[import-not-found]

from tests.foreign.simple_cache import SimpleCache


@pytest.fixture(autouse=True, params=[None, "prefix:"])
def cache_factory(request: pytest.FixtureRequest) -> None:
    """Let the tests make their caches, with a prefix and without."""

    def make(self: object, **options: Any) -> SimpleCache:
        return SimpleCache(**{"key_prefix": request.param, **options})

    request.cls.cache_factory = make


class TestKTCache(CommonTests, ClearTests, HasTests, DeleteManyWithPrefixTests, SerializerTests):
    """What is required of all of them."""
