"""What `report` tells of a server. Source: the Kyoto Tycoon protocol reference, section 2.7."""

from __future__ import annotations

import os
import platform
import resource
from importlib.metadata import version
from typing import TYPE_CHECKING

import lmdb

from kt_core.server import replicating
from kt_core.server.counters import NAMES

if TYPE_CHECKING:
    from kt_core.server.server import Server

PROTOCOL = "0.9.56"
"""The release of Kyoto Tycoon whose protocol this is."""


def report(server: Server) -> dict[bytes, bytes]:
    """Return the fields of `report`."""
    fields: dict[str, object] = {}
    records = size = 0
    for number, served in enumerate(server.databases):
        figures = served.database.status()
        fields[f"db_{number}"] = f"count={figures['count']} size={figures['size']} path={served.spec.path}"
        records += figures["count"]
        size += figures["size"]
    now = server.clock()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    figures = memory()
    fields |= {
        "db_total_count": records,
        "db_total_size": size,
        "serv_conn_count": len(server.connections),
        "serv_task_count": 0,
        "serv_thread_count": 1,
        "serv_current_time": f"{now:.6f}",
        "serv_running_term": f"{now - server.started:.6f}",
        "serv_proc_id": os.getpid(),
        "sys_mem_cached": figures.get("Cached", 0),
        "sys_mem_free": figures.get("MemAvailable", 0),
        "sys_mem_peak": usage.ru_maxrss * 1024,
        "sys_mem_rss": figures.get("VmRSS", 0),
        "sys_mem_size": figures.get("VmSize", 0),
        "sys_mem_total": figures.get("MemTotal", 0),
        "sys_ru_stime": f"{usage.ru_stime:.6f}",
        "sys_ru_utime": f"{usage.ru_utime:.6f}",
        "conf_kt_version": f"{PROTOCOL} (kt-cache {version('kt-cache')})",
        "conf_kt_features": "(asyncio)",
        "conf_kc_version": f"LMDB {'.'.join(map(str, lmdb.version()))}",
        "conf_kc_features": "(atomic)",
        "conf_os_name": platform.system(),
        **replicating.report(server),
        **dict(zip(NAMES, server.counters, strict=True)),
    }
    return {name.encode(): str(value).encode() for name, value in fields.items()}


def memory() -> dict[str, int]:
    """Return bytes by the names that Linux has for them; nothing where there is no /proc."""
    found: dict[str, int] = {}
    for path in ("/proc/meminfo", "/proc/self/status"):
        try:
            with open(path) as lines:
                for line in lines:
                    name, _, rest = line.partition(":")
                    if rest.endswith("kB\n"):
                        found[name] = int(rest[:-3]) * 1024
        except OSError:
            pass
    return found
