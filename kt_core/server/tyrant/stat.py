"""What `stat` tells of a server. Source: the Tokyo Tyrant protocol reference, section 9.1."""

from __future__ import annotations

import os
import platform
import resource
import sys
from typing import TYPE_CHECKING, Final

from kt_core.server.report import memory
from kt_core.server.tyrant.counters import NAMES

if TYPE_CHECKING:
    from kt_core.server.tyrant.server import TyrantServer

VERSION: Final = "1.1.41"
"""The release of Tokyo Tyrant whose protocol this is."""
LIBRARY, PROTOCOL = "324", "0.91"


def stat(server: TyrantServer) -> bytes:
    """Return the lines of `stat`."""
    now = server.clock()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = memory()
    database = server.database
    fields: dict[str, object] = {
        "version": VERSION,
        "libver": LIBRARY,
        "protver": PROTOCOL,
        "os": platform.system(),
        "time": f"{now:.6f}",
        "pid": os.getpid(),
        "sid": server.options.sid,
        "type": database.kind.title,
        "path": database.served.spec.path,
        "rnum": database.count(),
        "size": database.size(),
        "bigend": int(sys.byteorder == "big"),
        **_following(server, now),
        "fd": len(server.connections),
        "loadavg": f"{os.getloadavg()[0]:.6f}",
        "memsize": figures.get("VmSize", 0),
        "memrss": figures.get("VmRSS", 0),
        "ru_user": f"{usage.ru_utime:.6f}",
        "ru_sys": f"{usage.ru_stime:.6f}",
        "ru_real": f"{now - server.started:.6f}",
    }
    return _lines(fields) + counts(server)


def _following(server: TyrantServer, now: float) -> dict[str, object]:
    """Return what is told of the master, if there is one."""
    slave = server.slave
    if slave is None:
        return {}
    delay = max(now - slave.time / 1e6, 0.0)
    return {"mhost": slave.host, "mport": slave.port, "rts": slave.time, "delay": f"{delay:.6f}"}


def counts(server: TyrantServer) -> bytes:
    """Return the lines of the counters."""
    return _lines(dict(zip(NAMES, server.counters, strict=True)))


def _lines(fields: dict[str, object]) -> bytes:
    return "".join([f"{name}\t{value}\n" for name, value in fields.items()]).encode()
