"""Requests whose popularity follows Zipf's law, as those of most caches do."""

from __future__ import annotations

import random
from itertools import accumulate


def zipf_ranks(keys: int, requests: int, exponent: float, seed: int) -> list[int]:
    """Ranks (0 is the most popular of `keys`) asked for by each request; equal arguments, equal list."""
    weights = list(accumulate((rank + 1) ** -exponent for rank in range(keys)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=requests)
