"""Django on kt-cache: `KTCache` for CACHES."""

import kt_cache.django.texts  # noqa: F401 - registers what msgpack keeps
from kt_cache.django.cache import KTCache

__all__ = ["KTCache"]
