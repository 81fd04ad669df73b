"""Django settings: no SQL database and no sessions, all that the site keeps is in kt-cache."""

from __future__ import annotations

import os
from pathlib import Path

SECRET_KEY = "an example has nothing to hide"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.humanize"]
MIDDLEWARE = [
    "example_project.ways.WayMiddleware",
    "example_project.latency.LatencyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).with_name("templates")],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": ["django.template.context_processors.request"],
            "builtins": ["django.contrib.humanize.templatetags.humanize", "django.templatetags.cache"],
        },
    }
]
# One database, and up to three ways to it. A site of yours needs one entry, the default, with one of these locations.
LOCATIONS = {
    "in-process": os.environ.get("KT_CACHE_LOCATION", "embedded://kt-cache-example"),
    "unix-socket": os.environ.get("KT_CACHE_SOCKET") and "kt+unix://{KT_CACHE_SOCKET}".format_map(os.environ),
    "tcp": os.environ.get("KT_CACHE_PORT") and "kt://127.0.0.1:{KT_CACHE_PORT}".format_map(os.environ),
}
# What a call takes is measured on a second database: the measuring is not to be among the figures of the first one.
MEASURED_LOCATIONS = {
    "in-process": f"{LOCATIONS['in-process']}-measured?max_size=16MiB",
    "unix-socket": f"{LOCATIONS['unix-socket']}?database=1",
    "tcp": f"{LOCATIONS['tcp']}/1",
}
CACHES = {"default": {"BACKEND": "example_project.ways.ChosenCache"}}
for _alias, _location in LOCATIONS.items():
    if _location:
        CACHES[_alias] = {"BACKEND": "kt_cache.django.KTCache", "LOCATION": _location, "TIMEOUT": 300}
        CACHES[f"{_alias}-measured"] = CACHES[_alias] | {"LOCATION": MEASURED_LOCATIONS[_alias]}


def everybody(request: object) -> bool:
    """Let anybody look: the demo has no users, and so nobody who may delete."""
    return True


KT_INSPECTOR_READ = everybody
