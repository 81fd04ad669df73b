"""The commands that change what is in a cache, or let others do so: ``delete``, ``clear``, ``warm``, ``serve``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kt_cache.commands.target import Site, Target
from kt_cache.deleting import delete_each
from kt_cache.options import EmbeddedOptions
from kt_cache.warming import Visitor, read_targets, visit_all
from kt_core.server import command as server
from kt_core.terminal import CommandFailed, Terminal

_CACHED: Final = {True: "cached", False: "made", None: ""}


def delete(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    if bool(given.key) == (given.pattern is not None):
        raise CommandFailed("write the keys to delete, or --pattern GLOB")
    if given.key:
        _tell(terminal, given, target.store.delete_many([target.to_stored(key) for key in given.key]))
        return
    count = sum(1 for _ in target.fitting(given.pattern))
    if not count or _may(terminal, given, f"Delete {count:,} keys that fit {given.pattern!r} at {target.location}?"):
        _tell(terminal, given, _delete_all(target, target.fitting(given.pattern), count, terminal))


def clear(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    if given.prefix:
        own = target.own_prefix()
        count = sum(1 for _ in target.store.iter_keys(own))
        whose = f"all {count:,} values under the prefix {own.decode(errors='replace')!r}"
    else:
        count = target.store.stats().entries
        whose = f"all {count:,} records of the database, whoever else stores there"
    if not count or _may(terminal, given, f"Delete {whose}, at {target.location}?"):
        if given.prefix:
            count = _delete_all(target, target.store.iter_keys(own), count, terminal)
        else:
            target.store.clear()
        _tell(terminal, given, count)


def _delete_all(target: Target, keys: Iterator[bytes], count: int, terminal: Terminal) -> int:
    deleted = 0
    for number in delete_each(target.store, keys):
        deleted += number
        terminal.progress(deleted, count)
    terminal.end()
    return deleted


def _may(terminal: Terminal, given: argparse.Namespace, question: str) -> bool:
    if given.noinput or terminal.confirm(question):
        return True
    terminal.line("nothing was deleted")
    return False


def _tell(terminal: Terminal, given: argparse.Namespace, deleted: int) -> None:
    terminal.line(json.dumps({"deleted": deleted}) if given.json else f"{deleted:,} deleted", "good")


def warm(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    targets = [*given.path, *_listed(given.listed)]
    if not targets:
        raise CommandFailed("write paths of the site, such as /about/, functions as dotted.paths, or --from FILE")
    visitor = Visitor(site.application(), given.base or site.base, dict(map(_header, given.header)))
    failed = 0
    for done, visit in enumerate(visit_all(targets, visitor, given.workers), 1):
        failed += not visit.is_well
        if given.json:
            terminal.line(json.dumps(visit._asdict()))
        else:
            text = f"{visit.seconds * 1e3:>9.1f} ms  {_CACHED[visit.from_cache]:<6}  {visit.target}  {visit.outcome}"
            terminal.line(text, "" if visit.is_well else "bad")
        terminal.progress(done, len(targets))
    terminal.end()
    if failed:
        raise CommandFailed(f"{failed} of {len(targets)} went wrong")


def _listed(path: str | None) -> list[str]:
    if path is None:
        return []
    try:
        return read_targets(sys.stdin if path == "-" else Path(path).read_text().splitlines())
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read ({error.strerror}): write a file with a path a line") from error


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise CommandFailed(f"{text!r} is no header: write 'Accept-Language: de'")
    return name.strip(), value.strip()


def serve(site: Site, target: Target, given: argparse.Namespace, terminal: Terminal) -> None:
    options = target.options.store
    if not isinstance(options, EmbeddedOptions):
        raise CommandFailed(
            f"{target.location} is a server's already, and other clients may ask that: only an embedded:// location, "
            "which nobody listens for, needs one"
        )
    directory = target.store.stats().location
    settings = ("max_size", "durability", "eviction", "database")
    spec = "#".join([f"embedded://{directory}", *(f"{name}={getattr(options, name)}" for name in settings)])
    flags = [] if given.port is None and given.sock else ["-host", given.host, "-port", str(given.port or 1978)]
    flags += ["-sock", given.sock] if given.sock else []
    if server.main([*flags, "--", spec]):
        raise CommandFailed("the server did not start")
