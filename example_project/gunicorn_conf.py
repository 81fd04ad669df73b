"""How gunicorn serves a site; a setting that an older gunicorn does not know is passed over by it."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path
from typing import Any

from example_project.door import SOCKET, open_door

worker_class = "gthread"  # the default class closes the connection after each answer
threads = 4
keepalive = 60
graceful_timeout = 1
loglevel = "error"
control_socket_disable = True

_PR_SET_PDEATHSIG = 1


def on_starting(arbiter: Any) -> None:
    """Have Linux end the site with the process that started it, even if that is killed; start a server beside it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if SOCKET in os.environ:
        arbiter.door = open_door(Path(os.environ[SOCKET]))


def on_exit(arbiter: Any) -> None:
    """End the server."""
    if SOCKET in os.environ:
        arbiter.door.stop()
