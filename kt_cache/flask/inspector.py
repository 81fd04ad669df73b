"""The inspector under Flask: a page about every `KTCache` of an application.

``app.register_blueprint(inspector, url_prefix="/cache")`` puts it into an application. Nobody may look until the
settings say who: ``KT_INSPECTOR_READ`` and ``KT_INSPECTOR_DELETE`` are functions without arguments, called within the
request, or the dotted paths of such. Who may not read may not delete either.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, current_app, request
from werkzeug.utils import import_string

from kt_cache.flask.aliases import caches_of
from kt_cache.flask.cache import KTCache
from kt_cache.inspector import Access, Request, Site, Subject, describe, respond
from kt_core.errors import Misconfigured

_REFUSAL = (
    "Nobody may look at the caches, or delete from them, until the settings KT_INSPECTOR_READ and KT_INSPECTOR_DELETE "
    "name functions that allow it."
)
_COOKIE = _FIELD = "kt_inspector_token"

inspector = Blueprint("kt_inspector", __name__)


@inspector.route("/", defaults={"path": ""}, methods=["GET", "POST"])
@inspector.route("/<path:path>", methods=["GET", "POST"])
def inspect(path: str) -> Response:
    """Answer whatever is asked below the address that the inspector was put at."""
    sent = request.cookies.get(_COOKIE, "")
    token = sent or secrets.token_urlsafe(32)
    access = _access()
    if request.method == "POST" and not (sent and _equal(request.form.get(_FIELD, ""), sent)):
        access = Access(access.may_read, False, "The form was too old, or not from this site. Go back, and try again.")
    root = quote(f"{request.script_root}{request.path}".removesuffix(path))
    asked = Request(
        method=request.method,
        root=root,
        path=path,
        query=request.args.to_dict(),
        form=request.form.to_dict(),
        hidden={_FIELD: token},
        matches=request.headers.get("If-None-Match", ""),
    )
    caches = caches_of(current_app)
    answer = respond(asked, Site(list(caches), lambda name: _subject(name, caches[name])), access)
    response = Response(answer.body, status=answer.status, headers=dict(answer.headers))
    if not sent and access.may_read:
        response.set_cookie(_COOKIE, token, path=root, httponly=True, samesite="Strict", secure=request.is_secure)
    return response


def _access() -> Access:
    may_read = _permission("KT_INSPECTOR_READ")()
    return Access(may_read, may_read and _permission("KT_INSPECTOR_DELETE")(), _REFUSAL)


def _permission(setting: str) -> Callable[[], bool]:
    chosen: Any = current_app.config.get(setting, _nobody)
    if isinstance(chosen, str):
        chosen = import_string(chosen)
    if not callable(chosen):
        raise Misconfigured(f"{setting} is {chosen!r}: name a function without arguments that returns a bool")
    return lambda: bool(current_app.ensure_sync(chosen)())


def _nobody() -> bool:
    return False


def _subject(name: str, cache: KTCache) -> Subject:
    own = {
        "default timeout": f"{cache.default_timeout} s" if cache.default_timeout else "for ever",
        "key prefix": cache.prefix or "none",
    }
    return Subject(name, cache.store, own | describe(cache.options))


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
