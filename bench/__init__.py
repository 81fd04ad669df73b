"""Measurements of the cache beside its peers, all in one run: `python -m bench --help`."""
