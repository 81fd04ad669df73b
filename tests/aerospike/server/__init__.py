"""A test server that the real Aerospike client takes for a cluster: `Cluster`, or `python -m` and this package."""

from __future__ import annotations

from tests.aerospike.server.records import Settings
from tests.aerospike.server.running import Cluster

__all__ = ["Cluster", "Settings"]
