"""Flask adapters over the stores of kt_cache."""
