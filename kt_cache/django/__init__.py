"""Django on kt-cache: `KTCache` for CACHES."""

from kt_cache.django.cache import KTCache

__all__ = ["KTCache"]
