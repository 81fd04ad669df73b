"""Places behind URLs."""
