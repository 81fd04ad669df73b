"""The addresses of the inspector, to be included wherever a site wants them."""

from __future__ import annotations

from django.urls import re_path

from kt_cache.django.inspector import inspector

app_name = "kt_cache"
urlpatterns = [re_path(r"^(?P<path>.*)$", inspector, name="inspector")]
