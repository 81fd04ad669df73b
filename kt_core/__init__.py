"""Protocols, database and server below the kt-cache adapters; knows neither Django nor Flask."""
