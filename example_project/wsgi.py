"""The WSGI application."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
application = get_wsgi_application()

# Django would import the views, and with them the airports, during a worker's first request.
import example_project.urls  # noqa: E402, F401
