"""Aerospike: the legacy module, and a test server that the real client takes for a cluster."""
