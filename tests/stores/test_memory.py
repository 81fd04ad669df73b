"""The reference store keeps the contract."""

from __future__ import annotations

import pytest

from kt_cache.stores.memory import MemoryStore
from tests.clock import Clock
from tests.stores.capabilities import Counting, CullingByUse, SubsecondExpiry
from tests.stores.contract import StoreContract
from tests.stores.entries import Entries, NoUses, Unread


class TestMemoryStore(StoreContract, Entries, Unread, NoUses, SubsecondExpiry, Counting, CullingByUse):
    @pytest.fixture
    def store(self, clock: Clock) -> MemoryStore:
        return MemoryStore(clock=clock)

    def test_expired_records_are_counted_when_they_go(self, store: MemoryStore, clock: Clock) -> None:
        store.set_many({b"a": b"v", b"b": b"v"}, 1)
        clock.advance(2)
        assert store.stats().entries == 2
        store.get_many([b"a", b"b"])
        assert store.stats().expirations == 2
        assert store.stats().entries == 0
