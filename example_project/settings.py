"""Django settings: no database and no sessions, all that the site keeps is in kt-cache."""

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
CACHES = {
    "default": {
        "BACKEND": "kt_cache.django.KTCache",
        "LOCATION": os.environ.get("KT_CACHE_LOCATION", "embedded://kt-cache-example"),
        "TIMEOUT": 300,
    }
}
