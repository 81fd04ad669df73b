"""How gunicorn serves the site; a setting that an older gunicorn does not know is passed over by it."""

from __future__ import annotations

import ctypes
import signal
from typing import Any

wsgi_app = "example_project.wsgi"
worker_class = "gthread"  # the default class closes the connection after each answer
threads = 4
keepalive = 60
graceful_timeout = 1
loglevel = "error"
control_socket_disable = True

_PR_SET_PDEATHSIG = 1


def on_starting(_arbiter: Any) -> None:
    """Have Linux end the site with the process that started it, even if that is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
