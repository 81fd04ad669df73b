"""Django on kt-cache: `KTCache` for CACHES, and `get_cache` to get at one with its types."""

from kt_cache.extras import needs

with needs("kt_cache.django", "django"):
    import kt_cache.django.texts  # noqa: F401 - registers what msgpack keeps
    from kt_cache.django.cache import KTCache, get_cache

__all__ = ["KTCache", "get_cache"]
