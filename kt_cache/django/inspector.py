"""The inspector under Django: a page about every `KTCache` of ``CACHES``, for superusers among the staff.

``path("cache/", include("kt_cache.django.urls"))`` puts it into a site. The settings ``KT_INSPECTOR_READ`` and
``KT_INSPECTOR_DELETE`` say who else may look and delete: functions of the request that return whether it may, or the
dotted paths of such; `is_staff` is one. Mind that whoever may look sees the keys of sessions kept in a cache, and could
go on with them as anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_protect

from kt_cache.django.cache import get_cache
from kt_cache.django.entries import our_entries
from kt_cache.inspector import Access, Request, Site, Subject, describe, respond
from kt_core.errors import Misconfigured

_REFUSAL = (
    "Superusers who are staff may look at the caches, and delete from them. Sign in as one of those; or let the "
    "settings KT_INSPECTOR_READ and KT_INSPECTOR_DELETE name functions that allow it."
)


@csrf_protect
def inspector(request: HttpRequest, path: str) -> HttpResponse:
    """Answer whatever is asked below the address that the inspector was put at."""
    asked = Request(
        method=request.method or "GET",
        root=quote(request.path.removesuffix(path)),
        path=path,
        query=request.GET.dict(),
        form=request.POST.dict(),
        hidden={"csrfmiddlewaretoken": get_token(request)},
        matches=request.headers.get("If-None-Match", ""),
    )
    answer = respond(asked, Site(list(our_entries()), _open), _access(request))
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def is_staff(request: HttpRequest) -> bool:
    """Tell whether somebody of the staff asks."""
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)


def is_superuser(request: HttpRequest) -> bool:
    """Tell whether a superuser asks who is staff, too."""
    return is_staff(request) and bool(getattr(request.user, "is_superuser", False))


def _access(request: HttpRequest) -> Access:
    may_read = _permission("KT_INSPECTOR_READ")(request)
    may_delete = may_read and _permission("KT_INSPECTOR_DELETE")(request)
    return Access(may_read, may_delete, _REFUSAL)


def _permission(setting: str) -> Callable[[HttpRequest], bool]:
    chosen: Any = getattr(settings, setting, is_superuser)
    if isinstance(chosen, str):
        chosen = import_string(chosen)
    if not callable(chosen):
        raise ImproperlyConfigured(f"{setting} is {chosen!r}: name a function of the request that returns a bool")
    return lambda request: bool(chosen(request))


def _open(alias: str) -> Subject:
    try:
        cache = get_cache(alias)
    except ImproperlyConfigured as error:
        raise Misconfigured(str(error)) from error
    own = {
        "default timeout": "for ever" if cache.default_timeout is None else f"{cache.default_timeout} s",
        "key prefix": cache.key_prefix or "none",
        "version": str(cache.version),
    }
    return Subject(alias, cache._store, own | describe(cache._options))
