"""A cache and session backend for Django and Flask: adapters over one store contract."""
