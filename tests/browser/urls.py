"""The addresses of the site that the browser visits."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("caches/", include("kt_cache.django.urls"))]
