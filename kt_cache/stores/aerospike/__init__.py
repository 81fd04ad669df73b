"""The Aerospike store: one set of a cluster, through the official client; imported when a location names one."""

from kt_cache.stores.aerospike.cluster import Cluster
from kt_cache.stores.aerospike.store import AerospikeStore

__all__ = ["AerospikeStore", "Cluster"]
