"""A site with the Django debug toolbar: print what its cache panel saw of one request, as JSON.

python -m tests.adapters.toolbar_site LOCATION
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import Client
from django.urls import include, path


def configure(location: str) -> None:
    """Set Django up with this module as the site's URLs."""
    settings.configure(
        DEBUG=True,
        SECRET_KEY="for tests alone",
        ROOT_URLCONF=__name__,
        INTERNAL_IPS=["127.0.0.1"],
        ALLOWED_HOSTS=["testserver"],
        INSTALLED_APPS=["django.contrib.staticfiles", "debug_toolbar"],
        MIDDLEWARE=["debug_toolbar.middleware.DebugToolbarMiddleware"],
        STATIC_URL="/static/",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        CACHES={"default": {"BACKEND": "kt_cache.django.KTCache", "LOCATION": location}},
        DEBUG_TOOLBAR_PANELS=["debug_toolbar.panels.cache.CachePanel"],
    )
    django.setup()


def page(request: HttpRequest) -> HttpResponse:
    """Call what the panel knows, and some of what it does not, and answer with what came of it."""
    from kt_cache.django import get_cache

    cache = get_cache()
    answers: list[Any] = [
        cache.set("k", "v", 60),
        cache.set("k", "other", nx=True),
        cache.get("k"),
        cache.get("none", "default"),
        cache.set_many({"a": 1, "b": 2}, tags=["tag"]),
        cache.get_many(["a", "b", "none"]),
        cache.incr("n", initial=5),
        cache.decr("n"),
        cache.get_or_set("computed", lambda: "value", 60),
        cache.add("k", "v"),
        cache.touch("k", 30),
        cache.has_key("k"),
        cache.ttl("k"),
        cache.incr_many({"n": 1}),
        cache.pop("k"),
        cache.delete("k"),
        cache.delete_tag("tag"),
        cache.get_many(["a"]),
    ]
    return JsonResponse(answers, safe=False)


urlpatterns: list[Any] = [path("", page)]


def main(location: str) -> None:
    """Ask for the page, and for the panel as the browser does."""
    configure(location)
    from debug_toolbar.store import get_store

    from kt_cache.django import get_cache

    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
    get_cache().clear()
    response = Client().get("/")
    (identifier,) = get_store().request_ids()
    panel = get_store().panel(identifier, "CachePanel")
    shown = Client().get("/__debug__/render_panel/", {"request_id": identifier, "panel_id": "CachePanel"})
    report = {
        "answers": response.json(),
        "calls": [[call["name"], call["args"][0], call["kwargs"], call["backend"]] for call in panel["calls"]],
        "hits": panel["hits"],
        "misses": panel["misses"],
        "shown": shown.json()["content"],
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
