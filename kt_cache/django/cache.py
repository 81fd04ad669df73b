"""`KTCache`: a Django cache over any store."""

from __future__ import annotations

from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from kt_cache.django.extras import Extras
from kt_cache.django.migration import LEFT_OUT, LeftOut
from kt_cache.django.names import Names


class KTCache(Extras, Names):
    """A cache shared by all processes of the machine, or of several, as ``BACKEND`` of a Django ``CACHES`` entry.

    ``LOCATION``: as `kt_core.locations` says, or empty for an embedded database of the project's own.
    ``OPTIONS``: those of `kt_cache.options`, besides Django's ``MAX_ENTRIES`` and ``CULL_FREQUENCY``, which are
    honoured when given; without them the store's own size alone bounds the cache. Mistakes in either are
    `ImproperlyConfigured`. `kt_cache.django.migration` knows the names that other backends give them.
    """


for _name, _advice in LEFT_OUT.items():
    setattr(KTCache, _name, LeftOut(_name, _advice))


def get_cache(alias: str = "default") -> KTCache:
    """Return the cache of an alias, typed: what `django.core.cache.caches` gives is none to a type checker."""
    cache = caches[alias]
    if not isinstance(cache, KTCache):
        raise ImproperlyConfigured(
            f"CACHES[{alias!r}] is a {type(cache).__qualname__}: set its BACKEND to 'kt_cache.django.KTCache'"
        )
    return cache
