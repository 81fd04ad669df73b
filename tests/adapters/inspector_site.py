"""A site with the inspector, whose visitors say in a header who they are."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

urlpatterns = [path("own caches/", include("kt_cache.django.urls"))]

USERS = {
    "visitor": {},
    "staff": {"is_staff": True},
    "superuser": {"is_staff": True, "is_superuser": True},
    "superuser without the admin": {"is_superuser": True},
    "dismissed": {"is_active": False, "is_staff": True, "is_superuser": True},
}


def someone(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Give the request the user that its header names; none without one."""

    def middleware(request: HttpRequest) -> HttpResponse:
        name = request.headers.get("X-User")
        if name is not None:
            standing: dict[str, Any] = {"is_active": True, "is_staff": False, "is_superuser": False}
            request.user = SimpleNamespace(**{**standing, **USERS[name]})  # type: ignore[assignment]
        return get_response(request)

    return middleware


def on_mondays(request: HttpRequest) -> bool:
    """Allow what is asked on a Monday."""
    return request.headers.get("X-Day") == "Monday"
