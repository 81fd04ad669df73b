"""``manage.py ktcache``: the commands of `kt_cache.commands` for a Django site."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Namespace
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.cache import InvalidCacheBackendError
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.core.management.base import BaseCommand, CommandError, CommandParser

from kt_cache.commands import Target, add_commands, run
from kt_cache.django.cache import get_cache
from kt_cache.django.entries import our_entries
from kt_cache.warming import FROM_CACHE
from kt_core.errors import KTError
from kt_core.terminal import CommandFailed, Terminal

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class Command(BaseCommand):
    """Look at a KTCache, and change it."""

    help = "Look at a KTCache of CACHES, make room in it, fill it, or let others look into it."

    def add_arguments(self, parser: CommandParser) -> None:
        for own in add_commands(parser):
            # Django's own arguments, which it looks for before the name of a command only.
            for name in ("--settings", "--pythonpath"):
                own.add_argument(name, default=SUPPRESS, help=SUPPRESS)
            for name in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
                own.add_argument(name, action="store_true", default=SUPPRESS, help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        terminal = Terminal(
            lambda text: self.stdout.write(text, ending=""),
            interactive=self.stdout.isatty(),
            styles={"good": self.style.SUCCESS, "bad": self.style.ERROR},
            ask=input if sys.stdin is not None and sys.stdin.isatty() else None,
        )
        try:
            run(Namespace(**options), Site(), terminal)
        except (CommandFailed, KTError) as error:
            raise CommandError(str(error)) from error


class Site:
    """The Django site whose settings are in force."""

    def target(self, alias: str) -> Target:
        """Return the cache of an alias."""
        try:
            cache = get_cache(alias)
        except InvalidCacheBackendError as error:
            known = ", ".join(our_entries()) or "no KTCache"
            raise CommandFailed(f"there is no alias {alias!r}: CACHES has {known}") from error
        except ImproperlyConfigured as error:
            raise CommandFailed(str(error)) from error
        return Target(
            alias,
            cache._options,
            cache._store,
            compile=lambda glob: cache._pattern(glob, None),
            to_stored=lambda key: cache._key(key, None),
            to_key=lambda stored: cache._reverse(None)(stored.decode(errors="surrogateescape")),
            own_prefix=cache._own_prefix,
        )

    @property
    def base(self) -> str:
        """The first host that may be asked for, with the scheme that visitors come by."""
        hosts = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
        return f"{'https' if settings.SECURE_SSL_REDIRECT else 'http'}://{hosts[0] if hosts else 'localhost'}"

    def application(self) -> WSGIApplication:
        """Return the site, which says whether a page came from the cache."""
        return _Handler()


class _Handler(WSGIHandler):
    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response = super().get_response(request)
        # Django's cache middleware and cache_page leave there whether they have to store the page.
        is_to_be_stored = getattr(request, "_cache_update_cache", None)
        request.META[FROM_CACHE] = None if is_to_be_stored is None else not is_to_be_stored
        return response
