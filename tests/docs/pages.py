"""The pages, and what each takes for granted: names, files, servers, and hosts that are this machine here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.processes import ROOT

DJANGO: Final = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "of the pages alone, and long enough for the checks of a deployment: 0123456789"
ROOT_URLCONF = "urls"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "kt_cache.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "kt_cache.django.KTCache"}}
SESSION_ENGINE = "kt_cache.django.sessions"
"""
URLS: Final = """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse("home")), path("news/", lambda request: HttpResponse("news"))]
"""
MANAGE: Final = """#!/usr/bin/env python
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

_FLASK: Final = """
import flask, flask_caching
from flask import Flask
from kt_cache.flask.sessions import KTSessionInterface
app = Flask("shop")
app.secret_key = "of the pages alone"
"""
_REQUEST: Final = """
from django.test import RequestFactory
from kt_cache.django import get_cache
cache = get_cache()
request = RequestFactory().get("/")
"""


@dataclass(frozen=True)
class Page:
    """What a page takes for granted."""

    names: str = ""
    """Python that makes what the page's fragments do not say where they have from."""
    django: bool = False
    """Whether Django is configured, and the site's files are there."""
    servers: Mapping[int, str] = field(default_factory=dict)
    """The databases of bundled servers that run already, by the port that the page gives them."""
    aerospike: bool = False
    """Whether a cluster listens on port 3000."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """What stands for something of this machine, and what for."""


_HOSTS: Final = {"cache.internal": "127.0.0.1:1978", "0.0.0.0": "127.0.0.1"}

PAGES: Final[dict[str, Page]] = {
    "README.md": Page(_FLASK, django=True, servers={2978: "*"}, renamed={"cache.internal": "127.0.0.1:2978"}),
    "docs/aerospike.md": Page(aerospike=True),
    "docs/choosing.md": Page(django=True, servers={2978: "*"}, renamed={"cache.internal": "127.0.0.1:2978"}),
    "docs/django.md": Page(
        _REQUEST
        + "from datetime import datetime, timedelta, timezone\n"
        + "tomorrow = datetime.now(timezone.utc) + timedelta(days=1)\nhtml, ip = '<p>', '203.0.113.9'\n"
        + "make_report = lambda: 'report'\ncache.set('a', 1)\n"
        + "from django.urls import path, include\n",
        django=True,
    ),
    "docs/flask.md": Page(
        _FLASK + "from types import SimpleNamespace\ncurrent_user = SimpleNamespace(is_admin=True)\n",
    ),
    "docs/index.md": Page(django=True, servers={2978: "*"}, renamed={"cache.internal": "127.0.0.1:2978"}),
    "docs/kt.md": Page(servers={1978: "* %"}),
    "docs/options.md": Page(django=True),
    "docs/recipes.md": Page(django=True),
    "docs/replicas.md": Page(
        "import threading\nposition, stopping = 0, threading.Event()\nstopping.set()",
        django=True,
        renamed={"db1": "127.0.0.1", **_HOSTS},
    ),
    "docs/replication.md": Page(renamed={"db1": "127.0.0.1", **_HOSTS}),
    "docs/sessions.md": Page(django=True),
}
"""Pages that are not here take nothing for granted."""


def every_page() -> Iterator[Path]:
    """Yield what a reader may find a block in."""
    yield ROOT / "README.md"
    yield ROOT / "CONTRIBUTING.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))
