"""``flask kt``: the commands of `kt_cache.commands` for a Flask application."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import click
from flask import Flask, current_app
from flask.cli import with_appcontext

from kt_cache.commands import Target, add_commands, run
from kt_cache.flask.aliases import caches_of
from kt_cache.patterns import compile_glob
from kt_core.errors import KTError
from kt_core.terminal import CommandFailed, Terminal

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


@click.command(
    "kt",
    short_help="Look at a KTCache: ping, stats, keys, ttl, delete, clear, warm, serve.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def kt(arguments: tuple[str, ...]) -> None:
    """Look at a KTCache of the application, make room in it, fill it, or let others look into it."""
    parser = argparse.ArgumentParser(prog="flask kt", description=kt.help)
    add_commands(parser)
    given = parser.parse_args(arguments)
    terminal = Terminal(
        lambda text: click.echo(text, nl=False),
        interactive=sys.stdout.isatty(),
        styles={"good": lambda text: click.style(text, fg="green"), "bad": lambda text: click.style(text, fg="red")},
        ask=input if sys.stdin is not None and sys.stdin.isatty() else None,
    )
    try:
        run(given, Site(current_app._get_current_object()), terminal)  # type: ignore[attr-defined]
    except (CommandFailed, KTError) as error:
        raise click.ClickException(str(error)) from error


class Site:
    """An application."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def target(self, alias: str) -> Target:
        """Return the cache of that name."""
        caches = caches_of(self._app)
        if alias not in caches:
            known = ", ".join(caches) or "none whose CACHE_TYPE is kt_cache.flask.KTCache"
            raise CommandFailed(f"there is no cache {alias!r}: the application has {known}")
        cache = caches[alias]
        head = cache.prefix
        return Target(
            alias,
            cache.options,
            cache.store,
            compile=lambda glob: compile_glob(glob, head=head),
            to_stored=cache.to_stored,
            to_key=lambda stored: stored.decode(errors="surrogateescape")[len(head) :],
            own_prefix=lambda: head.encode("utf-8", "surrogatepass"),
        )

    @property
    def base(self) -> str:
        """The site's public address as its settings have it."""
        config = self._app.config
        return f"{config['PREFERRED_URL_SCHEME']}://{config['SERVER_NAME'] or 'localhost'}"

    def application(self) -> WSGIApplication:
        """Return the site itself."""
        return self._app
