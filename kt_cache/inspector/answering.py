"""The addresses of the inspector: who may ask for what, and what is answered.

=========================  =============================================================================
(nothing)                  all caches
``NAME/``                  one of them, live
``NAME/figures.json``      the same as figures
``NAME/contents``          what a sample of its records shows
``NAME/keys``              its records, by prefix or pattern
``NAME/value``             one value; also asked for by POST, since no address is long enough for some keys
``NAME/delete``            by GET how many records would be deleted, by POST their deletion
``inspector.css``, ``.js``  what the pages look like and do
=========================  =============================================================================

A store that fails is something that the pages tell of. Nothing here is an error of the site.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from kt_cache.inspector.anatomy import take_apart
from kt_cache.inspector.asking import Access, Answer, Request, Site, Wanted, address, decode_key
from kt_cache.inspector.assets import TYPES, read_asset
from kt_cache.inspector.figures import Figures, Sample, look
from kt_cache.inspector.listing import count, delete, list_page
from kt_cache.inspector.pages import contents, keys, live
from kt_cache.inspector.pages.frame import Frame, refusal
from kt_cache.inspector.subjects import Subject
from kt_cache.inspector.survey import survey
from kt_cache.inspector.wording import count_text
from kt_core.errors import InvalidInput, KTError
from kt_core.number import INTEGER

# Nothing from elsewhere, nothing written into the page: what a cache holds could not run even if it became markup.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_READ = ("GET", "HEAD")
_MOST_PAGES = 10_000


class _Asked(NamedTuple):
    """A request about one cache, and the frame of its answer."""

    request: Request
    frame: Frame
    subject: Subject


class _Refused(Exception):
    """The answer is that there is none."""

    def __init__(self, status: int, title: str, text: str, **headers: str) -> None:
        super().__init__(status, title, text)
        self.status = status
        self.title = title
        self.text = text
        self.headers = headers


def respond(request: Request, site: Site, access: Access) -> Answer:
    """Return the answer to a request, whatever it is."""
    if request.path in TYPES:
        return _asset(request)
    frame = Frame(request.root, site.names if access.may_read else (), access, request.hidden)
    try:
        return _respond(request, site, frame)
    except _Refused as refused:
        page = refusal(frame, refused.status, refused.title, refused.text)
        return _html(page, refused.status, refused.headers)


def _asset(request: Request) -> Answer:
    asset = read_asset(request.path)
    headers = {**_HEADERS, "Content-Type": TYPES[request.path], "Cache-Control": "no-cache", "ETag": asset.tag}
    if asset.tag in request.matches:
        return Answer(304, b"", headers)
    return Answer(200, asset.body, headers)


def _respond(request: Request, site: Site, frame: Frame) -> Answer:
    if not frame.access.may_read:
        raise _Refused(403, "You may not look at the caches", frame.access.refusal)
    if not request.path:
        _allow(request, *_READ)
        return _html(live.overview(frame, _overview(site)))
    name = max((name for name in site.names if f"{request.path}/".startswith(f"{name}/")), key=len, default=None)
    if request.path == name:
        return Answer(301, b"", {**_HEADERS, "Location": address(request.root, name)})
    page = request.path[len(name) + 1 :] if name is not None else ""
    if name is None or page not in _PAGES:
        raise _Refused(404, "There is no such page", "The address leads to no cache, or to no page about one.")
    tab, methods, answer = _PAGES[page]
    _allow(request, *methods)
    frame = replace(frame, name=name, tab=tab)
    try:
        subject = site.open(name)
    except KTError as error:
        if page == "figures.json":
            return _json({"problem": _problem(error)})
        return _html(frame.whole(name, problem=_problem(error)))
    return answer(_Asked(request, frame, subject))


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        taken = ", ".join(methods)
        raise _Refused(405, "That cannot be done here", f"This address takes {taken}.", Allow=taken)


def _overview(site: Site) -> Iterable[tuple[str, Figures | str]]:
    for name in site.names:
        try:
            yield name, look(site.open(name).store)
        except KTError as error:
            yield name, _problem(error)


def _problem(error: KTError) -> str:
    return f"The store cannot be asked: {error}"


# -- one cache ---------------------------------------------------------------------------------------------


def _live(asked: _Asked) -> Answer:
    figures, problem = None, ""
    try:
        figures = look(asked.subject.store)
    except KTError as error:
        problem = _problem(error)
    return _html(live.one(asked.frame, figures, asked.subject.settings, problem))


def _figures(asked: _Asked) -> Answer:
    try:
        figures = look(asked.subject.store)
    except KTError as error:
        return _json({"problem": _problem(error)})
    samples = [*figures.history, figures.now] if asked.request.query.get("history") else [figures.now]
    return _json(
        {
            "problem": None,
            "stats": {**asdict(figures.stats), "hit_ratio": figures.stats.hit_ratio},
            "latency": figures.latency._asdict(),
            "samples": [_finite(sample) for sample in samples],
        }
    )


def _finite(sample: Sample) -> dict[str, float | None]:
    return {name: number if math.isfinite(number) else None for name, number in sample._asdict().items()}


def _contents(asked: _Asked) -> Answer:
    wanted = _wanted(asked.request.query)
    order = asked.request.query.get("order", "size")
    if order not in ("size", "records", "recent"):
        order = "size"
    found, total, problem = None, 0, ""
    try:
        _ask(asked)
        found = survey(asked.subject.store, wanted.selection.prefix)
        total = asked.subject.store.stats().entries
    except KTError as error:
        problem = _problem(error)
    return _html(contents.show(asked.frame, found, wanted, order, total, problem))


def _keys(asked: _Asked) -> Answer:
    query = asked.request.query
    wanted = _wanted(query)
    page, problem = None, ""
    try:
        _ask(asked)
        page = list_page(asked.subject.store, wanted.selection, _positive(query.get("page", "1")))
    except KTError as error:
        problem = _problem(error)
    deleted = query.get("deleted", "")
    message = f"{count_text(int(deleted), 'record')} deleted." if deleted.isdecimal() and len(deleted) < 16 else ""
    return _html(keys.show(asked.frame, page, wanted, message, problem))


def _positive(text: str) -> int:
    return min(max(int(text), 1), _MOST_PAGES) if text.isdecimal() and len(text) < 8 else 1


def _value(asked: _Asked) -> Answer:
    key = _key(asked.request.form if asked.request.method == "POST" else asked.request.query)
    found, problem = None, ""
    try:
        _ask(asked)
        record = asked.subject.store.get_with_ttl(key)
        if record is not None:
            stored, left = record
            size = len(stored) if isinstance(stored, bytes) else INTEGER.size
            found = size, left, take_apart(stored)
    except KTError as error:
        problem = _problem(error)
    return _html(keys.show_value(asked.frame, key, found, problem), 200 if found or problem else 404)


def _delete(asked: _Asked) -> Answer:
    frame, store, form = asked.frame, asked.subject.store, asked.request.form
    if not frame.access.may_delete:
        raise _Refused(403, "You may not delete anything", frame.access.refusal)
    is_post = asked.request.method == "POST"
    wanted = _wanted(form if is_post else asked.request.query)
    try:
        _ask(asked)
        if is_post and "key" in form:
            deleted = int(store.delete(_key(form)))
            return _see_keys(frame, Wanted(), deleted)
        if wanted.is_all:
            raise _Refused(400, "Nothing was chosen", "Write a prefix or a pattern; * is every key.")
        if is_post and form.get("confirmed") == "yes":
            return _see_keys(frame, wanted, delete(store, wanted.selection))
        return _html(keys.confirm(frame, wanted, count(store, wanted.selection), ""))
    except KTError as error:
        return _html(keys.confirm(frame, wanted, None, _problem(error)))


def _see_keys(frame: Frame, wanted: Wanted, deleted: int) -> Answer:
    place = frame.link("keys", {**wanted.parameters(), "deleted": deleted})
    return Answer(303, b"", {**_HEADERS, "Location": place})


def _ask(asked: _Asked) -> None:
    """Find out whether the store answers: one that goes on without its server would only seem to be empty."""
    if not asked.subject.store.ping():
        raise KTError("the server of this cache is out of order")


def _key(parameters: Mapping[str, str]) -> bytes:
    try:
        return decode_key(parameters["key"])
    except (KeyError, InvalidInput) as error:
        raise _Refused(400, "That is no key", str(error)) from None


def _wanted(parameters: Mapping[str, str]) -> Wanted:
    try:
        return Wanted.read(parameters)
    except InvalidInput as error:
        raise _Refused(400, "That is no prefix", str(error)) from None


# -- answers -----------------------------------------------------------------------------------------------


def _html(page: str, status: int = 200, headers: Mapping[str, str] = {}) -> Answer:
    body = page.encode("utf-8", "replace")
    return Answer(status, body, {**_HEADERS, "Content-Type": "text/html; charset=utf-8", **headers})


def _json(data: dict[str, Any]) -> Answer:
    body = json.dumps(data, allow_nan=False).encode()
    return Answer(200, body, {**_HEADERS, "Content-Type": "application/json"})


_PAGES: dict[str, tuple[str, tuple[str, ...], Callable[[_Asked], Answer]]] = {
    "": ("", _READ, _live),
    "figures.json": ("", _READ, _figures),
    "contents": ("contents", _READ, _contents),
    "keys": ("keys", _READ, _keys),
    "value": ("keys", (*_READ, "POST"), _value),
    "delete": ("keys", (*_READ, "POST"), _delete),
}
