"""What the figures were measured on: processor, system, versions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.servers import KTSERVER, MEMCACHED, REDIS

PACKAGES = (
    "kt-cache",
    "lmdb",
    "uvloop",
    "django",
    "diskcache",
    "django-redis",
    "redis",
    "hiredis",
    "pymemcache",
    "pylibmc",
    "ukt",
    "flask",
    "flask-caching",
    "flask-session",
)


def processor() -> str:
    """The processor's model as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def memory() -> str:
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"


def versions() -> Iterator[str]:
    """Name and version of every package and server that took part."""
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    for program in (REDIS, MEMCACHED, KTSERVER):
        if program.installed():
            yield f"{program.name} {program.version()}"
