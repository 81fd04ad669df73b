"""The application: ``"kt_cache.django"`` in INSTALLED_APPS brings the system checks and ``manage.py ktcache``."""

from __future__ import annotations

from django.apps import AppConfig

from kt_cache.django.checks import register_checks


class KTCacheConfig(AppConfig):
    """kt-cache as an application of a project; its caches work without."""

    name = "kt_cache.django"
    label = "kt_cache"
    verbose_name = "kt-cache"

    def ready(self) -> None:
        register_checks()
