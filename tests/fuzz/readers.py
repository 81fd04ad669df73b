"""What else is fuzzed: whatever reads what others have written into a store, a file, a form or a setting.

`Unreadable` and the other errors of the product are answers; whatever else is raised is a fault.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from html.parser import HTMLParser
from io import BytesIO
from typing import Final
from urllib.parse import parse_qsl

from kt_cache.inspector import Access, Request, Site, Subject, respond
from kt_cache.inspector.anatomy import take_apart
from kt_cache.options import Options
from kt_cache.patterns import compile_glob
from kt_cache.sessions import Sessions
from kt_cache.stores.memory import MemoryStore
from kt_cache.stores.replica.records import Place
from kt_cache.terms import Terms
from kt_cache.values import Codec, Conditional, Unreadable
from kt_core.aerospike.unpickling import Unpickler
from kt_core.commands.dumpfile import MAGIC, Reader, Writer
from kt_core.commands.tsvfile import read_tsv
from kt_core.database.posix import compile_posix
from kt_core.errors import InvalidInput, KTError, ProtocolError
from kt_core.kyoto import status as kyoto
from kt_core.server.tyrant import query
from kt_core.tyrant import status as tyrant
from kt_core.tyrant.table import dump_row, load_found, load_row
from kt_core.wire.dates import format_date, parse_date

_KEY: Final = b"key"
_SAFE: Final = Codec(serializer="msgpack")
_SIGNED: Final = Codec(serializer="json", signing_keys=[b"a key of tests"])
_SESSIONS: Final = Sessions(Codec(serializer="raw"), str.encode)
_UNPICKLER: Final = Unpickler()


def _value(data: bytes) -> None:
    """Read a value as a cache does, without pickle; show it as the inspector does."""
    take_apart(data)
    try:
        value = _SAFE.loads(data, _KEY)
    except Conditional as conditional:
        with suppress(Unreadable):
            Terms.decode(conditional.terms)
            conditional.load()
    except Unreadable:
        pass
    else:
        with suppress(TypeError):  # what another serializer keeps, this one may not
            _SAFE.dumps(value, _KEY)


def _signed(data: bytes) -> None:
    """Nobody without the key writes a value that is read."""
    with suppress(Unreadable):
        _SIGNED.loads(data, _KEY)
        raise AssertionError(data)


def _session(data: bytes) -> None:
    with suppress(Unreadable):
        record = _SESSIONS.read(_KEY, data)
        assert len(record.user) + len(record.data) < len(data)


def _pickle(data: bytes) -> None:
    """Whatever a pickle says, nothing runs but what makes plain values."""
    with suppress(Exception):  # the official client's own error, where it is installed
        value = _UNPICKLER.loads(data)
        assert type(value).__module__ != "os"


def _dump(data: bytes) -> None:
    """What is read of a dump can be written again."""
    with suppress(KTError):
        reader = Reader(BytesIO(data))
        writer = Writer(BytesIO())
        writer.begin(reader.about)
        for block in reader.blocks():
            for number, row in block.rows:
                writer.write(number, [row])
        writer.end()


def _tsv(data: bytes) -> None:
    with suppress(KTError):
        list(read_tsv(data[:2], BytesIO(data[2:])))


def _location(data: bytes) -> None:
    """A location is read, or refused without the password in it."""
    text = data.decode("utf-8", "replace")
    refusal = ""
    try:
        Options.parse(text, {}, default_name="default")
    except KTError as error:
        refusal = str(error)
    password = re.search(r"[?&]password=([a-z]{12,})", text)
    assert password is None or text.count(password[1]) > 1 or password[1] not in refusal


class _Markup(HTMLParser):
    """Sees to it that a page has no markup but its own."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in ("img", "iframe", "object", "base"), attrs
        assert (tag != "script") or given.get("src"), attrs
        assert not any(name.startswith("on") or (value or "").startswith("javascript:") for name, value in attrs), attrs


def _inspector(data: bytes) -> None:
    """Ask for a page by a line of method, path and parameters: no answer is a fault, and none has foreign markup."""
    method, _, rest = data.decode("utf-8", "replace").partition(" ")
    path, _, parameters = rest.partition("?")
    store = MemoryStore()
    store.set(_KEY, data, None)
    fields = dict(parse_qsl(parameters, keep_blank_values=True))
    asked = Request(method, "/cache/", path, fields, fields, {}, "")
    access = Access(may_read=True, may_delete=data[-1:] == b"!")
    answer = respond(asked, Site(["main"], lambda name: Subject(name, store, {})), access)
    assert answer.status < 500
    _Markup().feed(answer.body.decode())
    assert "\n" not in "".join(answer.headers.values())


def _pattern(data: bytes) -> None:
    with suppress(KTError):
        compile_posix(data)
    list(compile_glob(data.decode("utf-8", "replace")).among(iter([_KEY, data])))


def _date(data: bytes) -> None:
    second = parse_date(data)
    if second is not None and 0 <= second < 1 << 33:
        assert parse_date(format_date(second)) == second


def _query(data: bytes) -> None:
    """Look for rows of a table as a client's arguments say, parted by newlines."""
    with suppress(KTError):
        request = query.parse([argument.replace(b" ", b"\0") for argument in data.split(b"\n")])
        for key, row in request.select([(b"1", {b"name": b"a 12", b"age": b"7"}), (b"2", {b"name": b"\xff"})]):
            request.present(key, row)


def _place(data: bytes) -> None:
    place = Place.decode(data)
    if place is not None:
        json.loads(place.encode())


def _figures(data: bytes) -> None:
    """Show what a server says about itself, in lines of a name and a figure."""
    said = dict(line.partition(b"\t")[::2] for line in data.split(b"\n"))
    for kind in (kyoto.Status, kyoto.Report, tyrant.Status):
        figures = kind(said)
        for name in dir(kind):
            if isinstance(getattr(kind, name), property):
                with suppress(ProtocolError):
                    getattr(figures, name)


def _row(data: bytes) -> None:
    """Read a row of a table as a client does; it can be written again unless it has no name for a column."""
    with suppress(KTError):
        load_row(load_found(data)[1])
    with suppress(InvalidInput):
        row = load_row(data)
        assert load_row(dump_row(row)) == row


READERS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "values": _value,
    "signed_values": _signed,
    "sessions": _session,
    "pickles": _pickle,
    "dumps": lambda data: _dump(data.removeprefix(MAGIC)),
    "tsv_files": _tsv,
    "locations": _location,
    "inspector_requests": _inspector,
    "patterns": _pattern,
    "dates": _date,
    "tyrant_queries": _query,
    "places_of_copies": _place,
    "figures": _figures,
    "rows": _row,
}
